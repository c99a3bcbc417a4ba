"""Events of the domain as metrics."""

import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from ringfence.api.status import ConditionType, Progress
from ringfence.telemetry import events, metrics, refusals

TOO_OLD = "SecretTooOld"
"""Rule of source `rotation` in ringfence_violations_total."""
ROTATED, FAILED = "rotated", "failed"
"""Results in ringfence_secret_rotations_total."""


_State = tuple[tuple[str, str], ...]
"""Types of conditions with their statuses."""


class MetricsSink:
    """Counts. Keeps of each agent the conditions that it counts for; bounded by the number of agents."""

    def __init__(self) -> None:
        self._states: dict[events.AgentName, _State] = {}
        self._with_orphans: set[str] = set()
        self._without_policy: set[str] = set()
        # A table, and not functools.singledispatchmethod: there are twenty events in a pass, and that costs 10 us each.
        self._taken: dict[type, Callable[[Any], None]] = {
            events.ViolationFound: self._violation_found,
            events.ChildRepaired: self._child_repaired,
            events.FinalizersRemoved: self._finalizers_removed,
            events.PodEnded: self._pod_ended,
            events.RunEnded: self._run_ended,
            events.ServiceRedirected: self._service_redirected,
            events.FenceWidenedBy: self._fence_widened,
            refusals.EgressRefused: self._egress_refused,
            refusals.EgressReported: self._egress_reported,
            refusals.GatewayUpdateRefused: self._gateway_update_refused,
            events.ChildWritten: self._child_written,
            events.AgentObserved: self._agent_observed,
            events.SecretsObserved: self._secrets_observed,
            events.AgentForgotten: self._agent_forgotten,
            events.RotationFollowed: self._rotation_followed,
            events.SecretRotated: self._secret_rotated,
            events.RotationFailed: self._rotation_failed,
            events.SecretTooOld: self._secret_too_old,
            events.StandingRepaired: self._standing_repaired,
            events.NamespaceObserved: self._namespace_observed,
            events.SecretOverwritten: self._secret_overwritten,
            events.PassEnded: self._pass_ended,
            events.QueueChanged: self._queue_changed,
            events.LeadershipChanged: self._leadership_changed,
            events.LeaderSeen: self._leader_seen,
            events.WatchHeard: self._watch_heard,
            events.RegistrationObserved: self._registration_observed,
            events.ApiServerObserved: self._api_server_observed,
            events.StoreCompared: self._store_compared,
            events.ClusterRead: self._cluster_read,
        }
        for kind in ConditionType:
            for status in ("True", "False"):
                metrics.AGENTS.labels(str(kind), status)  # 0 is an answer

    def __call__(self, event: Any) -> None:
        """Take an event; those without a metric are nothing to it."""
        if (take := self._taken.get(type(event))) is not None:
            take(event)

    def _violation_found(self, event: events.ViolationFound) -> None:
        metrics.VIOLATIONS.labels("policy", event.rule, event.agent.namespace).inc()

    def _child_repaired(self, event: events.ChildRepaired) -> None:
        metrics.VIOLATIONS.labels("drift", event.rule, event.agent.namespace).inc()
        metrics.AGENT_COLLECTOR.repaired(event.agent)

    def _finalizers_removed(self, event: events.FinalizersRemoved) -> None:
        metrics.VIOLATIONS.labels("drift", event.rule, event.agent.namespace).inc()
        metrics.AGENT_COLLECTOR.repaired(event.agent)

    def _pod_ended(self, event: events.PodEnded) -> None:
        metrics.VIOLATIONS.labels("drift", event.rule, event.agent.namespace).inc()

    def _run_ended(self, event: events.RunEnded) -> None:
        metrics.RUNS.labels(event.agent.namespace, event.outcome).inc()

    def _service_redirected(self, event: events.ServiceRedirected) -> None:
        metrics.SERVICE_REDIRECTS.labels(event.agent.namespace).inc()

    def _fence_widened(self, event: events.FenceWidenedBy) -> None:
        metrics.VIOLATIONS.labels("widening", event.rule, event.agent.namespace).inc()

    def _egress_refused(self, event: refusals.EgressRefused) -> None:
        metrics.VIOLATIONS.labels("egress", event.rule, event.agent.namespace).inc(event.count)

    def _egress_reported(self, event: refusals.EgressReported) -> None:
        metrics.series(metrics.EGRESS_TOLD, event.result).inc()

    def _gateway_update_refused(self, event: refusals.GatewayUpdateRefused) -> None:
        metrics.GATEWAY_UPDATES_REFUSED.labels(event.agent.namespace).inc()

    def _child_written(self, event: events.ChildWritten) -> None:
        metrics.series(metrics.CHILD_WRITES, event.kind, event.verb).inc()

    def _agent_observed(self, event: events.AgentObserved) -> None:
        counted = [one for one in event.conditions if one["type"] not in set(Progress)]  # Ready says the same
        self._move(event.agent, tuple((one["type"], one["status"]) for one in counted))
        metrics.AGENT_COLLECTOR.observe(event.agent, event.conditions, ready=event.ready, wanted=event.wanted)
        metrics.AGENT_COLLECTOR.observe_rules(event.agent, event.rules)
        metrics.series(metrics.SERVICE_REDIRECTS, event.agent.namespace)  # 0, so that a rate sees the first

    def _secrets_observed(self, event: events.SecretsObserved) -> None:
        metrics.AGENT_COLLECTOR.observe_secrets(event.agent, event.secrets)

    def _agent_forgotten(self, event: events.AgentForgotten) -> None:
        self._move(event.agent, ())
        self._states.pop(event.agent, None)
        metrics.AGENT_COLLECTOR.forget(event.agent)

    def _rotation_followed(self, event: events.RotationFollowed) -> None:
        for result in (ROTATED, FAILED):  # from the first look on, so that a rate sees the first rotation
            metrics.ROTATIONS.labels(event.agent.namespace, result)

    def _secret_rotated(self, event: events.SecretRotated) -> None:
        metrics.ROTATIONS.labels(event.agent.namespace, ROTATED).inc()

    def _rotation_failed(self, event: events.RotationFailed) -> None:
        metrics.ROTATIONS.labels(event.agent.namespace, FAILED).inc()

    def _secret_too_old(self, event: events.SecretTooOld) -> None:
        metrics.VIOLATIONS.labels("rotation", TOO_OLD, event.agent.namespace).inc()

    def _standing_repaired(self, event: events.StandingRepaired) -> None:
        metrics.VIOLATIONS.labels("drift", event.rule, event.namespace).inc()

    def _namespace_observed(self, event: events.NamespaceObserved) -> None:
        for gauge, value, known in (
            (metrics.ORPHANS, event.orphans, self._with_orphans),
            (metrics.STANDING_MISSING, int(event.missing), self._without_policy),
        ):
            if value:
                gauge.labels(event.namespace).set(value)
                known.add(event.namespace)
            elif event.namespace in known:
                gauge.remove(event.namespace)
                known.discard(event.namespace)

    def _secret_overwritten(self, event: events.SecretOverwritten) -> None:
        metrics.VIOLATIONS.labels("drift", "SecretOverwritten", event.agent.namespace).inc()

    def _pass_ended(self, event: events.PassEnded) -> None:
        metrics.series(metrics.RECONCILES, event.kind, event.result).inc()
        metrics.series(metrics.RECONCILE_SECONDS, event.kind).observe(event.seconds)

    def _queue_changed(self, event: events.QueueChanged) -> None:
        metrics.series(metrics.QUEUE_DEPTH, event.kind).set(event.depth)
        if event.added:
            metrics.series(metrics.QUEUE_ADDS, event.kind).inc()
        if event.retried:
            metrics.series(metrics.QUEUE_RETRIES, event.kind).inc()
        if event.waited is not None:
            metrics.series(metrics.QUEUE_SECONDS, event.kind).observe(event.waited)

    def _leadership_changed(self, event: events.LeadershipChanged) -> None:
        metrics.LEADER.set(event.leads)

    def _leader_seen(self, _: events.LeaderSeen) -> None:
        metrics.LEADER_SEEN.set(time.time())

    def _watch_heard(self, _: events.WatchHeard) -> None:
        metrics.LAST_EVENT.set(time.time())

    def _registration_observed(self, event: events.RegistrationObserved) -> None:
        metrics.ADMISSION_WEBHOOK.set(event.in_force)

    def _api_server_observed(self, event: events.ApiServerObserved) -> None:
        metrics.series(metrics.API_SERVER_ADDRESSES, "believed").set(event.believed)
        metrics.series(metrics.API_SERVER_ADDRESSES, "doubted").set(event.doubted)

    def _cluster_read(self, event: events.ClusterRead) -> None:
        metrics.FIRST_READ.set(event.seconds)

    def _store_compared(self, event: events.StoreCompared) -> None:
        for kind, count in event.differences.items():
            metrics.STORE_DIFFERENCES.labels(kind).inc(count)
        metrics.LAST_RESYNC.set(time.time())

    def _move(self, agent: events.AgentName, state: "_State") -> None:
        before = self._states.get(agent, ())
        if before == state:
            return
        for kind, status in before:
            metrics.series(metrics.AGENTS, kind, status).dec()
        for kind, status in state:
            metrics.series(metrics.AGENTS, kind, status).inc()
        self._states[agent] = _same_state(state)


@lru_cache(maxsize=1024)
def _same_state(state: _State) -> _State:
    """One object for all agents in the same state: there are few states."""
    return state
