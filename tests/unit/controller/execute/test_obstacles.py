"""The executor: what is in the way, how it is classified, and what is told."""

from dataclasses import dataclass, replace

import pytest

from ringfence.api.status import ConditionType, Reason
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
from ringfence.controller.agent.execute import Blocked, obstacle
from ringfence.controller.agent.plan import (
    Mode,
)
from ringfence.kube import ApiError, Conflict, NotFound, NotServed, RingfenceError, Unreachable
from ringfence.resources.phases import ALLOW, PERMISSIONS, PHASES, Order, Phase
from ringfence.resources.stored import Desired
from unit.controller.execute.runs import FIVE, Run, ensure
from unit.controller.execute.test_execute import ALLOWED, DENIED
from unit.controller.make import (
    POLICY_DENY,
    ROLE,
)


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
