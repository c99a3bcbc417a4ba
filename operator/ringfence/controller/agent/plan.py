"""What a pass over one agent is to do, from what was observed. Pure: no clock, no client, no cluster."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from ringfence.api import AgentDeploymentSpec
from ringfence.api.secrets import duration
from ringfence.api.status import Reason
from ringfence.policy.decide import binding, decide
from ringfence.policy.handover import check_hand_over
from ringfence.policy.model import AgentObject, NamedPolicy, Violation
from ringfence.policy.opened import closed_for_good, opening
from ringfence.resources import Agent, Ref, build_deny
from ringfence.resources.model import ALLOW as ALLOW_SUFFIX
from ringfence.resources.model import DENY, Runs, child_name
from ringfence.resources.phases import ALLOW, GATEWAY, PERMISSIONS, PHASES, SECRETS, WORKLOAD, Order, Phase
from ringfence.resources.phases import DENY as DENY_PHASE
from ringfence.resources.runs import ends, makes_pods
from ringfence.resources.secrets import restart_annotation, when
from ringfence.resources.stored import Desired, StoredChild, controlled_by
from ringfence.store.left_behind import is_left_behind
from ringfence.store.records import StoredAgent

from . import ages, gate, gateway, redirects, runs, verification
from .accepted import edited_since, listed_in, stop_for, suspended
from .actions import (
    Action,
    AwaitEnd,
    DropGateway,
    DropPrevious,
    EndPods,
    EnsureChild,
    MakeSecret,
    PutReads,
    RemoveChild,
    RemoveLeft,
    RemoveRun,
    RemoveSecret,
)
from .fence import Stop, stop_of
from .fit import Fit, judge
from .observed import Observed
from .runs import NOTHING, Coming
from .targets import given, unconsented
from .workloads import deployment_ref, pods_wanted, stop_action, taken_up, was_stopped, workload_of

PODS_IN_A_PASS = 50
"""Pods that one pass ends at most, so that the fence waits for no more. Whoever ends them in any case is pods.py."""
BEING_DELETED = Stop(Reason.DELETING, "it is being deleted")


class Mode(StrEnum):
    """What a pass is about."""

    FORGET = "forget"
    """The agent is gone."""
    WIND_DOWN = "wind down"
    """It is being deleted, and waits for somebody's finalizer: no pods meanwhile. Its children are not put back."""
    HOLD = "hold"
    """It is not accepted: nothing but the policy that drops everything."""
    APPLY = "apply"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do, in order. `agent`: None where its spec cannot be read. `right`: children that are as they should be.

    `children`: all that the spec asks for, where it is applied; of a stopped agent too. `bound`: the policies that bind
    the agent. `max_age`: the oldest that these let a secret become. `stop`: why it is to have no pods. `runs`: what is
    to become of its runs.
    """

    mode: Mode
    violations: tuple[Violation, ...] = ()
    bound: tuple[NamedPolicy, ...] = ()
    agent: Agent | None = None
    actions: tuple[Action, ...] = ()
    right: tuple[StoredChild, ...] = ()
    children: tuple[Ref, ...] = ()
    max_age: timedelta = timedelta.max
    stop: Stop | None = None
    runs: Coming = NOTHING


def plan(seen: Observed) -> Plan:
    """The one way from what is to what is to be done."""
    left: tuple[Action, ...] = tuple(RemoveLeft(phase=PERMISSIONS, child=child) for child in seen.left)
    if seen.agent is None:
        return Plan(mode=Mode.FORGET, actions=(*left, *_reads(seen, frozenset())))
    if seen.agent.deleting:
        left = (*left, *_reads(seen, frozenset()))
        if seen.agent.orphans:
            return Plan(mode=Mode.WIND_DOWN, actions=left)
        stop_it = stop_action(seen, BEING_DELETED)
        return Plan(mode=Mode.WIND_DOWN, actions=(*_ends(seen), *left, stop_it), stop=BEING_DELETED)
    decided = decide(candidate(seen, seen.agent), seen.policies, seen.facts)
    decided = [*decided, *seen.held.violations]
    violations = (*decided, *check_hand_over(seen.raw, seen.hand_over))
    bound = tuple(binding(seen.policies, seen.facts))
    max_age = min(duration(policy.spec.secrets.max_age) for policy in bound)
    agent, stop = _agent(seen, bound), stop_of(seen.fence, bound)
    where = opening(seen.key.namespace, seen.facts)
    if where.is_for_good and not seen.accepted_before:  # what is written there, too, could stop what runs there
        refused = Coming(refused=runs.refusal(seen))
        return Plan(mode=Mode.HOLD, violations=violations, bound=bound, agent=agent, max_age=max_age, runs=refused)
    if where.is_for_good:
        stop = Stop(Reason.REFUSED, f"stopped: no pods: {closed_for_good(seen.key.namespace, where)}")
    elif stop is None and seen.accepted_before:
        stop = suspended(decided, bound)
    children: tuple[Ref, ...] = ()
    coming = Coming(refused=runs.refusal(seen))
    if agent is None or (violations and (where.is_for_good or not seen.known)):
        deny = Desired(build_deny(seen.identity))
        actions, right = _ensure(seen, [(DENY_PHASE, deny)], known=seen.accepted_before)
        edited = _edited(seen)
        stop = stop or stop_for(edited, runs.workloads(seen) if seen.accepted_before else ())
        taken = edited
        if stop and stop.withholds:  # what lets it reach anything
            taken = [*edited, *(one for one in seen.owned if _gives(_phase_of(seen, one), one))]
        taken = [*unconsented(seen.key, seen.owned, seen.facts), *taken]
        none = not seen.accepted_before or (stop is not None and stop.withholds)
        actions, mode = (
            (*actions, *_take_away(seen, taken), *_reads(seen, frozenset() if none else seen.reads)),
            Mode.HOLD,
        )
    else:
        agent, coming = _with_runs(seen, agent, stop, accepted=not violations)
        agent = replace(agent, verification=verification.wanted(seen, agent, stop))
        wanted = {phase.order: phase.desired(agent) for phase in PHASES}
        children = tuple(desired.ref for built in wanted.values() for desired in built)
        actions, right = _apply(seen, agent, wanted, stop, coming)
        mode = Mode.APPLY
    return Plan(
        mode=mode,
        violations=violations,
        bound=bound,
        agent=agent,
        actions=(*_ends(seen), *left, *(_with_stop(seen, stop, actions) if stop else actions)),
        right=right,
        children=children,
        max_age=max_age,
        stop=stop,
        runs=coming,
    )


def part_of_fence(action: "Action") -> Ref | None:
    """The child that an action is about, where that one decides what the agent can reach."""
    match action:
        case EnsureChild(phase=phase, desired=Desired(ref=ref)) | RemoveChild(phase=phase, child=StoredChild(ref=ref)):
            return ref if ref.kind in phase.fence else None
    return None


def _deny_ref(seen: Observed) -> Ref:
    return Ref("NetworkPolicy", seen.key.namespace, child_name(seen.key.name, DENY))


def _edited(seen: Observed) -> list[StoredChild]:
    """Parts of its fence that are not as the agent was accepted with them, while it is not accepted."""
    if not seen.accepted_before:
        return []
    return edited_since(seen.status, seen.owned, seen.children, seen.ownership, restored=_deny_ref(seen))


def _gives(phase: Phase | None, child: StoredChild) -> bool:
    return phase is not None and child.ref.kind in phase.gives


def _take_away(seen: Observed, edited: Sequence[StoredChild]) -> Iterator[RemoveChild]:
    """What of it is the agent's own: its pods may take half a minute to end. It is made anew with the agent."""
    for child in {one.ref: one for one in edited}.values():
        if child in seen.owned and (phase := _phase_of(seen, child)) is not None:
            yield RemoveChild(phase=phase, child=child)


def _phase_of(seen: Observed, child: StoredChild) -> Phase | None:
    """Of a child by which the agent itself, and no job of its, reaches anything."""
    if child.elsewhere:
        return PERMISSIONS
    name = child_name(seen.key.name)
    return {f"{name}-{ALLOW_SUFFIX}": ALLOW, name: PERMISSIONS}.get(child.ref.name)


def _with_stop(seen: Observed, stop: Stop, actions: Sequence[Action]) -> tuple[Action, ...]:
    """First what takes something away from the agent, which counts at once; pods take their time."""
    first = [one for one in actions if stop.withholds and isinstance(one, RemoveChild)]
    return (*first, stop_action(seen, stop), *(one for one in actions if one not in first))


def _with_runs(seen: Observed, agent: Agent, stop: Stop | None, *, accepted: bool) -> tuple[Agent, Coming]:
    """What becomes of the runs; and the agent with those that are to be."""
    wanted = None
    if ends(agent.spec):
        bare = replace(agent, runs=Runs())
        wanted = next(one for one in WORKLOAD.desired(bare) if makes_pods(one.ref.kind, one.ref.name))
    coming = runs.coming(seen, agent.spec, stop, wanted, accepted=accepted)
    return replace(agent, runs=coming.runs), coming


def _ends(seen: Observed) -> tuple[EndPods, ...]:
    """Before all else: whoever takes such a pod away first decides how long it stays. The newest first."""
    periods = _periods(seen)
    left = [pod for pod in seen.pods if is_left_behind(pod, periods)]
    pods = sorted(left, key=lambda pod: pod.version, reverse=True)[:PODS_IN_A_PASS]
    return (EndPods(phase=WORKLOAD, pods=tuple(pods)),) if pods else ()


def candidate(seen: Observed, agent: StoredAgent) -> AgentObject:
    """The agent, as `decide` takes it."""
    return AgentObject(
        name=seen.key.name,
        namespace=seen.key.namespace,
        spec=seen.raw,
        generation=agent.generation,
        parsed=seen.parsed,
    )


def _agent(seen: Observed, bound: Sequence[NamedPolicy]) -> Agent | None:
    """The agent with what was read of its surroundings; None where its spec cannot be read."""
    if seen.spec is None:
        return None
    return Agent(
        **vars(seen.identity),
        spec=seen.spec,
        fence_uid=_fence_uid(seen),
        services=redirects.followed(seen.services, seen.accepted_services),
        service_addresses=seen.service_addresses,
        dns=seen.dns,
        dns_allowed=not any(policy.spec.egress.dns == "Never" for policy in bound),
        api_server=seen.api_server,
        cluster=seen.facts.cluster_networks,
        job_image=seen.job_image,
        gateway_image=seen.gateway_image,
        gateway_address=gateway.address(seen),
        gateway_reports=seen.gateway_reports,
        upstream_proxy=seen.upstream_proxy,
        user_ids=seen.user_ids,
        secret_states=seen.secret_states,
        gate=seen.gate,
        restarts=_restarts(seen, seen.spec),
        elsewhere=given(seen.spec.permissions, seen.key, bound, seen.facts),
    )


def _fence_uid(seen: Observed) -> str | None:
    """None while the policy is being deleted: it would wait for the workload, and the workload stays."""
    deny = seen.children.get(_deny_ref(seen))
    return deny.uid if deny is not None and not deny.deleting else None


def _restarts(seen: Observed, spec: AgentDeploymentSpec) -> dict[str, str]:
    """Marks of rotation jobs on the stored workload. Whoever sets one restarts the agent, and nothing more."""
    live = seen.children.get(deployment_ref(seen))
    template = ((live.shown or {}).get("spec") or {}).get("template") or {} if live else {}
    marks = (template.get("metadata") or {}).get("annotations") or {}
    names = [restart_annotation(secret.name) for secret in spec.secrets if secret.rotation and secret.delivery.env]
    return {name: marks[name] for name in names if when(marks.get(name))}


def _apply(
    seen: Observed, agent: Agent, wanted: Mapping[Order, Sequence[Desired]], stop: Stop | None, coming: Coming
) -> tuple[tuple[Action, ...], tuple[StoredChild, ...]]:
    """The deny policy; what is withdrawn, which waits for nothing else; then phase by phase.

    `wanted`: its children by phase. `stop`: the workload is left without pods, and as it is otherwise.
    """
    if stop is not None and stop.withholds:
        wanted = {
            phase.order: [one for one in wanted[phase.order] if one.ref.kind not in phase.gives] for phase in PHASES
        }
    refs = frozenset(desired.ref for built in wanted.values() for desired in built)
    first, right = _ensure(seen, [(DENY_PHASE, one) for one in wanted[Order.DENY]], known=seen.known)
    rest: list[Action] = []
    for phase in (ALLOW, PERMISSIONS, SECRETS, GATEWAY, WORKLOAD):
        if phase is SECRETS:
            rest += _reads(seen, frozenset(() if stop and stop.withholds else agent.spec.permissions.cluster_reads))
            rest += _make_secrets(seen, agent)
        if phase is GATEWAY:
            rest += gateway.put(seen, agent)
        if phase is WORKLOAD:
            rest += [*gateway.waits(agent), *gate.waits(agent)]
        pairs = [(phase, one) for one in wanted[phase.order] if not _withheld(seen, agent, one.ref, stop, coming)]
        # What was withheld is missing rightly, when the agent is to run again.
        known = seen.known and not (phase.gives and was_stopped(seen))
        actions, fine = _ensure(seen, pairs, known=known, fence_comes=bool(first))
        rest += actions
        right += fine
    waits = (AwaitEnd(phase=WORKLOAD, what=coming.waits),) if coming.waits and not stop else ()
    gone = (*_withdraw(seen, refs), *_leaving(seen, coming))
    return (*first, *gone, *rest, *_drop_previous(seen, agent), *waits), right


def _periods(seen: Observed) -> frozenset[int]:
    """Seconds that templates of ours gave its pods to end."""
    return seen.agent.grace_periods if seen.agent else frozenset()


def _withheld(seen: Observed, agent: Agent, ref: Ref, stop: Stop | None, coming: Coming) -> bool:
    """Whether a workload is left as it is; and none is made beside what has to end before, or without its gateway."""
    if gateway.is_withheld(agent, ref):
        return True
    if not makes_pods(ref.kind, ref.name):
        return False
    if gateway.is_missing(agent) or gate.is_missing(agent):
        return True
    return stop is not None or bool(coming.waits and ref not in seen.children)


def _leaving(seen: Observed, coming: Coming) -> Iterator[Action]:
    """The workload of the mode before, and runs that are to go."""
    for child in coming.leaving:
        if not child.deleting:
            yield RemoveChild(phase=WORKLOAD, child=child)
    periods = _periods(seen)
    for one in coming.removals:
        pods = tuple(pod for pod in seen.pods if one.why and pod.job == (one.run.name, one.run.child.uid))
        foreign = tuple(pod for pod in pods if not (pod.grace is None or pod.grace in periods or pod.ends))
        yield RemoveRun(phase=WORKLOAD, child=one.run.child, pods=foreign)


def _reads(seen: Observed, wanted: frozenset[str]) -> Iterator[PutReads]:
    if wanted != seen.reads:
        yield PutReads(phase=PERMISSIONS, wanted=wanted, known=seen.known and not was_stopped(seen))


def _ensure(
    seen: Observed, pairs: Sequence[tuple[Phase, Desired]], *, known: bool, fence_comes: bool = False
) -> tuple[tuple[Action, ...], tuple[StoredChild, ...]]:
    actions: list[Action] = []
    right: list[StoredChild] = []
    listed = listed_in(seen.status, seen.key.namespace)
    for phase, desired in pairs:
        live = seen.children.get(desired.ref)
        fit = judge(desired, live, seen.identity, seen.ownership.get(desired.ref))
        behind = _deny_ref(seen) if fence_comes and makes_pods(desired.ref.kind, desired.ref.name) else None
        if fit is Fit.RIGHT and live is not None and behind is None:
            right.append(live)
            continue
        # A workload that was stopped gets no pods as long as anything is in the way.
        keep = known and live is not None and phase is not DENY_PHASE and pods_wanted(live.shown) != 0
        before = _was_there(seen, desired.ref, known=known)
        # A child that a newer Ringfence makes was not there before: nobody took it away.
        before = before and (live is not None or not listed or desired.ref in listed)
        actions.append(EnsureChild(phase=phase, desired=desired, fit=fit, known=before, keep=keep, behind_fence=behind))
    return tuple(actions), tuple(right)


def _was_there(seen: Observed, ref: Ref, *, known: bool) -> bool:
    """Whether it was there before, so that somebody took it away. A run is new each time."""
    if ref.kind != "Job":
        return known
    return any(one["name"] == ref.name and one["outcome"] == "Running" for one in seen.status.get("runs") or [])


def _withdraw(seen: Observed, wanted: frozenset[Ref]) -> Iterator[Action]:
    """What the spec does not ask for any more. A rotated secret goes before its CronJob, which reminds of it."""
    for phase in PHASES:
        for child in phase.prune(wanted, seen.owned):
            # Without an image no rotation is built for any secret: that says nothing about the spec, and no value goes.
            if phase is SECRETS and child.ref.kind == "CronJob" and seen.job_image is not None:
                yield RemoveSecret(phase=phase, name=child.ref.name)
            if phase is GATEWAY and child.ref.kind == "Deployment":
                yield DropGateway(phase=phase)
            yield RemoveChild(phase=phase, child=child)


def _make_secrets(seen: Observed, agent: Agent) -> Iterator[MakeSecret]:
    """Of secrets whose value Ringfence makes: those that are not there, or that were not looked at."""
    for secret in agent.spec.secrets:
        if secret.source.generate is None:
            continue
        held = seen.secrets is not None and controlled_by(seen.secrets.get(secret.name), agent.uid)
        if not held:
            yield MakeSecret(phase=SECRETS, name=secret.name, known=seen.known)


def _drop_previous(seen: Observed, agent: Agent) -> Iterator[DropPrevious]:
    """Values before, whose overlap is over: the jobs remove them too, at their next tick, which may be a day away."""
    live = workload_of(seen)
    if seen.secrets is None or live is None or not taken_up(seen, live):
        return
    for secret in agent.spec.secrets:
        one = ages.observed(agent.name, secret, seen.secrets.get(secret.name))
        if one.overlap_is_over(seen.now):
            yield DropPrevious(phase=SECRETS, secret=one)
