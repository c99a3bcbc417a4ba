"""The gate of an agent's pods in a pass: no pod is made without one. Pure."""

from collections.abc import Iterator
from typing import Final

from ringfence.resources import Agent
from ringfence.resources.phases import WORKLOAD

from .actions import Action, AwaitEnd

NO_CANARY: Final = (
    "makes no pod, and leaves those that are there alone: it does not know Ringfence's canary, by which the first "
    "container of each pod sees that its fence stands. Its Service, ringfence-canary in Ringfence's own namespace, "
    "comes with the chart: have the administrator run helm upgrade (and see the controller's log)"
)


def is_missing(agent: Agent) -> bool:
    """Whether nothing is known that a gate could try."""
    return agent.gate is None


def waits(agent: Agent) -> Iterator[Action]:
    """What its workload waits for."""
    if is_missing(agent):
        yield AwaitEnd(phase=WORKLOAD, what=NO_CANARY)
