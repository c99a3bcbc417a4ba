"""What is told of trials of agents' fences."""

from dataclasses import dataclass

from .events import AgentEvent


@dataclass(frozen=True, kw_only=True)
class FenceTried(AgentEvent):
    """The fence of an agent was tried by real connections. `outcome`: Held, Failed, NotTried, as in the status."""

    name: str
    outcome: str
    tried: int
    failed: int
    message: str
