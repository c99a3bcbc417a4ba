"""When a fence that is not right, or that somebody edits again and again, stops its agent."""

from typing import Any

import pytest

from ringfence.api import AgentPolicySpec
from ringfence.api.status import ConditionType, Reason
from ringfence.controller.agent.fence import (
    EDITS_IN_A_ROW,
    GRACE,
    QUIET_SECONDS,
    ROW_SECONDS,
    FenceHistory,
    Fences,
    Stop,
    condition_of,
    contest,
    stop_of,
)
from ringfence.policy.builtin import RESTRICTED
from ringfence.policy.model import NamedPolicy
from ringfence.resources import Ref, build
from ringfence.resources.phases import PHASES
from unit.controller.make import DEPLOYMENT, JOBS, KEY, POLICY_ALLOW, POLICY_DENY, ROLE, RULES, SECRETS, agent
from unit.fakes.clock import Clock

KEEP = NamedPolicy("keep", AgentPolicySpec(on_repeated_edits="Keep"))
STRICT = NamedPolicy("strict", AgentPolicySpec())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fences(clock: Clock) -> Fences:
    return Fences(clock)


def edit(fences: Fences, clock: Clock, *, times: int = EDITS_IN_A_ROW, every: float = 0.05, ref: Ref = ROLE) -> None:
    for _ in range(times):
        fences.edited(KEY, ref)
        clock.now += every


@pytest.mark.parametrize(
    ("history", "reason"),
    [
        (FenceHistory(), None),
        (FenceHistory(unfenced_for=0.0, unfenced="x"), None),
        (FenceHistory(unfenced_for=GRACE - 0.1, unfenced="x"), None),
        (FenceHistory(unfenced_for=GRACE, unfenced="x"), Reason.UNFENCED),
        (FenceHistory(contested=ROLE), Reason.FENCE_CONTESTED),
        (FenceHistory(contested=ROLE, unfenced_for=GRACE), Reason.UNFENCED),
    ],
)
def test_what_stops_an_agent(history: FenceHistory, reason: Reason | None) -> None:
    found = stop_of(history, [RESTRICTED])
    assert (found.reason if found else None) == reason


@pytest.mark.parametrize(
    ("bound", "stops"), [([STRICT], True), ([KEEP], False), ([KEEP, STRICT], True), ([KEEP, KEEP], False)]
)
def test_the_strictest_policy_decides_what_becomes_of_a_contested_agent(bound: list[NamedPolicy], stops: bool) -> None:
    assert (stop_of(FenceHistory(contested=ROLE), bound) is not None) is stops
    assert stop_of(FenceHistory(contested=ROLE, unfenced_for=GRACE), bound) is not None, "that no policy keeps"


def test_the_grace_counts_from_the_first_try_that_failed(fences: Fences, clock: Clock) -> None:
    assert fences.history(KEY).unfenced_for is None
    fences.not_right(KEY, "first")
    clock.now += 2
    fences.not_right(KEY, "second")
    assert (fences.history(KEY).unfenced_for, fences.history(KEY).unfenced) == (2, "first")
    fences.right(KEY)
    assert fences.history(KEY) == FenceHistory()
    fences.not_right(KEY, "third")
    assert (fences.history(KEY).unfenced_for, fences.history(KEY).unfenced) == (0, "third")


def test_edits_in_a_row_are_a_contest_until_nobody_edited_for_a_while(fences: Fences, clock: Clock) -> None:
    edit(fences, clock, times=EDITS_IN_A_ROW - 1)
    assert fences.history(KEY).contested is None
    edit(fences, clock, times=1, every=0)
    assert (fences.history(KEY).contested, fences.history(KEY).quiet_in) == (ROLE, QUIET_SECONDS)
    clock.now += QUIET_SECONDS - 1
    assert fences.history(KEY).quiet_in == 1
    edit(fences, clock, times=1, every=0, ref=DEPLOYMENT)
    assert (fences.history(KEY).contested, fences.history(KEY).quiet_in) == (ROLE, QUIET_SECONDS)
    clock.now += QUIET_SECONDS
    assert fences.history(KEY) == FenceHistory()
    edit(fences, clock, times=1)
    assert fences.history(KEY).contested is None, "it begins anew"


def test_slow_edits_and_edits_of_several_children_are_none(fences: Fences, clock: Clock) -> None:
    edit(fences, clock, times=9, every=ROW_SECONDS / (EDITS_IN_A_ROW - 1) + 0.1)
    for ref in (POLICY_DENY, POLICY_ALLOW, DEPLOYMENT):
        edit(fences, clock, times=EDITS_IN_A_ROW - 1, ref=ref, every=0)
    assert fences.history(KEY).contested is None


def test_edits_are_counted_in_a_row(fences: Fences, clock: Clock) -> None:
    assert [fences.edited(KEY, ROLE), fences.edited(KEY, ROLE), fences.edited(KEY, DEPLOYMENT)] == [1, 2, 1]
    clock.now += QUIET_SECONDS
    assert fences.edited(KEY, ROLE) == 1


def test_pods_that_were_ended_are_counted_in_a_row(fences: Fences, clock: Clock) -> None:
    assert [fences.pod_ended(KEY) for _ in range(3)] == [1, 2, 3]
    clock.now += QUIET_SECONDS
    assert fences.pod_ended(KEY) == 1


def test_a_stop_is_news_once(fences: Fences) -> None:
    assert [fences.stop(KEY), fences.stop(KEY)] == [True, False]
    fences.run(KEY)
    assert fences.stop(KEY)


def test_what_is_gone_is_forgotten(fences: Fences, clock: Clock) -> None:
    assert not fences.forget(KEY)
    edit(fences, clock)
    fences.not_right(KEY, "x")
    assert fences.forget(KEY)
    assert fences.history(KEY) == FenceHistory()


@pytest.mark.parametrize("policy", [STRICT, KEEP])
def test_who_begins_anew_learns_from_the_status_what_is_contested(
    fences: Fences, clock: Clock, policy: NamedPolicy
) -> None:
    history = FenceHistory(contested=POLICY_ALLOW)
    message = getattr(stop_of(history, [policy]), "message", contest(POLICY_ALLOW))
    condition: dict[str, Any] = {"type": "Ready", "reason": "FenceContested", "message": message}
    found = fences.history(KEY, {"conditions": [{"type": "x", "reason": "Applied", "message": "y z"}, condition]})
    assert (found.contested, found.quiet_in) == (POLICY_ALLOW, QUIET_SECONDS)
    clock.now += QUIET_SECONDS
    assert fences.history(KEY, {"conditions": [condition]}) == FenceHistory(), "what is known counts, once it is"


def test_every_child_has_its_condition() -> None:
    hosts = {"network": {"egress": [{"host": "api.example.com"}]}}
    spec = {**RULES, **SECRETS, **hosts, "storage": {"mountPath": "/data", "size": "1Gi"}}
    full = agent(spec, job_image=JOBS, gateway_image=JOBS)
    wanted = {one.ref: phase.condition for phase in PHASES for one in phase.desired(full)}
    assert {ref: condition_of(ref, KEY.name) for ref in wanted} == wanted
    others = {
        ConditionType.READY,
        ConditionType.ACCEPTED,
        ConditionType.FENCE_WIDENED,
        ConditionType.FENCE_VERIFIED,
        ConditionType.PERMISSIONS_HELD,
    }
    assert set(wanted.values()) == {*ConditionType} - others
    assert set(wanted) == {Ref.of(one) for one in build(full)}


def test_a_stop_says_which_part_and_why() -> None:
    found = stop_of(FenceHistory(unfenced_for=GRACE, unfenced="Role ringfence-a: 403 no"), [STRICT])
    assert isinstance(found, Stop)
    assert "Role ringfence-a: 403 no" in found.message
