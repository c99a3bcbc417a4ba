"""When refusals are worth a person's attention: many within a minute, and not what was said within the hour. Pure."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from ringfence.telemetry.events import AgentName

MANY: Final = 10
"""Refusals of one agent for one reason within `WITHIN` seconds. A client that tries a host again makes some three."""
WITHIN: Final = 60.0
QUIET: Final = 3600.0
"""Seconds until the same is said again of the same agent: as long as the API server keeps an Event. Ten thousand agents
that never stop make three Events a second."""
REMEMBERED: Final = 20_000
"""Agents and reasons."""


@dataclass(slots=True)
class _Window:
    since: float
    count: int = 0
    told: float | None = None


class Bursts:
    """Remembers of each agent and reason a count; those that were quiet longest are forgotten first."""

    def __init__(self) -> None:
        self._windows: OrderedDict[tuple[AgentName, str], _Window] = OrderedDict()

    def add(self, agent: AgentName, reason: str, count: int, now: float) -> int | None:
        """Take `count` refusals at `now` (seconds of any clock). How many there were, where that is to be said."""
        key = agent, reason
        window = self._windows.setdefault(key, _Window(now))
        self._windows.move_to_end(key)
        if len(self._windows) > REMEMBERED:
            self._windows.popitem(last=False)
        if now - window.since >= WITHIN:
            window.since, window.count = now, 0
        window.count += count
        if window.count < MANY or (window.told is not None and now - window.told < QUIET):
            return None
        window.told = now
        return window.count
