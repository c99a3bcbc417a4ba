"""Events of the domain as lines of the log: docs/reference/logs.md lists them with their fields."""

from functools import singledispatch
from typing import Any

import structlog

from ringfence.telemetry import events, refusals

from .metrics import TOO_OLD

log = structlog.get_logger("ringfence.controller")


@singledispatch
def to_log(event: Any) -> None:
    """Write the line of an event."""


def _about(event: events.AgentEvent) -> dict[str, str]:
    return {"agent": event.agent.name, "namespace": event.agent.namespace}


@to_log.register
def _(event: events.ViolationFound) -> None:
    told = {"generation": event.generation, "rule": event.rule, "path": event.path}
    log.warning("not accepted", **_about(event), **told, manager=event.manager, changed_at=event.changed_at)


@to_log.register
def _(event: events.ChildRepaired) -> None:
    if event.count & (event.count - 1):
        return  # somebody edits in a loop: the first, the second, the fourth, the eighth are told, and so on
    told = {"kind": event.kind, "name": event.name, "rule": event.rule, "count": event.count}
    log.warning("put back", **_about(event), **told, manager=event.manager, changed_at=event.changed_at)


@to_log.register
def _(event: events.FinalizersRemoved) -> None:
    told = {"kind": event.kind, "name": event.name, "rule": event.rule, "finalizers": list(event.finalizers)}
    log.warning("finalizers removed", **_about(event), **told)


@to_log.register
def _(event: events.PodEnded) -> None:
    if event.count & (event.count - 1):
        return  # the same
    told = {"kind": "Pod", "name": event.name, "rule": event.rule, "count": event.count}
    log.warning("pod ended", **_about(event), **told)


@to_log.register
def _(event: events.ServiceRedirected) -> None:
    told = {"service": event.service, "previous": event.previous, "leads_to": event.leads_to}
    log.warning("a service leads elsewhere", **_about(event), **told)


@to_log.register
def _(event: events.FenceWidenedBy) -> None:
    log.warning("fence widened", **_about(event), rule=event.rule, name=event.name)


@to_log.register
def _(event: refusals.EgressRefusedOften) -> None:
    told = {"rule": event.rule, "count": event.count, "field": event.field}
    log.warning("egress refused often", **_about(event), **told)


@to_log.register
def _(event: refusals.GatewayUpdateRefused) -> None:
    log.error("an egress gateway refused its configuration", **_about(event))


@to_log.register
def _(event: events.StandingRepaired) -> None:
    told = {"namespace": event.namespace, "kind": event.kind, "name": event.name, "rule": event.rule}
    log.warning("put back in a namespace", **told, manager=event.manager, changed_at=event.changed_at)


@to_log.register
def _(event: events.StandingMissing) -> None:
    log.error("missing in a namespace", namespace=event.namespace, kind=event.kind, name=event.name, why=event.why)


@to_log.register
def _(event: events.OrphansFound) -> None:
    told = {"objects": list(event.objects), "stopped": event.stopped}
    log.warning("orphans", agent=event.agent, namespace=event.namespace, **told)


@to_log.register
def _(event: events.AgentStopped) -> None:
    log.error("stopped", **_about(event), reason=event.reason, why=event.why)


@to_log.register
def _(event: events.RunEnded) -> None:
    told = {"name": event.name, "cause": event.cause, "outcome": event.outcome, "reason": event.reason}
    log.info("a run is over", **_about(event), **told)


@to_log.register
def _(event: events.AgentDeleted) -> None:
    log.info("deleted", **_about(event))


@to_log.register
def _(event: events.ConditionChanged) -> None:
    told = {"generation": event.generation, "type": event.type, "status": event.status, "previous": event.previous}
    log.info("condition", **_about(event), **told, reason=event.reason, message=event.message)


@to_log.register
def _(event: events.SecretMade) -> None:
    log.info("made a secret", **_about(event), secret=event.secret)


@to_log.register
def _(event: events.SecretRotated) -> None:
    log.info("rotated", **_about(event), secret=event.secret, rotated_at=event.rotated_at)


@to_log.register
def _(event: events.RotationFailed) -> None:
    log.warning("rotation failed", **_about(event), secret=event.secret, job=event.job)


@to_log.register
def _(event: events.OverlapEnded) -> None:
    log.info("overlap is over", **_about(event), secret=event.secret)


@to_log.register
def _(event: events.SecretOverwritten) -> None:
    log.warning("a secret was overwritten", **_about(event), secret=event.secret, manager=event.manager)


@to_log.register
def _(event: events.SecretTooOld) -> None:
    log.warning("a secret is too old", **_about(event), secret=event.secret, rule=TOO_OLD, rotated_at=event.rotated_at)


@to_log.register
def _(event: events.RegistrationChanged) -> None:
    if event.differences:
        log.error("admission is not registered as installed", differences=list(event.differences))
    else:
        log.info("admission is registered as installed")


@to_log.register
def _(event: events.HandOverUndecided) -> None:
    told = {"generation": event.generation, "secrets": list(event.secrets), "differences": list(event.differences)}
    log.warning("a hand-over is undecided", **_about(event), **told)


@to_log.register
def _(_: events.HandOverUnchecked) -> None:
    log.warning("existing secrets are handed over unchecked")


@to_log.register
def _(event: events.ApiServerDoubted) -> None:
    log.warning(
        "an address is not taken for the API server's",
        slice=event.slice,
        addresses=list(event.addresses),
        why=event.why,
    )


@to_log.register
def _(event: events.ClusterRead) -> None:
    log.info("read the cluster", seconds=round(event.seconds, 1))


@to_log.register
def _(event: events.StoreCompared) -> None:
    for kind, count in event.differences.items():
        if count:
            log.warning("the store differed from the API server", kind=kind, objects=count)
