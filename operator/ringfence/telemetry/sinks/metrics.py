"""Events of the domain as metrics."""

import time
from collections.abc import Mapping
from functools import singledispatchmethod
from typing import Any

from ringfence.api.status import ConditionType
from ringfence.telemetry import events, metrics

TOO_OLD = "SecretTooOld"
"""Rule of source `rotation` in ringfence_violations_total."""
ROTATED, FAILED = "rotated", "failed"
"""Results in ringfence_secret_rotations_total."""


class MetricsSink:
    """Counts. Keeps of each agent the conditions that it counts for; bounded by the number of agents."""

    def __init__(self) -> None:
        self._states: dict[events.AgentName, Mapping[str, str]] = {}
        for kind in ConditionType:
            for status in ("True", "False"):
                metrics.AGENTS.labels(str(kind), status)  # 0 is an answer

    @singledispatchmethod
    def __call__(self, event: Any) -> None:
        """Take an event; those without a metric are nothing to it."""

    @__call__.register
    def _(self, event: events.ViolationFound) -> None:
        metrics.VIOLATIONS.labels("policy", event.rule, event.agent.namespace).inc()

    @__call__.register
    def _(self, event: events.ChildRepaired) -> None:
        metrics.VIOLATIONS.labels("drift", event.rule, event.agent.namespace).inc()
        metrics.AGENT_COLLECTOR.repaired(event.agent)

    @__call__.register
    def _(self, event: events.ChildWritten) -> None:
        metrics.CHILD_WRITES.labels(event.kind, event.verb).inc()

    @__call__.register
    def _(self, event: events.AgentObserved) -> None:
        self._move(event.agent, {one["type"]: one["status"] for one in event.conditions})
        metrics.AGENT_COLLECTOR.observe(event.agent, event.conditions, ready=event.ready, wanted=event.wanted)
        metrics.AGENT_COLLECTOR.observe_rules(event.agent, event.rules)

    @__call__.register
    def _(self, event: events.SecretsObserved) -> None:
        metrics.AGENT_COLLECTOR.observe_secrets(event.agent, event.secrets)

    @__call__.register
    def _(self, event: events.AgentForgotten) -> None:
        self._move(event.agent, {})
        self._states.pop(event.agent, None)
        metrics.AGENT_COLLECTOR.forget(event.agent)

    @__call__.register
    def _(self, event: events.RotationFollowed) -> None:
        for result in (ROTATED, FAILED):  # from the first look on, so that a rate sees the first rotation
            metrics.ROTATIONS.labels(event.agent.namespace, result)

    @__call__.register
    def _(self, event: events.SecretRotated) -> None:
        metrics.ROTATIONS.labels(event.agent.namespace, ROTATED).inc()

    @__call__.register
    def _(self, event: events.RotationFailed) -> None:
        metrics.ROTATIONS.labels(event.agent.namespace, FAILED).inc()

    @__call__.register
    def _(self, event: events.SecretTooOld) -> None:
        metrics.VIOLATIONS.labels("rotation", TOO_OLD, event.agent.namespace).inc()

    @__call__.register
    def _(self, event: events.PassEnded) -> None:
        metrics.RECONCILES.labels(event.kind, event.result).inc()
        metrics.RECONCILE_SECONDS.labels(event.kind).observe(event.seconds)

    @__call__.register
    def _(self, event: events.QueueChanged) -> None:
        metrics.QUEUE_DEPTH.labels(event.kind).set(event.depth)
        if event.added:
            metrics.QUEUE_ADDS.labels(event.kind).inc()
        if event.retried:
            metrics.QUEUE_RETRIES.labels(event.kind).inc()
        if event.waited is not None:
            metrics.QUEUE_SECONDS.labels(event.kind).observe(event.waited)

    @__call__.register
    def _(self, event: events.LeadershipChanged) -> None:
        metrics.LEADER.set(event.leads)

    @__call__.register
    def _(self, _: events.WatchHeard) -> None:
        metrics.LAST_EVENT.set(time.time())

    @__call__.register
    def _(self, event: events.StoreCompared) -> None:
        for kind, count in event.differences.items():
            metrics.STORE_DIFFERENCES.labels(kind).inc(count)
        metrics.LAST_RESYNC.set(time.time())

    def _move(self, agent: events.AgentName, state: Mapping[str, str]) -> None:
        for kind, status in self._states.get(agent, {}).items():
            metrics.AGENTS.labels(kind, status).dec()
        for kind, status in state.items():
            metrics.AGENTS.labels(kind, status).inc()
        self._states[agent] = state
