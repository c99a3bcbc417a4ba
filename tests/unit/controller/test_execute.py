"""A plan is done in order, and stops where it cannot go on."""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from ringfence.api.status import ConditionType, Reason
from ringfence.controller.agent.actions import (
    Action,
    DropPrevious,
    EndPods,
    EnsureChild,
    MakeSecret,
    RemoveChild,
    RemoveSecret,
    StopWorkload,
)
from ringfence.controller.agent.ages import ObservedSecret
from ringfence.controller.agent.errors import (
    AgentGone,
    MutatedOnWrite,
    NotGranted,
    NotHeld,
    NotLeading,
    OwnershipConflict,
    Requeue,
    Settling,
)
from ringfence.controller.agent.execute import Blocked, Executor, Outcome, obstacle
from ringfence.controller.agent.fence import TRY_AGAIN, Fences, Stop, unfenced
from ringfence.controller.agent.fit import Fit
from ringfence.controller.agent.plan import (
    BEING_DELETED,
    Mode,
    Plan,
)
from ringfence.kube import ApiError, Conflict, NotFound, NotServed, RingfenceError, Unreachable
from ringfence.resources import Ref
from ringfence.resources.phases import ALLOW, DENY, PERMISSIONS, PHASES, SECRETS, WORKLOAD, Order, Phase
from ringfence.resources.stored import Desired
from ringfence.store.context import PolicyContext
from ringfence.store.records import StoredPod, read_pod
from ringfence.store.store import Store
from ringfence.telemetry.events import AgentName, AgentStopped
from unit.controller.make import (
    ACCOUNT,
    BINDING,
    DEPLOYMENT,
    KEY,
    POLICY_ALLOW,
    POLICY_DENY,
    ROLE,
    RULES,
    UID,
    agent,
    as_stored,
    built,
    left_pod,
    observed,
)
from unit.controller.make import SECRETS as WITH_SECRETS


class Hands:
    """In place of the writer and of the secrets: notes what is asked for, and fails where a test says so."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.fails: dict[str, Exception] = {}
        self.fences, self.store = Fences(), Store(PolicyContext())
        self.wrong: set[Ref] = set()
        self.unblocked: set[Ref] = set()

    def _do(self, what: str) -> None:
        self.done.append(what)
        if what in self.fails:
            raise self.fails[what]

    async def ensure(self, action: EnsureChild, _: Any) -> bool:
        self._do(f"{action.desired.ref.kind} {action.desired.ref.name}")
        return True

    async def remove(self, what: Any, _: Any = None) -> None:
        self._do(f"remove {what if isinstance(what, str) else what.ref.kind}")

    async def scale_to_zero(self, ref: Ref, _: Any) -> bool:
        self._do(f"stop {ref.name}")
        return True

    async def make(self, _: Any, secret: Any, *, known: bool) -> Mapping[str, Any]:
        self._do(f"make {secret.name} {known}")
        return {"uid": "s"}

    async def end(self, pods: Iterable[StoredPod], _: Any) -> None:
        self._do(f"end {' '.join(pod.key[1] for pod in pods)}")

    async def drop_previous(self, _: Any, one: ObservedSecret) -> None:
        self._do(f"drop {one.name}")

    def lacks_block(self, action: EnsureChild) -> bool:
        return action.desired.ref in self.unblocked

    def lets_more(self, ref: Ref, _desired: Any, _agent: Any) -> bool:
        return ref in self.wrong

    def repaired(self, ref: Ref, _agent: Any, rule: str) -> None:
        self.done.append(f"{rule} {ref.kind}")

    def remember(self, right: Any, _: Any) -> None:
        self.done += [f"remember {child.ref.kind}" for child in right]


class Run:
    """An executor, what it did, and what it told."""

    def __init__(self) -> None:
        self.hands, self.told = Hands(), list[Any]()
        hands: Any = self.hands
        self.executor = Executor(hands, hands, hands, self.told.append)

    async def do(self, *actions: Action, mode: Mode = Mode.APPLY, **more: Any) -> Outcome:
        return await self.executor.execute(
            observed(), Plan(mode=mode, agent=agent(WITH_SECRETS), actions=actions, **more)
        )


@pytest.fixture
def run() -> Run:
    return Run()


def ensure(phase: Phase, ref: Ref, *, keep: bool = False) -> EnsureChild:
    return EnsureChild(phase=phase, desired=built(ref, RULES), fit=Fit.WRONG, known=keep, keep=keep)


FIVE = [
    ensure(DENY, POLICY_DENY),
    ensure(ALLOW, POLICY_ALLOW),
    ensure(PERMISSIONS, ACCOUNT),
    ensure(PERMISSIONS, ROLE),
    ensure(WORKLOAD, DEPLOYMENT),
]
END = EndPods(phase=WORKLOAD, pods=(read_pod(left_pod()),))
DENIED, ALLOWED, ACCOUNTED, ROLED, WORKING = (f"{one.desired.ref.kind} {one.desired.ref.name}" for one in FIVE)
UNFENCED = Stop(Reason.UNFENCED, "x")
REFUSED = ApiError(422, "Invalid", "no such thing")


async def test_in_order(run: Run) -> None:
    outcome = await run.do(*FIVE, right=(as_stored(built(ROLE, RULES).manifest),))
    assert run.hands.done == ["remember Role", DENIED, ALLOWED, ACCOUNTED, ROLED, WORKING]
    assert (outcome.blocked, outcome.wrote, outcome.made) == (None, True, {})
    assert run.told == []


async def test_that_something_is_to_be_added_later_is_said(run: Run) -> None:
    run.hands.unblocked.add(ROLE)
    outcome = await run.do(*FIVE)
    assert (outcome.lacks_block, outcome.blocked) == (True, None)


async def test_nothing_to_do(run: Run) -> None:
    assert await run.do() == Outcome()


async def test_each_action_has_its_hand(run: Run) -> None:
    role = as_stored(built(ROLE, RULES).manifest)
    outcome = await run.do(
        RemoveChild(phase=PERMISSIONS, child=role),
        RemoveSecret(phase=SECRETS, name="x"),
        MakeSecret(phase=SECRETS, name="signing", known=True),
        DropPrevious(phase=SECRETS, secret=ObservedSecret("signing", "x", None)),
        END,
    )
    assert run.hands.done == ["remove Role", "remove x", "make signing True", "drop signing", "end left"]
    assert outcome.made == {"signing": {"uid": "s"}}
    assert outcome.wrote


@pytest.mark.parametrize("number", range(1, 5))
async def test_it_stops_at_the_first_phase_that_cannot_be_done(run: Run, number: int) -> None:
    order = [DENIED, ALLOWED, ACCOUNTED, ROLED, WORKING]
    run.hands.fails[order[number]] = REFUSED
    outcome = await run.do(*FIVE)
    assert run.hands.done == order[: number + 1]
    assert outcome.blocked is not None
    assert outcome.blocked.condition is FIVE[number].phase.condition


async def test_pods_that_cannot_be_ended_are_told_and_hinder_nothing(run: Run) -> None:
    run.hands.fails["end left"] = ApiError(403, "Forbidden", "no right to delete pods")
    outcome = await run.do(END, *FIVE)
    assert run.hands.done == ["end left", DENIED, ALLOWED, ACCOUNTED, ROLED, WORKING]
    assert outcome.blocked is not None
    assert (outcome.blocked.reason, outcome.unfenced) == (Reason.WRITE_FAILED, "")
    assert "no right to delete pods" in outcome.blocked.message


async def test_what_is_there_is_kept_as_it_should_be_whatever_blocks(run: Run) -> None:
    run.hands.fails |= {ALLOWED: REFUSED, WORKING: OwnershipConflict(DEPLOYMENT)}
    kept = ensure(WORKLOAD, DEPLOYMENT, keep=True)
    outcome = await run.do(*FIVE[:4], MakeSecret(phase=SECRETS, name="signing", known=True), kept)
    assert run.hands.done == [DENIED, ALLOWED, WORKING]
    assert outcome.blocked is not None
    assert outcome.blocked.message == "no such thing", "the first obstacle is told"


@pytest.mark.parametrize(
    ("failure", "stops"),
    [
        (OwnershipConflict(POLICY_DENY), True),
        (MutatedOnWrite(POLICY_DENY), True),
        (REFUSED, True),
        (ApiError(500, "InternalError", "etcd"), False),
        (Requeue("it is being deleted"), False),
    ],
)
async def test_without_the_deny_policy_nothing_goes_on(run: Run, failure: Exception, stops: bool) -> None:
    """And where there is no prospect of it, the pods are stopped."""
    run.hands.fails[DENIED] = failure
    outcome = await run.do(FIVE[0], ensure(WORKLOAD, DEPLOYMENT, keep=True))
    assert run.hands.done == [DENIED, *(["stop ringfence-a"] if stops else [])]
    why = unfenced(f"NetworkPolicy {POLICY_DENY.name}: {failure}").message
    stopped = AgentStopped(agent=AgentName("team", "a"), uid=UID, reason="Unfenced", why=why)
    assert run.told == ([stopped] if stops else [])
    assert outcome.blocked is not None
    assert outcome.blocked.condition is ConditionType.NETWORK_POLICY_APPLIED


async def test_one_that_is_being_deleted_is_stopped(run: Run) -> None:
    outcome = await run.do(StopWorkload(ref=DEPLOYMENT, why=BEING_DELETED), mode=Mode.WIND_DOWN)
    why = "it is being deleted"
    assert run.told == [AgentStopped(agent=AgentName("team", "a"), uid=UID, reason="Deleting", why=why)]
    assert outcome.blocked is None


async def test_to_scale_up_what_was_stopped_is_one_more_edit(run: Run) -> None:
    for _ in range(2):
        await run.do(StopWorkload(ref=DEPLOYMENT, why=UNFENCED), stop=UNFENCED)
    assert len(run.told) == 1
    assert run.hands.done == ["stop ringfence-a"] * 2 + ["ChildEdited Deployment"]
    await run.do()
    await run.do(StopWorkload(ref=DEPLOYMENT, why=UNFENCED), stop=UNFENCED)
    assert len(run.told) == 2, "it ran meanwhile"


FENCE = [
    (ensure(DENY, POLICY_DENY), POLICY_DENY),
    (ensure(ALLOW, POLICY_ALLOW), POLICY_ALLOW),
    (ensure(PERMISSIONS, ROLE), ROLE),
    (ensure(PERMISSIONS, BINDING), BINDING),
]


@pytest.mark.parametrize(("action", "ref"), FENCE, ids=[f"{ref.kind} {ref.name}" for _, ref in FENCE])
@pytest.mark.parametrize(
    "failure",
    [
        ApiError(403, "Forbidden", "no right"),
        ApiError(500, "InternalError", "etcd"),
        Conflict(409, "Conflict", "modified"),
        ApiError(429, "TooManyRequests", ""),
        OwnershipConflict(ROLE),
        MutatedOnWrite(ROLE),
        Requeue("changed"),
        Unreachable("down"),
    ],
    ids=lambda one: f"{type(one).__name__} {getattr(one, 'status', '')}",
)
async def test_a_part_of_the_fence_that_is_not_put_right_is_remembered(
    run: Run, action: EnsureChild, ref: Ref, failure: RingfenceError
) -> None:
    run.hands.wrong = {ref}
    run.hands.store.children.take(as_stored(action.desired.manifest))
    run.hands.fails[f"{ref.kind} {ref.name}"] = failure
    raised: list[RingfenceError] = []
    try:
        await run.do(action)
    except RingfenceError as one:
        raised.append(one)
    assert [one.longest_pause for one in raised] in ([], [TRY_AGAIN])
    history = run.hands.fences.history(KEY)
    assert history.unfenced_for is not None
    assert f"{ref.kind} {ref.name}: " in history.unfenced
    run.hands.fails.clear()
    await run.do(action)
    assert run.hands.fences.history(KEY).unfenced_for is None


ENDING = ApiError(403, "Forbidden", "namespace is being terminated")


@pytest.mark.parametrize(
    ("action", "there", "failure", "remembered"),
    [
        pytest.param(FENCE[0][0], False, REFUSED, True, id="no deny policy at all"),
        pytest.param(FENCE[1][0], False, REFUSED, False, id="an absent part gives nothing"),
        pytest.param(FENCE[2][0], False, REFUSED, False, id="no more than an absent role"),
        pytest.param(ensure(PERMISSIONS, ACCOUNT), True, REFUSED, False, id="an account alone gives nothing"),
        pytest.param(ensure(WORKLOAD, DEPLOYMENT), True, REFUSED, False, id="a workload"),
        pytest.param(FENCE[1][0], True, ENDING, False, id="a namespace that ends"),
    ],
)
async def test_what_is_no_more_than_the_spec_says_does_not_matter(
    run: Run, action: EnsureChild, there: bool, failure: RingfenceError, remembered: bool
) -> None:
    ref = action.desired.ref
    run.hands.wrong = {ref}
    if there:
        run.hands.store.children.take(as_stored(action.desired.manifest))
    run.hands.fails[f"{ref.kind} {ref.name}"] = failure
    with contextlib.suppress(RingfenceError):
        await run.do(action)
    assert (run.hands.fences.history(KEY).unfenced_for is not None) is remembered


async def test_rights_that_cannot_be_taken_away_matter(run: Run) -> None:
    run.hands.fails["remove Role"] = ApiError(403, "Forbidden", "no right")
    await run.do(RemoveChild(phase=PERMISSIONS, child=as_stored(built(ROLE, RULES).manifest)))
    assert run.hands.fences.history(KEY).unfenced_for is not None


async def test_a_stop_is_done_though_what_comes_before_it_fails(run: Run) -> None:
    run.hands.fails["remove NetworkPolicy"] = ApiError(403, "Forbidden", "no right")
    taken = RemoveChild(phase=ALLOW, child=as_stored(built(POLICY_ALLOW, RULES).manifest))
    await run.do(taken, StopWorkload(ref=DEPLOYMENT, why=UNFENCED), stop=UNFENCED)
    assert run.hands.done == ["remove NetworkPolicy", "stop ringfence-a"]


async def test_the_fence_is_put_right_though_the_stop_fails(run: Run) -> None:
    run.hands.fails |= {"stop ringfence-a": REFUSED, ALLOWED: Conflict(409, "Conflict", "modified")}
    kept = [ensure(ALLOW, POLICY_ALLOW, keep=True), ensure(PERMISSIONS, ROLE, keep=True)]
    outcome = await run.do(StopWorkload(ref=DEPLOYMENT, why=UNFENCED), *kept, stop=UNFENCED)
    assert run.hands.done == ["stop ringfence-a", ALLOWED, ROLED]
    assert (outcome.failure, outcome.blocked and outcome.blocked.message) == (REFUSED, "409 Conflict: modified")


async def test_without_the_deny_policy_the_rest_of_the_fence_stays_right(run: Run) -> None:
    run.hands.fails[DENIED] = Conflict(409, "Conflict", "modified")
    kept = [ensure(ALLOW, POLICY_ALLOW, keep=True), ensure(PERMISSIONS, ROLE, keep=True)]
    with pytest.raises(Conflict):
        await run.do(FIVE[0], *kept, FIVE[2], ensure(WORKLOAD, DEPLOYMENT, keep=True))
    assert run.hands.done == [DENIED, ALLOWED, ROLED]


async def test_a_stop_that_fails_is_tried_again(run: Run) -> None:
    run.hands.fails["stop ringfence-a"] = ApiError(500, "InternalError", "etcd")
    with pytest.raises(ApiError):
        await run.do(StopWorkload(ref=DEPLOYMENT, why=UNFENCED), mode=Mode.WIND_DOWN)


async def test_one_that_is_held_is_blocked_at_its_acceptance(run: Run) -> None:
    outcome = await run.do(FIVE[0], mode=Mode.HOLD)
    assert outcome.blocked == Blocked(ConditionType.ACCEPTED, Reason.REFUSED, "not accepted")
    run.hands.fails[DENIED] = OwnershipConflict(POLICY_DENY)
    outcome = await run.do(FIVE[0], mode=Mode.HOLD)
    assert outcome.blocked is not None
    assert outcome.blocked.reason is Reason.CHILD_NOT_OURS


PASSING = [
    Conflict(409, "Conflict", "modified"),
    ApiError(429, "TooManyRequests", "later", 7.0),
    ApiError(503, "ServiceUnavailable", "starting"),
    ApiError(504, "Timeout", "slow"),
    ApiError(403, "Forbidden", "unable to create: namespace x is being terminated"),
    Unreachable("down"),
    NotLeading("lost"),
    AgentGone("u"),
]


@pytest.mark.parametrize("failure", PASSING, ids=lambda one: f"{type(one).__name__} {one}"[:30])
async def test_what_passes_by_itself_is_raised_and_not_told(run: Run, failure: RingfenceError) -> None:
    assert obstacle(ALLOW, failure) is None
    run.hands.fails[ALLOWED] = failure
    with pytest.raises(type(failure)):
        await run.do(*FIVE)
    assert run.hands.done == [DENIED, ALLOWED]


FENCE_ONLY = None
"""Tried again soon where it is about the fence, else at growing intervals."""


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.order.name)
@pytest.mark.parametrize(
    ("failure", "reason", "fenceless", "retry", "after"),
    [
        (OwnershipConflict(ROLE), Reason.CHILD_NOT_OURS, True, False, None),
        (NotGranted("team", "x:y"), Reason.NOT_GRANTED, False, False, None),
        (NotHeld("team"), Reason.NOT_GRANTED, False, True, None),
        (MutatedOnWrite(ROLE), Reason.WRITE_FAILED, True, FENCE_ONLY, None),
        (Requeue("later", 3.0), Reason.PROGRESSING, False, True, 3.0),
        (ApiError(403, "Forbidden", "quota"), Reason.WRITE_FAILED, True, FENCE_ONLY, None),
        (ApiError(422, "Invalid", "x" * 5000), Reason.WRITE_FAILED, True, FENCE_ONLY, None),
        (NotFound(404, "NotFound", "no such kind"), Reason.WRITE_FAILED, True, FENCE_ONLY, None),
        (NotServed("CronJob", "batch/v1"), Reason.WRITE_FAILED, True, FENCE_ONLY, None),
        (ApiError(500, "InternalError", "etcd", 2.0), Reason.WRITE_FAILED, False, True, 2.0),
        (ApiError(401, "Unauthorized", "token"), Reason.WRITE_FAILED, False, True, None),
    ],
    ids=lambda one: type(one).__name__ + str(getattr(one, "status", "")) if isinstance(one, Exception) else None,
)
def test_each_obstacle_is_classified(
    phase: Phase, failure: RingfenceError, *, reason: Reason, fenceless: bool, retry: bool | None, after: float | None
) -> None:
    found = obstacle(phase, failure)
    assert found is not None
    assert (found.condition, found.reason) == (phase.condition, reason)
    soon = phase.order <= Order.ALLOW if retry is FENCE_ONLY else retry
    assert (found.fenceless, found.retry, found.retry_after) == (fenceless, soon, after)
    assert 0 < len(found.message) <= 1000
    assert (str(found.error()), found.error().retry_after) == (found.message, after)


@dataclass
class Ceiling:
    """Of a namespace in which the controller holds it, or does not, or does since a moment."""

    held: bool
    new: bool = False

    def right(self, _: str) -> bool:
        return self.held

    def settles(self, _: str) -> bool:
        return self.new


NOT_HELD = ApiError(403, "Forbidden", "attempting to grant RBAC permissions not currently held")


async def test_a_role_that_cannot_be_given_says_that_nothing_is_held_there(run: Run) -> None:
    run.hands.fails["Role ringfence-a"] = NOT_HELD
    run.executor.ceiling = Ceiling(held=False)
    blocked = (await run.do(*FIVE)).blocked
    assert blocked is not None
    assert (blocked.condition, blocked.reason) == (ConditionType.RIGHTS_APPLIED, Reason.NOT_GRANTED)
    assert "RoleBinding ringfence-agents.ceiling is not there" in blocked.message


async def test_a_role_that_cannot_be_given_yet_is_no_news(run: Run) -> None:
    run.hands.fails["Role ringfence-a"] = NOT_HELD
    run.executor.ceiling = Ceiling(held=True, new=True)
    with pytest.raises(Settling):
        await run.do(*FIVE)


@pytest.mark.parametrize(
    ("what", "failure", "held"),
    [
        ("Role ringfence-a", NOT_HELD, True),
        ("Role ringfence-a", ApiError(422, "Invalid", "no"), False),
        (ALLOWED, NOT_HELD, False),
    ],
    ids=["held", "another answer", "another phase"],
)
async def test_all_else_is_told_as_it_was_answered(run: Run, what: str, failure: ApiError, *, held: bool) -> None:
    run.hands.fails[what] = failure
    run.executor.ceiling = Ceiling(held=held)
    blocked = (await run.do(*FIVE)).blocked
    assert blocked is not None
    assert (blocked.reason, blocked.message) == (Reason.WRITE_FAILED, failure.message)


async def test_custom_resources_that_the_ceiling_lacks_are_told_with_what_to_write(run: Run) -> None:
    widgets = {"apiGroups": ["example.com"], "resources": ["widgets", "widgets/status"], "verbs": ["list", "get"]}
    wanted = ensure(PERMISSIONS, ROLE)
    manifest = wanted.desired.manifest | {"rules": [*wanted.desired.manifest["rules"], widgets]}
    run.hands.fails["Role ringfence-a"] = NOT_HELD
    run.executor.ceiling = Ceiling(held=True)
    blocked = (await run.do(replace(wanted, desired=Desired(manifest)))).blocked
    assert blocked is not None
    assert (blocked.reason, blocked.retry) == (Reason.NOT_GRANTED, True)
    assert "--verb=get,list --resource=widgets.example.com &&" in blocked.message
    status = "ringfence-widgets-status.example.com --verb=get,list --resource=widgets.example.com/status"
    assert status in blocked.message
    assert "configmaps" not in blocked.message
