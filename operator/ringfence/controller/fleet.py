"""All agents at a glance, for the metrics: how many are in which condition, and which violations are new."""

from collections.abc import Mapping, Sequence
from typing import Any

from ringfence.api.status import ConditionType
from ringfence.metrics import AGENTS, ROSTER
from ringfence.policy.model import Violation

from .cache import Key


class Fleet:
    """Counts agents by condition; bounded by the number of condition types, whatever the number of agents."""

    def __init__(self) -> None:
        self._states: dict[Key, Mapping[ConditionType, str]] = {}
        self._violations: dict[Key, tuple[int, frozenset[Violation]]] = {}
        for kind in ConditionType:
            for status in ("True", "False"):
                AGENTS.labels(str(kind), status)  # 0 is an answer

    def set(self, key: Key, state: Mapping[ConditionType, str]) -> None:
        """Take an agent's conditions; move the gauges by the difference."""
        self._move(key, state)

    def show(self, key: Key, status: Mapping[str, Any], workload: Mapping[str, Any]) -> None:
        """Take an agent's status as it is about to be stored, and its Deployment, for what is made at the scrape."""
        wanted = (workload.get("spec") or {}).get("replicas", 0)
        ROSTER.observe(key, status["conditions"], ready=status["readyReplicas"], wanted=wanted)

    def forget(self, key: Key) -> None:
        """The agent is gone."""
        self._move(key, {})
        self._states.pop(key, None)
        self._violations.pop(key, None)
        ROSTER.forget(key)

    def news(self, key: Key, generation: int, violations: Sequence[Violation]) -> list[Violation]:
        """Those that were not there at the last pass over this generation: each is counted once, not on every pass."""
        seen = self._violations.get(key)
        known = seen[1] if seen and seen[0] == generation else frozenset()
        self._violations[key] = (generation, frozenset(violations))
        ROSTER.observe_rules(key, len({violation.rule for violation in violations}))
        return [violation for violation in violations if violation not in known]

    def _move(self, key: Key, state: Mapping[ConditionType, str]) -> None:
        for kind, status in self._states.get(key, {}).items():
            AGENTS.labels(str(kind), status).dec()
        for kind, status in state.items():
            AGENTS.labels(str(kind), status).inc()
        self._states[key] = state
