"""What a pass came to: the conditions, the status, what changed, when to look again. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ringfence.api.status import AgentStatus, ConditionType, Progress, Reason
from ringfence.controller.runtime.loop import Look
from ringfence.kube import Object
from ringfence.policy.text import listed
from ringfence.resources import Agent, Ref
from ringfence.resources.gateway import has_hosts
from ringfence.resources.hosts_file import by_dns
from ringfence.resources.network import effective_egress, missing_services
from ringfence.resources.permissions import effective_permissions
from ringfence.resources.runs import ends
from ringfence.resources.secrets import stamp
from ringfence.resources.service import service_name
from ringfence.resources.stop import grace_seconds, remembered_periods
from ringfence.resources.stored import StoredChild
from ringfence.resources.workload import is_stopped
from ringfence.telemetry.events import AgentName, ConditionChanged

from . import ages, conditions, gateway, redirects, runs, targets
from .accepted import listed_in, with_digests
from .conditions import Finding, condition_before
from .execute import Blocked, Outcome
from .fence import Stop, condition_of, contest, unfenced
from .observed import Observed
from .plan import Mode, Plan
from .workloads import pods_wanted, taken_up, workload_of

SECRETS_AGAIN = 60.0
"""Seconds until the next look at an agent with secrets or hosts: no Secret is watched, a watch would carry values."""
ROTATES_AGAIN = 0.5
"""The same while a job runs that may write a secret which the gateway sends: the new value is to be sent soon."""
TOLD = {
    Reason.CHILD_NOT_OURS,
    Reason.WRITE_FAILED,
    Reason.SERVICE_NOT_FOUND,
    Reason.SECRET_NOT_FOUND,
    Reason.SECRET_UNUSABLE,
    Reason.GATEWAY_REFUSED_UPDATE,
}
TOLD |= {Reason.UNFENCED, Reason.FENCE_CONTESTED}
TOLD |= {Reason.NOT_GRANTED, Reason.SECRET_TOO_OLD, Reason.ROTATION_OVERDUE, Reason.INTERNAL_ERROR}
TOLD |= {Reason.CONSENT_MISSING, *conditions.OF_OTHERS}
"""Reasons that make an Event, whatever their condition."""
EMPTY = AgentStatus().model_dump(mode="json", by_alias=True, exclude_none=True)
"""What the API server adds to a status that lacks it. With it the echo of a write is known for what it is, although it
comes before the answer: it calls for no look."""


@dataclass(frozen=True, kw_only=True)
class After:
    """What was observed after the plan was done.

    `workload`: what is kept of the agent's workload. `runs`: its Jobs. `secrets`: each with its Secret's metadata; None
    where they were not looked at. `not_granted`: why they could not be. `diagnosis`: why its pods are not there.
    `asks_again`: whether more may be found out about that though no object changes.
    """

    workload: Mapping[str, Any] | None = None
    runs: Sequence[StoredChild] = ()
    secrets: Sequence[ages.ObservedSecret] | None = None
    not_granted: str = ""
    diagnosis: tuple[Reason, str] | None = None
    asks_again: bool = False


@dataclass(frozen=True, kw_only=True)
class Report:
    """`status`: the whole of it, as it is to be stored. `changed`: to be told once it is.

    `egress`: lines of `effective_egress` of what is applied; None where it could not be, or is to be nothing.
    """

    findings: Sequence[Finding]
    status: Object
    changed: Sequence[ConditionChanged]
    look: Look
    egress: Sequence[str] | None = None


def report(seen: Observed, planned: Plan, outcome: Outcome, after: After) -> Report:
    """All of it. `seen.agent` is there."""
    seen = replace(seen, runs=after.runs)
    findings = find(seen, planned, outcome, after)
    applied = planned.agent if planned.mode is Mode.APPLY and outcome.blocked is None else None
    egress = effective_egress(applied) if applied else None
    status = _status(seen, planned, after, findings, egress)
    return Report(
        findings=findings,
        status=status,
        changed=changes(seen, findings),
        look=_look(seen, planned, outcome, after, findings),
        egress=egress,
    )


def going(seen: Observed, outcome: Outcome) -> Report:
    """The same of one that is being deleted, and that somebody's finalizer keeps: it is not Ready, whatever it was."""
    orphans = seen.agent is not None and seen.agent.orphans
    sentence = "it is being deleted and waits for its finalizers (metadata.finalizers): its pods are stopped"
    if orphans:
        sentence = "it is being deleted without its children: they stay as they are, and are not looked after"
    elif outcome.failure is not None:
        sentence = f"it is being deleted, and its pods could not be stopped: {outcome.failure}"
    left = "not looked after any more: the agent is being deleted"
    kept = (ConditionType.NETWORK_POLICY_APPLIED, ConditionType.RIGHTS_APPLIED, ConditionType.SECRETS_FRESH)
    findings = [
        Finding(ConditionType.READY, "False", Reason.DELETING, sentence),
        *(Finding(one, "Unknown", Reason.DELETING, left) for one in kept),
        Finding(ConditionType.WORKLOAD_AVAILABLE, "False", Reason.DELETING, sentence),
    ]
    old = seen.status.get("conditions") or []
    generation = seen.agent.generation if seen.agent else 0
    merged = conditions.stored(old, findings, generation=generation, now=stamp(seen.now))
    said = {one["type"] for one in merged}
    numbers = (workload_of(seen) or {}).get("status") or {}
    status = {
        **seen.status,
        "conditions": [*merged, *(one for one in old if one["type"] not in said)],
        "replicas": numbers.get("replicas", 0),
        "readyReplicas": numbers.get("readyReplicas", 0),
    }
    return Report(findings=findings, status=status, changed=changes(seen, findings), look=Look())


def changes(seen: Observed, findings: Sequence[Finding]) -> list[ConditionChanged]:
    """The conditions whose status or reason is another than that of the stored one."""
    before = {one["type"]: one["status"] for one in seen.status.get("conditions") or []}
    return [
        ConditionChanged(
            agent=AgentName(*seen.key),
            uid=seen.identity.uid,
            generation=seen.agent.generation if seen.agent else 0,
            type=str(one.type),
            status=one.status,
            previous=before.get(one.type),
            reason=str(one.reason),
            message=one.message,
            told=_is_told(one),
        )
        for one in conditions.changed(seen.status.get("conditions") or [], findings)
    ]


def _is_told(finding: Finding) -> bool:
    """Whether a person should hear of it. Not Ready is not news: the condition that it stands for speaks for itself."""
    if finding.type is ConditionType.READY:
        return finding.status == "True" or finding.reason is Reason.INTERNAL_ERROR
    if finding.type is ConditionType.PERMISSIONS_HELD:  # what is lost, Accepted tells
        return False
    if finding.type is ConditionType.FENCE_WIDENED:
        return finding.status == "True"
    if finding.reason is Reason.SUSPENDED_BY_POLICY:  # what is taken away with the pods is no news of its own
        return finding.type is ConditionType.WORKLOAD_AVAILABLE
    return finding.type is ConditionType.ACCEPTED or finding.reason in TOLD


def find(seen: Observed, planned: Plan, outcome: Outcome, after: After) -> list[Finding]:
    """All conditions, the sum first."""
    kept = bool(planned.violations) and seen.accepted_before
    contested = seen.fence.contested
    if contested and outcome.blocked and outcome.blocked.reason is Reason.PROGRESSING:
        outcome = replace(outcome, blocked=None)  # one edit more or less is no news
    parts = [
        conditions.accepted(planned.violations, kept=kept, suspended=_by_policy(planned)),
        conditions.widened(seen.widened),
        _network(seen, planned.agent, outcome),
        _permissions(planned.agent, outcome),
        _secrets(seen, planned, outcome, after),
        *_gateway(seen, planned, outcome),
        _workload(seen, planned, outcome, after),
    ]
    if planned.stop is not None and planned.stop.withholds:
        parts = [_withheld(one, planned.stop) for one in parts]
    if contested:
        parts = [_contested(one, contested, seen.key.name) for one in parts]
    if stop := _stop(planned, outcome, after):
        parts = [*parts[:-1], Finding(ConditionType.WORKLOAD_AVAILABLE, "False", stop.reason, stop.message)]
    parts += [one] if (one := conditions.held(seen.held)) else []
    if stop:
        return [Finding(ConditionType.READY, "False", stop.reason, stop.message), *parts]
    return [conditions.ready(parts), *parts]


def _by_policy(planned: Plan) -> bool:
    return planned.stop is not None and planned.stop.reason is Reason.SUSPENDED_BY_POLICY


WITHHELD: dict[ConditionType | Progress, str] = {
    ConditionType.NETWORK_POLICY_APPLIED: "the deny policy is stored; the other one is taken away while it is stopped",
    ConditionType.RIGHTS_APPLIED: "the RoleBinding is taken away while it is stopped",
}


def _withheld(found: Finding, stop: Stop) -> Finding:
    """The same; what is taken away with the pods is not said to be there."""
    if found.type not in WITHHELD or found.reason is Reason.NO_RIGHTS or found.status != "True":
        return found
    return Finding(found.type, "False", stop.reason, WITHHELD[found.type])


def _contested(found: Finding, child: Ref, agent: str) -> Finding:
    """The same; where somebody edits a child again and again, its condition is not True, and stays so."""
    if found.type is not condition_of(child, agent) or found.status != "True":
        return found
    return Finding(found.type, "False", Reason.FENCE_CONTESTED, contest(child))


def _stop(planned: Plan, outcome: Outcome, after: After) -> Stop | None:
    """Why it is stopped. By what is stored, too: who begins anew does not know since when."""
    if planned.stop is not None and planned.stop.reason is Reason.FENCE_CONTESTED:
        return planned.stop  # also without a workload: whoever edits its children may have deleted that as well
    if after.workload is None:
        return None
    if planned.stop is not None:
        return planned.stop
    wanted = planned.agent is not None and not is_stopped(planned.agent)
    return unfenced(outcome.unfenced) if outcome.unfenced and wanted and not pods_wanted(after.workload) else None


def _network(seen: Observed, agent: Agent | None, outcome: Outcome) -> Finding:
    found = _applied(ConditionType.NETWORK_POLICY_APPLIED, outcome.blocked, "the deny and the allow policy are stored")
    if found.status == "True" and (elsewhere := seen.redirected):
        return Finding(found.type, "False", Reason.SERVICE_REDIRECTED, redirects.sentence(elsewhere))
    if agent and found.status == "True" and (missing := missing_services(agent)):
        sentence = f"no Service with a selector and that port: {', '.join(missing)}; nothing is opened for it"
        return Finding(found.type, "False", Reason.SERVICE_NOT_FOUND, sentence)
    if agent and found.status == "True" and (pods := by_dns(agent)):
        return _dns(found, agent, listed(f"{namespace}/{name}" for namespace, name in pods))
    return found


def _dns(found: Finding, agent: Agent, pods: str) -> Finding:
    """Of an agent with headless Services, whose names are those of pods."""
    if agent.dns_allowed:
        message = f"{found.message}; the cluster's DNS is open, since these are headless: {pods}"
        return Finding(found.type, "True", Reason.APPLIED, message)
    sentence = (
        f"no DNS finds the pods of {pods}, headless: an AgentPolicy's spec.egress.dns is Never. "
        "Give the Service a cluster address, or have the policy say WhereNeeded"
    )
    return Finding(found.type, "False", Reason.DNS_REFUSED, sentence)


def _permissions(agent: Agent | None, outcome: Outcome) -> Finding:
    found = _applied(ConditionType.RIGHTS_APPLIED, outcome.blocked, "its Roles hold exactly the rules of the spec")
    if agent and found.status == "True" and (silent := targets.withheld(agent)):
        sentence = f"nothing, or not all, is given in namespaces that do not consent to it: {listed(silent)}"
        return Finding(found.type, "False", Reason.CONSENT_MISSING, sentence)
    if agent and found.status == "True" and not agent.spec.permissions.asks:
        return Finding(found.type, "True", Reason.NO_RIGHTS, "no permissions on the Kubernetes API, and no token")
    return found


def _secrets(seen: Observed, planned: Plan, outcome: Outcome, after: After) -> Finding:
    if after.not_granted:
        return Finding(ConditionType.SECRETS_FRESH, "False", Reason.NOT_GRANTED, after.not_granted)
    if after.secrets is None:
        return _applied(ConditionType.SECRETS_FRESH, outcome.blocked, "no secrets")
    done = taken_up(seen, after.workload)
    return ages.finding(after.secrets, max_age=planned.max_age, now=seen.now, rolled_out=done)


def _gateway(seen: Observed, planned: Plan, outcome: Outcome) -> list[Finding]:
    applied = _applied(ConditionType.GATEWAY_READY, outcome.blocked, "its egress gateway is stored")
    found = gateway.finding(seen, planned.agent, applied)
    return [found] if found else []


def _workload(seen: Observed, planned: Plan, outcome: Outcome, after: After) -> Finding:
    agent = planned.agent
    kind, blocked = ConditionType.WORKLOAD_AVAILABLE, outcome.blocked
    if blocked and blocked.condition is kind:
        return Finding(kind, "False", blocked.reason, blocked.message)
    suspended = agent is not None and is_stopped(agent)
    if agent is not None and ends(agent.spec):
        told = runs.history(seen, planned.runs, stamp(seen.now)).get("runs") or []
        started = after.workload is not None or bool(told)
        return conditions.runs(agent.spec.run, told, started=started, suspended=suspended, diagnosis=after.diagnosis)
    return conditions.workload(after.workload, suspended=suspended, diagnosis=after.diagnosis)


def _applied(condition: ConditionType, blocked: Blocked | None, sentence: str) -> Finding:
    """True unless the pass was blocked at this condition or before it."""
    if blocked is None or condition_before(condition, blocked.condition):
        return Finding(condition, "True", Reason.APPLIED, sentence)
    if blocked.condition is condition:
        return Finding(condition, "False", blocked.reason, blocked.message)
    return Finding(condition, "False", Reason.NOT_APPLIED, f"waits for {blocked.condition}")


def _status(
    seen: Observed, planned: Plan, after: After, findings: Sequence[Finding], egress: Sequence[str] | None
) -> Object:
    """What was there, and what is new of it. What is None is not there any more."""
    old, agent = dict(seen.status), planned.agent
    generation = seen.agent.generation if seen.agent else 0
    numbers = (after.workload or {}).get("status") or {}
    new: Object = {
        "observedGeneration": generation,
        "conditions": conditions.stored(
            old.get("conditions") or [], findings, generation=generation, now=stamp(seen.now)
        ),
        "replicas": numbers.get("replicas", 0),
        "readyReplicas": numbers.get("readyReplicas", 0),
    }
    new |= runs.history(seen, planned.runs, stamp(seen.now))
    if agent is not None and ends(agent.spec):
        new |= runs.numbers(runs.present(seen))
    if after.secrets is not None:
        new |= ages.status(after.secrets)
    # An agent that runs on as it was accepted before has what is in force, too: it changes when a node joins.
    if (not planned.violations or seen.known) and agent and egress is not None:
        new["acceptedGeneration"] = generation
        new["effectivePermissions"] = effective_permissions(agent)
        new["effectiveEgress"] = egress
        new["service"] = _service(seen, agent)
        known = seen.agent.grace_periods if seen.agent else frozenset[int]()
        new["gracePeriods"] = remembered_periods(grace_seconds(agent.spec), known, (pod.grace for pod in seen.pods))
        new["selector"] = ",".join(f"{key}={value}" for key, value in agent.selector.items())
        new[redirects.FIELD] = redirects.remembered(agent.services, seen.accepted_services)
        listed = old.get("managedResources") or []
        if old.get("acceptedGeneration") != generation or _names_missing(old, planned, seen.key.namespace):
            listed = [_listed(ref, seen.key.namespace) for ref in planned.children]
        new["managedResources"] = with_digests(listed, seen.key.namespace, seen.ownership)
    if planned.stop is not None and planned.stop.withholds and seen.accepted_before:
        new |= {"effectivePermissions": [], "effectiveEgress": []}
    return {name: value for name, value in (EMPTY | old | new).items() if value is not None}


def _listed(ref: Ref, own: str) -> dict[str, Any]:
    return {"kind": ref.kind, "name": ref.name} | ({} if ref.namespace == own else {"namespace": ref.namespace})


def _names_missing(old: Mapping[str, Any], planned: Plan, namespace: str) -> bool:
    """Whether the stored list of children is another one for the same generation.

    With another job image, another consent, or another version of Ringfence.
    """
    return bool(planned.children) and listed_in(old, namespace) != frozenset(planned.children)


def _service(seen: Observed, agent: Agent) -> str | None:
    """Name of its Service, once that is stored."""
    ref = Ref("Service", seen.key.namespace, service_name(agent.name))
    known = seen.ownership.get(ref)
    return ref.name if agent.spec.ports and known is not None and known.agent_uid == seen.identity.uid else None


def _look(seen: Observed, planned: Plan, outcome: Outcome, after: After, findings: Sequence[Finding]) -> Look:
    agent, blocked = planned.agent, outcome.blocked
    unavailable = any(one.type is ConditionType.WORKLOAD_AVAILABLE and one.status != "True" for one in findings)
    stopped = agent is not None and is_stopped(agent)
    waiting = blocked is not None and blocked.condition is not ConditionType.ACCEPTED
    in_runs = agent is not None and ends(agent.spec)
    waits_for_pods = unavailable and not planned.violations and not stopped
    waits_for_pods &= not in_runs or bool(runs.numbers(runs.present(seen))["replicas"])
    waiting |= waits_for_pods and (after.workload is None or after.asks_again)
    waiting |= outcome.lacks_block
    unwatched = agent is not None and (agent.spec.secrets or has_hosts(agent.spec))
    pauses = [SECRETS_AGAIN] if unwatched else []
    pauses += [ROTATES_AGAIN] if seen.rotates else []
    # A value before goes when its time is up, not up to a minute later.
    overlaps = [one.previous_until for one in after.secrets or () if one.has_previous and one.previous_until]
    pauses += [(end - seen.now).total_seconds() for end in overlaps if end > seen.now]
    if agent is not None and in_runs:
        pauses += [max((end - seen.now).total_seconds(), 1.0) for end in runs.kept_until(seen, agent.spec)]
    pauses += [seen.held.again] if seen.held.again is not None else []
    pauses += [seen.fence.quiet_in] if seen.fence.contested is not None else []
    # This pass put the fence right, and was planned before: the next one gives the agent its pods back.
    pauses += [0.0] if seen.fence.unfenced_for is not None and planned.stop and not outcome.unfenced else []
    return Look(after=min(pauses, default=None), waiting=waiting, rarely=waits_for_pods and not waiting)
