"""What was observed, as conditions. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ringfence.api.run import Run
from ringfence.api.status import ConditionType, Progress, Reason, is_met
from ringfence.policy.held import Held
from ringfence.policy.model import RuleName, Violation
from ringfence.policy.widening import Way, Widening, sentence
from ringfence.resources.phases import PHASES

Status = Literal["True", "False", "Unknown"]
WIDENED_BY = {
    Way.PODS: Reason.POD_RELABELLED,
    Way.SHAPES: Reason.POD_NOT_RESTRICTED,
    Way.POLICIES: Reason.FOREIGN_POLICY,
    Way.BINDINGS: Reason.FOREIGN_BINDING,
}
OF_OTHERS = frozenset(
    {Reason.EXISTING_SECRET_TOO_OLD, Reason.AGE_UNKNOWN, Reason.REQUESTER_UNKNOWN, Reason.NOT_ANSWERED}
)
"""What is said of what others own. The agent is Ready all the same: it can do nothing about it."""
OF_RUNS = frozenset({Reason.RUNNING, Reason.SCHEDULED, Reason.RUN_SUCCEEDED})
"""What Ready says of an agent whose work ends."""
GOES_ON = frozenset(
    {
        Reason.PROGRESSING,
        Reason.NOT_APPLIED,
        Reason.WRITE_FAILED,
        Reason.SERVICE_NOT_FOUND,
        Reason.SECRET_NOT_FOUND,
        Reason.SECRET_UNUSABLE,
        Reason.DELETING,
        Reason.INTERNAL_ERROR,
    }
)
"""Why it is not Ready and may come to be by itself: something is under way, or may be applied a moment later."""
MAX_MESSAGE = 4096
"""Characters, as the CRD bounds them; a person reads the first lines."""
MAX_VIOLATIONS = 10


@dataclass(frozen=True)
class Finding:
    """One condition without its times."""

    type: ConditionType | Progress
    status: Status
    reason: Reason
    message: str


def accepted(violations: Sequence[Violation], *, kept: bool, suspended: bool = False) -> Finding:
    """The decision. `kept`: the children of the last good state are still maintained; `suspended`: without pods."""
    if not violations:
        return Finding(ConditionType.ACCEPTED, "True", Reason.ACCEPTED, "asks for nothing beyond its policies")
    lines = [f"{v.path}: {v.rule}: {v.message}" for v in violations[:MAX_VIOLATIONS]]
    if len(violations) > MAX_VIOLATIONS:
        lines.append(f"and {len(violations) - MAX_VIOLATIONS} more")
    if suspended:
        lines.append("The agent was accepted before, and has no pods until it fits again.")
    elif kept:
        lines.append("The agent was accepted before and is kept as it was; nothing new is given to it.")
    return Finding(ConditionType.ACCEPTED, "False", _why_refused({v.rule for v in violations}), "\n".join(lines))


def _why_refused(rules: set[RuleName]) -> Reason:
    """The first of these that applies. That a hand-over is undecided is to be found in the status again."""
    if RuleName.HAND_OVER_UNDECIDED in rules:
        return Reason.HAND_OVER_UNDECIDED
    return Reason.INVALID if RuleName.INVALID_FIELD in rules else Reason.REFUSED


def workload(deployment: Mapping[str, Any] | None, *, suspended: bool, diagnosis: tuple[Reason, str] | None) -> Finding:
    """What the Deployment says of itself; `diagnosis` is what its pods say when it is not available."""
    kind = ConditionType.WORKLOAD_AVAILABLE
    if deployment is None or "suspend" in deployment["spec"]:
        return Finding(kind, "False", Reason.NOT_APPLIED, "not started: the steps before it are not done")
    wanted = deployment["spec"].get("replicas", 1)
    status = deployment.get("status") or {}
    seen = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
    pods, ready, updated = (status.get(key, 0) for key in ("replicas", "availableReplicas", "updatedReplicas"))
    if suspended:
        gone = seen and pods == 0
        return Finding(
            kind,
            "False",
            Reason.SUSPENDED,
            "suspended: no pods" if gone else "suspended: its pods are stopping",
        )
    if wanted == 0:
        return Finding(kind, "False", Reason.NOT_APPLIED, "stopped: it starts again")
    if seen and ready >= wanted and updated >= wanted:
        return Finding(kind, "True", Reason.AVAILABLE, f"{ready} of {wanted} pods available")
    reason, why = diagnosis or (Reason.PROGRESSING, "starting")
    return Finding(kind, "False", reason, f"{ready} of {wanted} pods available: {why}")


def runs(
    run: Run | None,
    told: Sequence[Mapping[str, Any]],
    *,
    started: bool,
    suspended: bool,
    diagnosis: tuple[Reason, str] | None,
) -> Finding:
    """Of an agent whose work ends: whether its last run did not fail. `told`: its runs, as the status has them.

    `started`: whether anything was made that makes pods. `diagnosis`: what the pods of a run at work say.
    """
    kind = ConditionType.WORKLOAD_AVAILABLE
    at_work = next((one for one in told if one["outcome"] == "Running"), None)
    if suspended:
        stopping = "suspended: its pods are stopping" if at_work else "suspended: no run begins"
        return Finding(kind, "False", Reason.SUSPENDED, stopping)
    if not started:
        return Finding(kind, "False", Reason.NOT_APPLIED, "not started: the steps before it are not done")
    if at_work is not None:
        name = at_work["name"]
        if diagnosis is not None:
            return Finding(kind, "False", diagnosis[0], f"run {name}: {diagnosis[1]}")
        return Finding(kind, "True", Reason.RUNNING, f"run {name} is at work")
    return _last_run(run, told)


def _last_run(run: Run | None, told: Sequence[Mapping[str, Any]]) -> Finding:
    kind = ConditionType.WORKLOAD_AVAILABLE
    last = next((one for one in told if one["outcome"] in {"Succeeded", "Failed"}), None)
    if last is not None and last["outcome"] == "Failed":
        why = f"run {last['name']} failed ({last.get('reason')}); kubectl logs job/{last['name']} shows what it wrote"
        return Finding(kind, "False", Reason.RUN_FAILED, why)
    comes = f"the next one comes by the schedule {run.schedule}" if run is not None and run.schedule else ""
    if last is not None:
        sentence = "; ".join(filter(None, (f"run {last['name']} succeeded", comes)))
        return Finding(kind, "True", Reason.RUN_SUCCEEDED, sentence)
    return Finding(kind, "True", Reason.SCHEDULED, comes or "no run is at work")


def widened(found: Sequence[Widening]) -> Finding:
    """Whether others opened something for the agent. The reason is that of the worst."""
    kind = ConditionType.FENCE_WIDENED
    if not found:
        return Finding(kind, "False", Reason.AS_DECLARED, "no policy or binding of others reaches the agent")
    return Finding(kind, "True", WIDENED_BY[min(one.way for one in found)], sentence(found))


def held(found: Held) -> Finding | None:
    """Whether somebody holds what the agent gets. None: there is nothing that anybody must hold."""
    kind = ConditionType.PERMISSIONS_HELD
    if found.violations:
        sentence = "not all of what this agent gets is held by whoever must hold it: Accepted says what"
        return Finding(kind, "False", Reason.NOT_HELD, sentence)
    if found.unknown is not None:
        return Finding(kind, "Unknown", *found.unknown)
    return Finding(kind, "True", Reason.HELD, f"{found.who}, holds what this agent gets") if found.who else None


def ready(findings: Sequence[Finding]) -> Finding:
    """The sum: True when every other condition is as it should be; else the first one that is not speaks."""
    for finding in findings:
        if finding.type is ConditionType.FENCE_WIDENED and finding.status == "True":
            return Finding(ConditionType.READY, "False", Reason.FENCE_WIDENED, finding.message)
        if not (is_met(finding.type, finding.status) or finding.reason in OF_OTHERS):
            return Finding(ConditionType.READY, "False", finding.reason, finding.message)
    message = "the fence stands and the agent runs inside it"
    for finding in findings:
        if finding.reason in OF_RUNS:
            return Finding(ConditionType.READY, "True", finding.reason, f"the fence stands; {finding.message}")
    return Finding(ConditionType.READY, "True", Reason.READY, message)


def progress(summary: Finding) -> list[Finding]:
    """Reconciling and Stalled, after the rules of kstatus, from the condition Ready."""
    waiting = summary.status != "True" and summary.reason is not Reason.SUSPENDED
    going = waiting and summary.reason in GOES_ON
    idle, told = "nothing is under way", summary.message
    stuck = waiting and not going
    return [
        Finding(Progress.RECONCILING, "True" if going else "False", summary.reason, told if going else idle),
        Finding(
            Progress.STALLED, "True" if stuck else "False", summary.reason, told if stuck else "nothing is in its way"
        ),
    ]


def stored(
    old: Sequence[Mapping[str, Any]], findings: Sequence[Finding], *, generation: int, now: str
) -> list[dict[str, Any]]:
    """The conditions to store: the findings, of which the first is Ready, and what follows from it."""
    return merge(old, [*findings, *progress(findings[0])], generation=generation, now=now)


def condition_before(one: ConditionType, other: ConditionType) -> bool:
    """Whether a condition speaks of an earlier phase than another."""
    order = list(dict.fromkeys([ConditionType.ACCEPTED, *(phase.condition for phase in PHASES)]))
    return order.index(one) < order.index(other)


def changed(old: Sequence[Mapping[str, Any]], findings: Sequence[Finding]) -> list[Finding]:
    """Those whose status or reason is another than that of the stored condition."""
    before = {condition["type"]: (condition["status"], condition["reason"]) for condition in old}
    return [one for one in findings if before.get(one.type) != (one.status, one.reason)]


def merge(
    old: Sequence[Mapping[str, Any]], findings: Sequence[Finding], *, generation: int, now: str
) -> list[dict[str, Any]]:
    """The conditions to store. The transition time moves only when the status does."""
    before = {condition["type"]: condition for condition in old}
    merged = []
    for finding in findings:
        known = before.get(finding.type)
        same = known is not None and known["status"] == finding.status
        merged.append(
            {
                "type": str(finding.type),
                "status": finding.status,
                "observedGeneration": generation,
                "lastTransitionTime": known["lastTransitionTime"] if known and same else now,
                "reason": str(finding.reason),
                "message": finding.message[:MAX_MESSAGE],
            }
        )
    return merged
