"""What a pass is about, and what it does about children: every branch of the plan, without a cluster."""

from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from ringfence.api import AgentPolicySpec
from ringfence.controller.agent.actions import EndPods, EnsureChild
from ringfence.controller.agent.execute import Outcome
from ringfence.controller.agent.fit import Fit, is_right, judge
from ringfence.controller.agent.observed import Observed
from ringfence.controller.agent.plan import BEING_DELETED, PODS_IN_A_PASS, Mode, Plan, plan
from ringfence.controller.agent.report import After, report
from ringfence.policy.model import NamedPolicy, RuleName
from ringfence.resources import Ref, ServicePort
from ringfence.store.records import Key, read_pod
from ringfence.store.store import OwnershipRecord
from unit.controller.make import (
    ACCOUNT,
    BINDING,
    DEPLOYMENT,
    EGRESS,
    HOUR,
    KEY,
    NAME,
    NOW,
    OPEN,
    POLICY_ALLOW,
    POLICY_DENY,
    ROLE,
    RULES,
    agent,
    all_children,
    as_stored,
    body,
    built,
    edited,
    fits,
    left_pod,
    observed,
    remembered,
    told,
)
from unit.controller.planning import AS_ACCEPTED, CLOSED, CONTESTED, FRESH

# --- what a pass is about


def test_an_agent_that_is_gone_is_forgotten() -> None:
    assert plan(Observed(key=KEY, agent=None, now=NOW)) == Plan(mode=Mode.FORGET)


@pytest.mark.parametrize(
    ("finalizers", "actions"), [(["x/y"], [f"stop {NAME} {BEING_DELETED.message}"]), (["x/y", "orphan"], [])]
)
def test_one_that_is_being_deleted_has_no_pods_unless_they_are_to_be_orphans(
    finalizers: list[str], actions: list[str]
) -> None:
    going = body(status={"acceptedGeneration": 1}, deletionTimestamp="x", finalizers=finalizers)
    planned = plan(observed(agent_body=going, children=all_children()))
    assert (planned.mode, told(planned)) == (Mode.WIND_DOWN, actions)


def test_pods_that_an_edit_left_behind_end_first_and_in_any_case() -> None:
    """Whoever takes them away before gives them all the time that the edit says."""
    pods = [
        read_pod(left_pod()),
        read_pod(left_pod(name="right", grace=30)),
        read_pod(left_pod(name="new", version=10)),
    ]
    assert told(plan(observed(accepted=1, children=all_children(), pods=pods))) == ["end new left"]
    edited_too = plan(observed(accepted=1, children=all_children(without=[DEPLOYMENT]), pods=pods))
    assert (told(edited_too)[0], len(edited_too.actions)) == ("end new left", 2)
    stopped = plan(observed(accepted=1, children=all_children(), pods=pods, fence=CONTESTED))
    assert told(stopped)[0] == "end new left"
    assert any(one.startswith("stop ") for one in told(stopped)[1:])
    assert told(plan(observed({"image": "x"}, pods=pods)))[0] == "end new left", "also of one that is not accepted"
    going = body(status={"acceptedGeneration": 1}, deletionTimestamp="x", finalizers=["x/y"])
    winding_down = told(plan(observed(agent_body=going, children=all_children(), pods=pods)))
    assert (winding_down[0], len(winding_down)) == ("end new left", 2)


def test_one_pass_ends_not_too_many_pods_and_the_newest_first() -> None:
    pods = [read_pod(left_pod(name=f"p{number}", version=number)) for number in range(200)]
    (action,) = plan(observed(accepted=1, children=all_children(), pods=pods)).actions
    assert isinstance(action, EndPods)
    assert [pod.version for pod in action.pods] == list(range(199, 199 - PODS_IN_A_PASS, -1))


@pytest.mark.parametrize(
    ("seen", "actions", "readable"),
    [
        pytest.param(observed([]), ["absent NetworkPolicy/-deny"], False, id="unreadable"),
        pytest.param(observed([], accepted=1), ["absent NetworkPolicy/-deny known"], False, id="unreadable, of before"),
        pytest.param(observed({"image": "x"}), ["absent NetworkPolicy/-deny"], True, id="refused"),
        pytest.param(observed(facts=CLOSED), ["absent NetworkPolicy/-deny"], True, id="in a closed namespace"),
        pytest.param(
            observed({"image": "x"}, accepted=0, children=AS_ACCEPTED, ownership=remembered(AS_ACCEPTED)),
            [],
            True,
            id="a refused update",
        ),
        pytest.param(
            observed({"image": "x"}, accepted=0, children=AS_ACCEPTED[1:], ownership=remembered(AS_ACCEPTED)),
            ["absent NetworkPolicy/-deny known"],
            True,
            id="a refused update, its fence deleted",
        ),
    ],
)
def test_one_that_is_not_accepted_is_held(seen: Observed, actions: list[str], readable: bool) -> None:
    planned = plan(seen)
    assert (planned.mode, told(planned)) == (Mode.HOLD, actions)
    assert planned.violations
    assert (planned.agent is not None) is readable
    assert [child.ref for child in planned.right] == ([] if actions else [POLICY_DENY])


def test_where_no_label_opens_the_namespace_nothing_is_written_for_one_that_never_was_accepted() -> None:
    planned = plan(observed(facts=replace(OPEN, own_namespace=KEY.namespace)))
    assert (planned.mode, told(planned), planned.stop) == (Mode.HOLD, [], None)
    assert [one.rule for one in planned.violations] == [RuleName.NAMESPACE_NOT_OPENED]


def test_and_one_that_was_accepted_is_stopped_behind_its_deny_policy() -> None:
    closed = replace(OPEN, own_namespace=KEY.namespace)
    planned = plan(observed(RULES, accepted=1, children=all_children(RULES), facts=closed))
    assert planned.mode is Mode.HOLD
    assert [one.split(":")[0] for one in told(planned)] == [
        "remove NetworkPolicy/-allow",
        "remove Role/",
        "remove RoleBinding/",
        f"stop {NAME} stopped",
    ]
    assert planned.stop is not None


@pytest.mark.parametrize("accepted", [0, None])
def test_one_that_was_accepted_before_and_was_edited_since_is_stopped(accepted: int | None) -> None:
    opened = as_stored(built(POLICY_ALLOW, EGRESS).manifest, lambda live: live["spec"].update(egress=[{}]))
    before = all_children(EGRESS)
    children = [opened if child.ref == POLICY_ALLOW else child for child in before]
    planned = plan(observed({"image": "x"}, accepted=accepted, children=children, ownership=remembered(before)))
    assert planned.mode is Mode.HOLD
    done = [f"stop {NAME} stopped", "remove NetworkPolicy/-allow"]
    assert [one.split(":")[0] for one in told(planned)] == ([] if accepted is None else done)
    assert (planned.stop is None) is (accepted is None)


def test_one_that_policies_do_not_allow_any_more_is_kept_as_it_was() -> None:
    planned = plan(observed(accepted=1, facts=CLOSED, children=all_children(without=[ACCOUNT])))
    assert planned.mode is Mode.APPLY
    assert planned.violations
    assert told(planned) == ["absent ServiceAccount/ known"]


@pytest.mark.parametrize(
    ("listed", "told_as"),
    [(("NetworkPolicy", "Deployment"), "absent Service/"), (("Service", "Deployment"), "absent Service/ known")],
    ids=["made by a newer version", "taken away"],
)
def test_a_child_that_no_earlier_version_made_was_taken_away_by_nobody(listed: tuple[str, ...], told_as: str) -> None:
    spec = {"ports": [{"name": "panel", "port": 8080}]}
    service = Ref("Service", KEY.namespace, NAME)
    names = [{"kind": kind, "name": NAME} for kind in listed]
    status = {"acceptedGeneration": 1, "managedResources": names}
    planned = plan(observed(spec, agent_body=body(spec, status=status), children=all_children(spec, without=[service])))
    assert told(planned) == [told_as]


def test_a_node_inside_of_an_accepted_network_is_left_out_of_the_policy_and_nothing_else_changes() -> None:
    late = replace(OPEN, cluster_networks=(ip_network("203.0.113.7/32"),))
    children = all_children(EGRESS)
    planned = plan(observed(EGRESS, accepted=1, children=children, ownership=remembered(children), facts=late))
    assert planned.mode is Mode.APPLY
    assert RuleName.EGRESS_CLUSTER_ADDRESS in {one.rule for one in planned.violations}
    assert fits(planned) == {POLICY_ALLOW: Fit.WRONG}
    (action,) = planned.actions
    assert isinstance(action, EnsureChild)
    block = {"cidr": "203.0.113.0/28", "except": ["203.0.113.7/32"]}
    assert action.desired.manifest["spec"]["egress"][0]["to"] == [{"ipBlock": block}]


NAMED = {"network": {"egress": [{"service": {"name": "s", "port": 80}}]}}
THERE: dict[str, Any] = {"services": {("team", "s", 80): ServicePort({"app": "s"}, 8080)}}


def test_a_service_at_another_address_changes_the_workload_and_no_policy() -> None:
    """It was deleted and made again."""
    stood = THERE | {"service_addresses": {("team", "s"): ("10.96.0.7",)}}
    seen = observed(NAMED, children=all_children(NAMED, **stood), accepted=1, **stood)
    assert told(plan(seen)) == []
    moved = replace(seen, service_addresses={("team", "s"): ("10.96.0.8",)})
    (action,) = plan(moved).actions
    assert isinstance(action, EnsureChild)
    assert (action.desired.ref, action.fit) == (DEPLOYMENT, Fit.WRONG)


@pytest.mark.parametrize(
    ("said", "opened"),
    [([], True), (["WhereNeeded"], True), (["WhereNeeded", "Never"], False), (["Never"], False)],
)
def test_a_policy_refuses_dns(said: list[str], *, opened: bool) -> None:
    """To an agent of a headless Service; one policy of all that bind it is enough."""
    policies = [
        NamedPolicy(f"p{place}", AgentPolicySpec.model_validate({"egress": {"dns": word}}))
        for place, word in enumerate(said)
    ]
    seen = observed(NAMED, policies=policies, **THERE)
    planned = plan(seen)
    written = {one.desired.ref: one.desired.manifest for one in planned.actions if isinstance(one, EnsureChild)}
    assert ("kube-dns" in str(written[POLICY_ALLOW])) is opened
    pod = written[DEPLOYMENT]["spec"]["template"]["spec"]
    assert pod["dnsPolicy"] == ("ClusterFirst" if opened else "None")
    found = report(seen, planned, Outcome(), After()).findings
    network = next(one for one in found if one.type == "NetworkPolicyApplied")
    assert (network.status, network.reason) == (("True", "Applied") if opened else ("False", "DnsRefused"))
    assert ("DNS is open, since these are headless: team/s" if opened else "egress.dns is Never") in network.message


def test_of_a_service_with_an_address_nothing_is_said() -> None:
    seen = observed(NAMED, **THERE, service_addresses={("team", "s"): ("10.96.0.7",)})
    found = report(seen, plan(seen), Outcome(), After()).findings
    assert (
        next(one.message for one in found if one.type == "NetworkPolicyApplied")
        == "the deny and the allow policy are stored"
    )


@pytest.mark.parametrize(("ages", "oldest"), [([], 2160), (["48h"], 48), (["48h", "24h"], 24)])
def test_the_strictest_policy_says_how_old_secrets_may_be(ages: list[str], oldest: int) -> None:
    policies = [
        NamedPolicy(f"p{n}", AgentPolicySpec.model_validate({"secrets": {"maxAge": age}})) for n, age in enumerate(ages)
    ]
    if not ages:
        oldest = int(plan(observed()).max_age / HOUR)
        assert oldest > 48
    assert plan(observed(policies=policies)).max_age == oldest * HOUR


@pytest.mark.parametrize(
    ("seen", "actions"),
    [
        pytest.param(observed(), FRESH, id="nothing there"),
        pytest.param(observed(accepted=0), FRESH, id="of another generation, nothing there"),
        pytest.param(
            observed(RULES),
            [*FRESH[:3], "absent Role/", "absent RoleBinding/", FRESH[3]],
            id="with permissions",
        ),
        pytest.param(observed(accepted=1, children=all_children()), [], id="all right"),
        pytest.param(
            observed(accepted=1, children=all_children(without=[POLICY_ALLOW])),
            ["absent NetworkPolicy/-allow known"],
            id="one is gone",
        ),
        pytest.param(
            observed(accepted=0, children=all_children(without=[POLICY_ALLOW])),
            ["absent NetworkPolicy/-allow"],
            id="one is not there yet",
        ),
        pytest.param(
            observed({"replicas": 2}, accepted=0, children=all_children()),
            ["wrong Deployment/"],
            id="an update of the spec",
        ),
        pytest.param(
            observed(accepted=1, children=edited(all_children(), DEPLOYMENT, digest="x")),
            ["wrong Deployment/ known keep"],
            id="an edit of a workload stays to be put right whatever blocks",
        ),
        pytest.param(
            observed(accepted=1, children=edited(all_children(), POLICY_DENY, digest="x")),
            ["wrong NetworkPolicy/-deny known", "right Deployment/ known keep behind"],
            id="the deny policy comes first in any case",
        ),
        pytest.param(
            observed(accepted=1, children=edited(all_children(), POLICY_DENY, deleting=True, owners=())),
            ["foreign NetworkPolicy/-deny known", "wrong Deployment/ known keep behind"],
            id="a stranger's deny policy that is being deleted",
        ),
    ],
)
def test_what_is_done_about_children(seen: Observed, actions: list[str]) -> None:
    planned = plan(seen)
    assert (planned.mode, planned.violations) == (Mode.APPLY, ())
    assert told(planned) == actions


@pytest.mark.parametrize("ref", [POLICY_DENY, POLICY_ALLOW, ACCOUNT, ROLE, BINDING, DEPLOYMENT], ids=str)
@pytest.mark.parametrize(
    ("changes", "fit"),
    [
        ({"digest": "x"}, Fit.WRONG),
        ({"mark": None}, Fit.WRONG),
        ({"labels": ()}, Fit.WRONG),
        ({"digest": "x", "deleting": True}, Fit.DELETING),
        ({"deleting": True, "finalizers": ("x/y",)}, Fit.HELD),
        ({"owners": ()}, Fit.FOREIGN),
    ],
)
def test_each_child_is_judged(ref: Ref, changes: dict[str, Any], fit: Fit) -> None:
    planned = plan(observed(RULES, accepted=1, children=edited(all_children(RULES), ref, **changes)))
    assert fits(planned)[ref] is fit
    assert [child.ref for child in planned.right if child.ref == ref] == []
    others = {one for one in fits(planned) if one != ref}
    assert others == ({DEPLOYMENT} if ref == POLICY_DENY else set()), "what is behind the fence, and no other child"


def test_what_is_right_is_named() -> None:
    planned = plan(observed(RULES, accepted=1, children=all_children(RULES)))
    assert planned.actions == ()
    assert {child.ref for child in planned.right} == {POLICY_DENY, POLICY_ALLOW, ACCOUNT, ROLE, BINDING, DEPLOYMENT}


def test_only_the_agents_own_children_are_looked_at() -> None:
    seen = observed(children=all_children())
    other = replace(seen, key=Key("team", "b"), agent=replace(seen.agent, key=Key("team", "b")))  # type: ignore[type-var]
    assert set(fits(plan(other)).values()) == {Fit.ABSENT}


# --- judging


@pytest.mark.parametrize(
    ("changes", "known", "fit"),
    [
        ({}, None, Fit.RIGHT),
        ({"deleting": True}, None, Fit.RIGHT),
        ({"deleting": True, "foreground": False}, None, Fit.RIGHT),
        ({"deleting": True, "finalizers": ("foregroundDeletion", "orphan")}, None, Fit.RIGHT),
        ({"deleting": True, "finalizers": ("foregroundDeletion", "x/y")}, None, Fit.HELD),
        ({"deleting": True, "finalizers": ("x/y",), "digest": "x"}, None, Fit.HELD),
        ({"deleting": True, "finalizers": ("x/y",), "owners": ()}, None, Fit.FOREIGN),
        ({"finalizers": ("x/y",)}, None, Fit.RIGHT),
        ({"deleting": True, "digest": "x"}, None, Fit.DELETING),
        ({"digest": "x"}, None, Fit.WRONG),
        ({"immutable": "x", "digest": "x"}, None, Fit.IMMUTABLE),
        ({"immutable": "x", "digest": "x", "deleting": True}, None, Fit.DELETING),
        ({"owners": ()}, None, Fit.FOREIGN),
        ({"owners": ()}, OwnershipRecord("u", "uid-ringfence-a", None), Fit.WRONG),
        ({"owners": ()}, OwnershipRecord("u", "another object", None), Fit.FOREIGN),
        ({"owners": ()}, OwnershipRecord("another agent", "uid-ringfence-a", None), Fit.FOREIGN),
    ],
)
def test_a_stored_child_beside_what_is_wanted(changes: dict[str, Any], known: OwnershipRecord | None, fit: Fit) -> None:
    desired = built(BINDING, RULES)
    live = replace(as_stored(desired.manifest), **changes)
    assert judge(desired, live, agent(), known) is fit


def test_what_is_not_there_is_absent_whatever_is_remembered() -> None:
    assert judge(built(ACCOUNT), None, agent(), OwnershipRecord("u", "x", None)) is Fit.ABSENT


@pytest.mark.parametrize(("name", "fit"), [("a", Fit.EARLIER), ("b", Fit.FOREIGN)])
def test_a_child_of_an_earlier_agent_of_this_name(name: str, fit: Fit) -> None:
    desired = built(ACCOUNT)
    owner = desired.manifest["metadata"]["ownerReferences"][0] | {"uid": "earlier", "name": name}
    assert judge(desired, as_stored(desired.manifest, ownerReferences=[owner]), agent(), None) is fit


class TestCompletedByTheApiServer:
    DESIRED = built(DEPLOYMENT)
    LIVE = as_stored(DESIRED.manifest, lambda live: live["spec"]["template"]["spec"].update(newField="Default"))
    KNOWN = OwnershipRecord("u", LIVE.uid, LIVE.mark, (DESIRED.digest, LIVE.digest))

    def right(self, known: OwnershipRecord | None = KNOWN, **changes: Any) -> bool:
        return is_right(self.DESIRED, replace(self.LIVE, **changes), known)

    def test_it_is_right_where_that_is_known(self) -> None:
        assert self.right()
        assert not self.right(None)
        assert not self.right(replace(self.KNOWN, completed=None))
        assert not self.right(replace(self.KNOWN, completed=("x", self.LIVE.digest)))
        assert not self.right(digest="x"), "and then somebody edited it"

    @pytest.mark.parametrize("changes", [{"mark": "x"}, {"owners": ()}, {"labels": ()}, {"foreground": False}])
    def test_its_metadata_is_looked_at_all_the_same(self, changes: dict[str, Any]) -> None:
        assert not self.right(**changes)
