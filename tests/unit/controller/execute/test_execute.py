"""A plan is done in order, and stops where it cannot go on."""

import pytest

from ringfence.api.status import ConditionType, Reason
from ringfence.controller.agent.actions import (
    DropPrevious,
    MakeSecret,
    RemoveChild,
    RemoveSecret,
    StopWorkload,
)
from ringfence.controller.agent.ages import ObservedSecret
from ringfence.controller.agent.errors import (
    MutatedOnWrite,
    OwnershipConflict,
    Requeue,
)
from ringfence.controller.agent.execute import Outcome
from ringfence.controller.agent.fence import unfenced
from ringfence.controller.agent.plan import (
    BEING_DELETED,
    Mode,
)
from ringfence.kube import ApiError
from ringfence.resources.phases import PERMISSIONS, SECRETS, WORKLOAD
from ringfence.telemetry.events import AgentName, AgentStopped
from unit.controller.execute.runs import END, FIVE, REFUSED, UNFENCED, Run, ensure
from unit.controller.make import (
    DEPLOYMENT,
    POLICY_DENY,
    ROLE,
    RULES,
    UID,
    as_stored,
    built,
)

DENIED, ALLOWED, ACCOUNTED, ROLED, WORKING = (f"{one.desired.ref.kind} {one.desired.ref.name}" for one in FIVE)


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
