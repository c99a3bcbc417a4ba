"""All agents at a glance, for the metrics: how many are in which condition, and which violations are new."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from ringfence.api.status import ConditionType
from ringfence.controller.cache import Key
from ringfence.policy.model import Violation
from ringfence.resources.secrets import stamp
from ringfence.telemetry.collector import SecretAge
from ringfence.telemetry.metrics import AGENT_COLLECTOR, AGENTS, ROTATIONS, VIOLATIONS

from . import ages

log = structlog.get_logger()

TOO_OLD = "SecretTooOld"
"""Rule of source `rotation` in ringfence_violations_total."""
ROTATED, FAILED = "rotated", "failed"
"""Results in ringfence_secret_rotations_total."""


class Fleet:
    """Counts agents by condition; bounded by the number of condition types, whatever the number of agents."""

    def __init__(self) -> None:
        self._states: dict[Key, Mapping[ConditionType, str]] = {}
        self._violations: dict[Key, tuple[int, frozenset[Violation]]] = {}
        self._keys: dict[Key, dict[str, tuple[datetime, bool]]] = {}
        self._failed: dict[Key, dict[str, datetime | None]] = {}
        for kind in ConditionType:
            for status in ("True", "False"):
                AGENTS.labels(str(kind), status)  # 0 is an answer

    def set(self, key: Key, state: Mapping[ConditionType, str]) -> None:
        """Take an agent's conditions; move the gauges by the difference."""
        self._move(key, state)

    def show(self, key: Key, status: Mapping[str, Any], workload: Mapping[str, Any]) -> None:
        """Take an agent's status as it is about to be stored, and its Deployment, for what is made at the scrape."""
        wanted = (workload.get("spec") or {}).get("replicas", 0)
        AGENT_COLLECTOR.observe(key, status["conditions"], ready=status["readyReplicas"], wanted=wanted)

    def keys(self, key: Key, seen: Sequence[ages.Key], max_age: timedelta) -> None:
        """Take an agent's keys; count a rotation and a key that has become too old when they are new."""
        known = self._keys.get(key, {})
        found: dict[str, tuple[datetime, bool]] = {}
        old = {one.name for one in ages.too_old(seen, max_age=max_age, now=datetime.now(UTC))}
        for one in seen:
            if one.changed is None:
                continue
            found[one.name] = (one.changed, one.name in old)
            before = known.get(one.name)
            about = {"agent": key.name, "namespace": key.namespace, "secret": one.name}
            if before and one.every and before[0] < one.changed:
                ROTATIONS.labels(key.namespace, ROTATED).inc()
                log.info("rotated", **about, rotated_at=stamp(one.changed))
            if one.name in old and not (before and before[1]):
                VIOLATIONS.labels("rotation", TOO_OLD, key.namespace).inc()
                log.warning("a key is too old", **about, rule=TOO_OLD, rotated_at=stamp(one.changed))
        self._keys[key] = found
        AGENT_COLLECTOR.observe_secrets(key, [_age(one, max_age) for one in seen if one.changed])

    def jobs(self, key: Key, cron_jobs: Mapping[str, Mapping[str, Any]]) -> None:
        """Take the CronJobs of an agent's keys, by the name of the key; count a tick that failed when it is new."""
        known = self._failed.get(key, {})
        failed = {name: ages.failed_tick(found) for name, found in cron_jobs.items()}
        for name, tick in failed.items():
            if name not in known:  # from the first look on, so that a rate sees the first rotation
                for result in (ROTATED, FAILED):
                    ROTATIONS.labels(key.namespace, result)
            elif tick is not None and tick != known[name]:
                ROTATIONS.labels(key.namespace, FAILED).inc()
                job = ages.job_of(cron_jobs[name], tick)
                log.warning("rotation failed", agent=key.name, namespace=key.namespace, secret=name, job=job)
        self._failed[key] = failed

    def forget(self, key: Key) -> None:
        """The agent is gone."""
        self._move(key, {})
        self._states.pop(key, None)
        self._violations.pop(key, None)
        self._keys.pop(key, None)
        self._failed.pop(key, None)
        AGENT_COLLECTOR.forget(key)

    def news(self, key: Key, generation: int, violations: Sequence[Violation]) -> list[Violation]:
        """Those that were not there at the last pass over this generation: each is counted once, not on every pass."""
        seen = self._violations.get(key)
        known = seen[1] if seen and seen[0] == generation else frozenset()
        self._violations[key] = (generation, frozenset(violations))
        AGENT_COLLECTOR.observe_rules(key, len({violation.rule for violation in violations}))
        return [violation for violation in violations if violation not in known]

    def _move(self, key: Key, state: Mapping[ConditionType, str]) -> None:
        for kind, status in self._states.get(key, {}).items():
            AGENTS.labels(str(kind), status).dec()
        for kind, status in state.items():
            AGENTS.labels(str(kind), status).inc()
        self._states[key] = state


def _age(one: ages.Key, max_age: timedelta) -> SecretAge:
    since = one.changed.timestamp() if one.changed else 0.0
    due = (one.due + ages.grace(one.every)).timestamp() if one.due and one.every else None
    expires = since + ages.allowed(one, max_age).total_seconds()
    return SecretAge(one.name, since, due, expires)
