"""The executor: a fence that is not put right, and stops."""

import contextlib

import pytest

from ringfence.controller.agent.actions import (
    EnsureChild,
    RemoveChild,
    StopWorkload,
)
from ringfence.controller.agent.errors import (
    MutatedOnWrite,
    OwnershipConflict,
    Requeue,
)
from ringfence.controller.agent.fence import TRY_AGAIN
from ringfence.controller.agent.plan import (
    Mode,
)
from ringfence.kube import ApiError, Conflict, RingfenceError, Unreachable
from ringfence.resources import Ref
from ringfence.resources.phases import ALLOW, DENY, PERMISSIONS, WORKLOAD
from unit.controller.execute.runs import FIVE, REFUSED, UNFENCED, Run, ensure
from unit.controller.execute.test_execute import ALLOWED, DENIED, ROLED
from unit.controller.make import (
    ACCOUNT,
    BINDING,
    DEPLOYMENT,
    KEY,
    POLICY_ALLOW,
    POLICY_DENY,
    ROLE,
    RULES,
    as_stored,
    built,
)

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
