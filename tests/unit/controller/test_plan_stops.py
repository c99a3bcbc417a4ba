"""The plan: what takes an agent's pods away, or keeps it from having any."""

from dataclasses import replace

import pytest

from ringfence.api import AgentPolicySpec
from ringfence.api.status import Reason
from ringfence.controller.agent.fence import GRACE, FenceHistory
from ringfence.controller.agent.observed import Observed
from ringfence.controller.agent.plan import plan
from ringfence.policy.handover import HandOver
from ringfence.policy.model import NamedPolicy
from ringfence.resources.stored import STOPPED
from unit.controller.make import (
    ACCOUNT,
    BINDING,
    DEPLOYMENT,
    NAME,
    POLICY_ALLOW,
    RULES,
    all_children,
    edited,
    observed,
    remembered,
    told,
)
from unit.controller.planning import AS_ACCEPTED, CLOSED, CONTESTED, FRESH, SECRET_OF_OTHERS

# --- what stops an agent

OPEN_TOO_LONG = FenceHistory(unfenced_for=GRACE, unfenced="x")


@pytest.mark.parametrize(
    ("seen", "actions"),
    [
        pytest.param(
            observed(accepted=1, children=edited(all_children(), POLICY_ALLOW, digest="x"), fence=OPEN_TOO_LONG),
            ["wrong NetworkPolicy/-allow known keep"],
            id="a part that is not put right",
        ),
        pytest.param(
            observed(RULES, accepted=1, children=all_children(RULES), fence=CONTESTED),
            ["remove NetworkPolicy/-allow", "remove RoleBinding/"],
            id="a contested part",
        ),
        pytest.param(
            observed(accepted=1, children=edited(all_children(), DEPLOYMENT, digest="x"), fence=CONTESTED),
            ["remove NetworkPolicy/-allow"],
            id="its workload stays as it is",
        ),
        pytest.param(
            observed(accepted=1, fence=CONTESTED), [f"{FRESH[0]} known", f"{FRESH[2]} known"], id="and is not made"
        ),
        pytest.param(
            observed({"image": "x"}, children=all_children(), fence=OPEN_TOO_LONG), [], id="one that is refused, too"
        ),
    ],
)
def test_a_stop_comes_first(seen: Observed, actions: list[str]) -> None:
    planned = plan(seen)
    assert planned.stop is not None
    taken = [one for one in actions if one.startswith("remove")]
    assert told(planned) == [
        *taken,
        f"stop {NAME} {planned.stop.message}",
        *(one for one in actions if one not in taken),
    ]


def test_what_was_taken_away_with_the_pods_is_not_missed() -> None:
    """It comes back, and nobody is said to have deleted it."""
    children = edited(all_children(RULES, without=[POLICY_ALLOW, BINDING, ACCOUNT]), DEPLOYMENT, mark=STOPPED)
    planned = plan(observed(RULES, accepted=1, children=children))
    absent = ["NetworkPolicy/-allow", "ServiceAccount/", "RoleBinding/"]
    assert told(planned)[:3] == [f"absent {one}" for one in absent]


@pytest.mark.parametrize("fence", [FenceHistory(), FenceHistory(unfenced_for=GRACE / 2, unfenced="x")])
def test_within_the_grace_nothing_is_stopped(fence: FenceHistory) -> None:
    planned = plan(observed(accepted=1, children=all_children(), fence=fence))
    assert (planned.stop, planned.actions) == (None, ())


def test_a_policy_may_keep_a_contested_agent_running() -> None:
    keep = NamedPolicy("keep", AgentPolicySpec(on_repeated_edits="Keep"))
    planned = plan(observed(accepted=1, children=all_children(), fence=CONTESTED, policies=[keep]))
    assert (planned.stop, planned.actions) == (None, ())


SUSPEND = NamedPolicy("strict", AgentPolicySpec(existing="Suspend"))
LENIENT = NamedPolicy("lenient", AgentPolicySpec())
NOWHERE = NamedPolicy("nowhere", AgentPolicySpec.model_validate({"images": {"registries": []}}))
REACHING = ["remove NetworkPolicy/-allow", "remove RoleBinding/"]


@pytest.mark.parametrize(
    ("seen", "policies", "actions"),
    [
        pytest.param(observed(RULES, accepted=1, children=AS_ACCEPTED), [SUSPEND], None, id="it fits"),
        pytest.param(observed(RULES, accepted=1, children=AS_ACCEPTED), [NOWHERE], None, id="nobody says so"),
        pytest.param(observed(RULES, accepted=1, children=AS_ACCEPTED), [], None, id="nor the built-in policy"),
        pytest.param(
            observed(RULES, accepted=1, children=AS_ACCEPTED), [LENIENT, SUSPEND, NOWHERE], REACHING, id="strictest"
        ),
        pytest.param(
            observed(RULES, accepted=1, children=AS_ACCEPTED, facts=CLOSED), [SUSPEND], REACHING, id="closed namespace"
        ),
        pytest.param(
            observed({"image": "x"}, accepted=0, children=AS_ACCEPTED, ownership=remembered(AS_ACCEPTED)),
            [SUSPEND],
            REACHING,
            id="a newer spec does not fit",
        ),
        pytest.param(
            observed([], accepted=1, children=AS_ACCEPTED, ownership=remembered(AS_ACCEPTED)),
            [SUSPEND],
            REACHING,
            id="a newer Ringfence cannot read it",
        ),
        pytest.param(observed({"image": "x"}), [SUSPEND], None, id="it never was accepted"),
        pytest.param(
            observed(
                SECRET_OF_OTHERS,
                accepted=0,
                children=AS_ACCEPTED,
                ownership=remembered(AS_ACCEPTED),
                hand_over=HandOver.UNDECIDED,
            ),
            [SUSPEND],
            None,
            id="nobody was asked: that is no policy",
        ),
    ],
)
def test_a_policy_may_suspend_what_does_not_fit_any_more(
    seen: Observed, policies: list[NamedPolicy], actions: list[str] | None
) -> None:
    planned = plan(replace(seen, policies=policies))
    assert (planned.stop is not None) is (actions is not None)
    if actions is None:
        assert not [one for one in told(planned) if one.startswith(("stop", "remove"))]
        return
    assert planned.stop is not None
    assert planned.stop.reason is Reason.SUSPENDED_BY_POLICY
    assert planned.stop.message.endswith("as AgentPolicy strict says")
    assert told(planned) == [*actions, f"stop {NAME} {planned.stop.message}"]


def test_one_that_a_policy_suspended_comes_back_as_it_was_once_it_fits() -> None:
    children = edited(all_children(RULES, without=[POLICY_ALLOW, BINDING]), DEPLOYMENT, mark=STOPPED)
    planned = plan(observed(RULES, accepted=1, children=children, policies=[SUSPEND]))
    assert planned.stop is None
    assert told(planned) == ["absent NetworkPolicy/-allow", "absent RoleBinding/", "wrong Deployment/ known keep"]


def test_a_fence_that_is_not_right_goes_before_what_a_policy_says() -> None:
    seen = observed(accepted=1, children=all_children(), facts=CLOSED, policies=[SUSPEND], fence=CONTESTED)
    planned = plan(seen)
    assert planned.stop is not None
    assert planned.stop.reason is Reason.FENCE_CONTESTED


def test_a_workload_without_pods_gets_none_as_long_as_anything_is_in_the_way() -> None:
    """Whoever begins anew does not know that it was stopped: by its number of pods it does."""
    shown = {"spec": {"replicas": 0}}
    children = edited(edited(all_children(), DEPLOYMENT, digest="x", shown=shown), POLICY_ALLOW, digest="x")
    planned = plan(observed(accepted=1, children=children))
    assert told(planned) == ["wrong NetworkPolicy/-allow known keep", "wrong Deployment/ known"]
