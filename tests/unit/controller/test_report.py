"""What a pass came to: conditions, status, what is told, when to look again."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest

from ringfence.api.status import ConditionType, Reason
from ringfence.controller.agent import ages
from ringfence.controller.agent.execute import Blocked, Outcome
from ringfence.controller.agent.fence import GRACE, FenceHistory, Stop
from ringfence.controller.agent.plan import Mode, Plan
from ringfence.controller.agent.report import SECRETS_AGAIN, After, Report, report
from ringfence.controller.runtime.loop import Look
from ringfence.policy.held import Held
from ringfence.policy.model import Network, RuleName, Violation
from ringfence.policy.widening import Way, Widening
from ringfence.resources import Ref, build
from ringfence.resources.secrets import PREVIOUS_UNTIL, ROTATED_AT, stamp
from unit.controller.make import (
    HOUR,
    NAME,
    NOW,
    NUMBERS,
    POLICY_ALLOW,
    RULES,
    SECRETS,
    agent,
    all_children,
    observed,
    remembered,
)

RUNNING = {
    "metadata": {"name": "ringfence-a", "generation": 1},
    "spec": {"replicas": 1},
    "status": {"observedGeneration": 1, **dict.fromkeys(NUMBERS, 1)},
}
STARTING = RUNNING | {"status": {}}
DONE = After(workload=RUNNING, secrets=[])
OF_FEW = {ConditionType.PERMISSIONS_HELD, ConditionType.GATEWAY_READY, ConditionType.FENCE_VERIFIED}
TYPES = [one for one in ConditionType if one not in OF_FEW]
VIOLATION = Violation("spec.image", RuleName.IMAGE_NO_DIGEST, "no")
MONTH = 720 * HOUR


def come_to(
    spec: Any = None,
    *,
    blocked: Blocked | None = None,
    after: After = DONE,
    violations: tuple[Violation, ...] = (),
    mode: Mode = Mode.APPLY,
    stop: Stop | None = None,
    unfenced: str = "",
    cluster: tuple[Network, ...] = (),
    **seen: Any,
) -> Report:
    one = agent(spec, cluster=cluster)
    children = tuple(map(Ref.of, build(one)))
    planned = Plan(mode=mode, violations=violations, agent=one, children=children, max_age=MONTH, stop=stop)
    return report(observed(spec, **seen), planned, Outcome(blocked=blocked, unfenced=unfenced), after)


def conditions(found: Report) -> dict[str, tuple[str, str]]:
    return {str(one.type): (one.status, str(one.reason)) for one in found.findings}


def said(found: Report, kind: ConditionType) -> str:
    return next(one.message for one in found.findings if one.type is kind)


def test_what_is_to_be_added_later_is_looked_at_again_and_not_told() -> None:
    planned = Plan(mode=Mode.APPLY, agent=agent(), max_age=MONTH)
    found = report(observed(), planned, Outcome(lacks_block=True), DONE)
    assert found.look == Look(waiting=True)
    assert conditions(found) == conditions(come_to())


def test_what_no_event_tells_of_is_looked_at_as_often_beside_pods_that_are_not_there() -> None:
    planned = Plan(mode=Mode.APPLY, agent=agent(), max_age=MONTH)
    found = report(observed(), planned, Outcome(lacks_block=True), After(workload=STARTING))
    assert found.look == Look(waiting=True)


def test_all_is_well() -> None:
    found = come_to()
    assert [one.type for one in found.findings] == TYPES
    assert [one["type"] for one in found.status["conditions"]] == [*map(str, TYPES), "Reconciling", "Stalled"]
    assert conditions(found) == {
        "Ready": ("True", "Ready"),
        "Accepted": ("True", "Accepted"),
        "FenceWidened": ("False", "AsDeclared"),
        "NetworkPolicyApplied": ("True", "Applied"),
        "RightsApplied": ("True", "NoRights"),
        "SecretsFresh": ("True", "NoSecrets"),
        "WorkloadAvailable": ("True", "Available"),
    }
    assert found.look == Look()
    assert conditions(come_to(RULES))["RightsApplied"] == ("True", "Applied")


STOPPED = RUNNING | {"spec": {"replicas": 0}}
STOP = Stop(Reason.UNFENCED, "stopped, for a reason")
REFUSED = Blocked(ConditionType.NETWORK_POLICY_APPLIED, Reason.WRITE_FAILED, "403 no", retry=True)


def test_a_stop_is_what_ready_says() -> None:
    found = come_to(blocked=REFUSED, after=After(workload=STOPPED), stop=STOP)
    states = conditions(found)
    assert states["Ready"] == states["WorkloadAvailable"] == ("False", "Unfenced")
    assert states["NetworkPolicyApplied"] == ("False", "WriteFailed")
    assert said(found, ConditionType.READY) == STOP.message
    assert [(one.type, one.told) for one in found.changed if one.reason == "Unfenced"] == [
        ("Ready", False),
        ("WorkloadAvailable", True),
    ]


@pytest.mark.parametrize("mode", [Mode.APPLY, Mode.HOLD])
def test_one_that_a_policy_suspends_says_so_and_has_nothing_in_force(mode: Mode) -> None:
    stop = Stop(Reason.SUSPENDED_BY_POLICY, "stopped, as strict says")
    blocked = Blocked(ConditionType.ACCEPTED, Reason.REFUSED, "not accepted") if mode is Mode.HOLD else None
    before = {"acceptedGeneration": 1, "effectivePermissions": ["get pods"], "effectiveEgress": ["203.0.113.0/28:443"]}
    seen = observed(RULES, accepted=1)
    planned = Plan(mode=mode, violations=(VIOLATION,), agent=agent(RULES), max_age=MONTH, stop=stop)
    found = report(replace(seen, status=before), planned, Outcome(blocked=blocked), After(workload=STOPPED, secrets=[]))
    states = conditions(found)
    assert states["Ready"] == states["WorkloadAvailable"] == ("False", "SuspendedByPolicy")
    assert states["Accepted"] == ("False", "Refused")
    assert states["NetworkPolicyApplied"][0] == states["RightsApplied"][0] == "False"
    assert said(found, ConditionType.ACCEPTED).endswith("has no pods until it fits again.")
    assert (found.status["effectivePermissions"], found.status["effectiveEgress"]) == ([], [])
    told = [one.type for one in found.changed if one.told and one.reason == "SuspendedByPolicy"]
    assert told == ["WorkloadAvailable"]


def test_one_that_was_never_started_was_not_stopped() -> None:
    assert conditions(come_to(blocked=REFUSED, after=After(), stop=STOP))["Ready"] == ("False", "WriteFailed")


@pytest.mark.parametrize(("unfenced", "after"), [("", 0.0), ("Role x: 403 no", None)])
def test_a_fence_that_this_pass_put_right_gives_the_pods_back_in_the_next(unfenced: str, after: float | None) -> None:
    """No event tells of it: what a pass writes itself wakes nobody."""
    history = FenceHistory(unfenced_for=GRACE, unfenced="Role x: 403 no")
    found = come_to(after=After(workload=STOPPED), stop=STOP, unfenced=unfenced, fence=history)
    assert found.look.after == after


@pytest.mark.parametrize(
    ("spec", "workload", "reason"),
    [({}, STOPPED, "Unfenced"), ({}, RUNNING, "WriteFailed"), ({"suspended": True}, STOPPED, "WriteFailed")],
)
def test_who_begins_anew_says_so_by_what_is_stored(spec: Any, workload: Any, reason: str) -> None:
    found = come_to(spec, blocked=REFUSED, after=After(workload=workload), unfenced="NetworkPolicy x: 403 no")
    assert conditions(found)["Ready"] == ("False", reason)


@pytest.mark.parametrize("stop", [None, Stop(Reason.FENCE_CONTESTED, "stopped, for a reason")])
@pytest.mark.parametrize(
    "blocked", [None, Blocked(ConditionType.NETWORK_POLICY_APPLIED, Reason.PROGRESSING, "is being deleted")]
)
def test_a_contest_is_one_condition_whatever_a_pass_comes_to(stop: Stop | None, blocked: Blocked | None) -> None:
    after = After(workload=STOPPED if stop else RUNNING)
    fence = FenceHistory(contested=POLICY_ALLOW, quiet_in=42.0)
    found = come_to(blocked=blocked, after=after, stop=stop, fence=fence)
    states = conditions(found)
    assert states["Ready"] == states["NetworkPolicyApplied"] == ("False", "FenceContested")
    assert states["RightsApplied"] == ("True", "NoRights")
    assert states["WorkloadAvailable"] == (("False", "FenceContested") if stop else ("True", "Available"))
    assert found.look.after == 42.0


def test_a_contest_says_why_there_are_no_pods_though_the_workload_was_deleted_too() -> None:
    stop = Stop(Reason.FENCE_CONTESTED, "stopped, for a reason")
    found = come_to(after=After(), stop=stop, fence=FenceHistory(contested=POLICY_ALLOW, quiet_in=42.0))
    states = conditions(found)
    assert states["Ready"] == states["WorkloadAvailable"] == ("False", "FenceContested")
    assert said(found, ConditionType.READY) == stop.message
    assert stop.message in [one.message for one in found.changed if one.told]


PHASE_TYPES: list[ConditionType] = [*TYPES[3:]]


@pytest.mark.parametrize("at", PHASE_TYPES)
def test_what_comes_after_the_obstacle_waits_for_it(at: ConditionType) -> None:
    blocked = Blocked(at, Reason.WRITE_FAILED, "why")
    found = come_to(RULES, blocked=blocked, after=After())
    place = PHASE_TYPES.index(at)
    states = conditions(found)
    assert states["Ready"] == states[at] == ("False", "WriteFailed")
    assert said(found, at) == said(found, ConditionType.READY) == "why"
    assert all(states[one][0] == "True" for one in PHASE_TYPES[:place])
    assert all(states[one] == ("False", "NotApplied") for one in PHASE_TYPES[place + 1 :])
    assert all(at in said(found, one) for one in PHASE_TYPES[place + 1 : 3])
    assert found.look.waiting


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        (Way.PODS, "PodRelabelled"),
        (Way.SHAPES, "PodNotRestricted"),
        (Way.POLICIES, "ForeignPolicy"),
        (Way.BINDINGS, "ForeignBinding"),
    ],
)
def test_an_agent_whose_fence_is_widened_is_not_ready_and_a_person_hears_of_it(way: Way, reason: str) -> None:
    found = come_to(widened=[Widening(way, "Thing x")])
    states = conditions(found)
    assert states["FenceWidened"] == ("True", reason)
    assert states["Ready"] == ("False", "FenceWidened")
    assert said(found, ConditionType.READY).startswith("Thing x: ")
    assert next(one.told for one in found.changed if one.type == "FenceWidened")
    again = come_to(status=found.status)
    assert not next(one.told for one in again.changed if one.type == "FenceWidened")


def test_one_that_is_held_says_only_why() -> None:
    refused = Blocked(ConditionType.ACCEPTED, Reason.REFUSED, "not accepted")
    found = come_to(blocked=refused, after=After(), violations=(VIOLATION,), mode=Mode.HOLD)
    states = conditions(found)
    assert states["Ready"] == states["Accepted"] == ("False", "Refused")
    assert {states[one] for one in PHASE_TYPES} == {("False", "NotApplied")}
    assert found.look == Look(), "only an event changes that"
    assert "kept as it was" not in said(found, ConditionType.ACCEPTED)


def test_one_of_before_is_said_to_be_kept() -> None:
    found = come_to(violations=(VIOLATION,), accepted=1)
    assert "kept as it was" in said(found, ConditionType.ACCEPTED)
    assert conditions(found)["WorkloadAvailable"] == ("True", "Available")


def test_a_service_that_is_not_there() -> None:
    spec = {"network": {"egress": [{"service": {"name": "s", "port": 80}}]}}
    found = come_to(spec)
    assert conditions(found)["NetworkPolicyApplied"] == ("False", "ServiceNotFound")
    assert "team/s:80" in said(found, ConditionType.NETWORK_POLICY_APPLIED)
    assert found.look == Look(), "its coming is told by an event"
    blocked = Blocked(ConditionType.NETWORK_POLICY_APPLIED, Reason.WRITE_FAILED, "why")
    assert conditions(come_to(spec, blocked=blocked))["NetworkPolicyApplied"] == ("False", "WriteFailed")


def test_secrets_that_may_not_be_looked_at() -> None:
    found = come_to(SECRETS, after=After(workload=RUNNING, not_granted="run kubectl"))
    assert conditions(found)["SecretsFresh"] == ("False", "NotGranted")
    assert said(found, ConditionType.SECRETS_FRESH) == "run kubectl"
    assert found.status["secrets"] == []


@pytest.mark.parametrize(
    ("spec", "after", "state", "look"),
    [
        ({"suspended": True}, After(workload=RUNNING | {"spec": {"replicas": 0}}), "Suspended", Look()),
        ({"replicas": 0}, After(workload=RUNNING | {"spec": {"replicas": 0}}), "Suspended", Look()),
        (None, After(workload=STARTING), "Progressing", Look(rarely=True)),
        (None, After(workload=STARTING, asks_again=True), "Progressing", Look(waiting=True)),
        (None, After(workload=STARTING, diagnosis=(Reason.UNAVAILABLE, "x")), "Unavailable", Look(rarely=True)),
        (None, After(), "NotApplied", Look(waiting=True)),
    ],
)
def test_the_workload(spec: Any, after: After, state: str, look: Look) -> None:
    found = come_to(spec, after=after)
    assert conditions(found)["WorkloadAvailable"] == ("False", state)
    assert found.look == look


def secret(**marks: Any) -> ages.ObservedSecret:
    annotations = {ROTATED_AT: stamp(NOW - HOUR)} | ({PREVIOUS_UNTIL: stamp(NOW + marks["left"])} if marks else {})
    fields: list[Any] = [{"fieldsV1": {"f:data": {"f:previous": {}}}}] if marks else []
    return ages.ObservedSecret("signing", "x", {"annotations": annotations, "managedFields": fields}, MONTH)


@pytest.mark.parametrize(
    ("secrets", "after"),
    [
        ([secret()], SECRETS_AGAIN),
        ([secret(left=timedelta(seconds=20))], 20.0),
        ([secret(left=timedelta(hours=1))], SECRETS_AGAIN),
        ([secret(left=timedelta(seconds=-20))], SECRETS_AGAIN),
        (None, SECRETS_AGAIN),
    ],
)
def test_secrets_are_looked_at_again(secrets: Any, after: float) -> None:
    assert come_to(SECRETS, after=After(workload=RUNNING, secrets=secrets)).look == Look(after=after)


class TestStatus:
    def test_of_an_accepted_one(self) -> None:
        found = come_to(RULES | {"network": {"egress": [{"cidr": "203.0.113.0/28", "ports": [443]}]}}).status
        assert (found["observedGeneration"], found["acceptedGeneration"]) == (1, 1)
        assert (found["replicas"], found["readyReplicas"]) == (1, 1)
        assert found["effectivePermissions"] == ["get pods"]
        assert found["effectiveEgress"] == ["203.0.113.0/28:443"]
        assert [one["kind"] for one in found["managedResources"]] == [
            "NetworkPolicy",
            "NetworkPolicy",
            "ServiceAccount",
            "Role",
            "RoleBinding",
            "Deployment",
        ]
        assert found["secrets"] == []
        assert "oldestSecret" not in found

    OLD = {"acceptedGeneration": 0, "effectivePermissions": ["x"], "managedResources": [], "replicas": 7}  # noqa: RUF012

    @pytest.mark.parametrize(
        "more",
        [
            {"violations": (VIOLATION,)},
            {"blocked": Blocked(ConditionType.WORKLOAD_AVAILABLE, Reason.WRITE_FAILED, "x")},
        ],
    )
    def test_of_one_that_is_not_accepted_the_last_good_state_stays(self, more: Any) -> None:
        found = come_to(RULES, status=self.OLD, after=After(), **more).status
        kept = {name: found[name] for name in self.OLD}
        assert kept == self.OLD | {"replicas": 0}
        assert found["observedGeneration"] == 1

    @pytest.mark.parametrize(
        ("more", "egress"),
        [
            ({}, ["203.0.113.0/28:443"]),
            ({"violations": (VIOLATION,)}, ["203.0.113.0/28:443"]),
            ({"violations": (VIOLATION,), "mode": Mode.HOLD}, None),
            ({"blocked": Blocked(ConditionType.WORKLOAD_AVAILABLE, Reason.WRITE_FAILED, "x")}, None),
        ],
        ids=["accepted", "kept as it was", "held", "blocked"],
    )
    def test_the_egress_that_is_applied(self, more: Any, egress: list[str] | None) -> None:
        spec = {"network": {"egress": [{"cidr": "203.0.113.0/28", "ports": [443]}]}}
        assert come_to(spec, **more).egress == egress

    def test_one_that_runs_on_as_it_was_accepted_shows_what_is_in_force(self) -> None:
        """It is refused since a node joined inside of its network, and its policy leaves the node out."""
        spec = {"network": {"egress": [{"cidr": "203.0.113.0/28", "ports": [443]}]}}
        old = {"acceptedGeneration": 1, "effectiveEgress": ["203.0.113.0/28:443"]}
        found = come_to(spec, status=old, violations=(VIOLATION,), cluster=(ip_network("203.0.113.7/32"),)).status
        assert found["effectiveEgress"] == ["203.0.113.0/28:443 except 203.0.113.7/32"]
        assert found["acceptedGeneration"] == 1

    def test_children_are_listed_anew_where_they_are_others(self) -> None:
        """Of a new generation; or of the same one, by another version of Ringfence."""
        found = come_to(status=self.OLD).status["managedResources"]
        assert len(found) == 4
        for count in (0, 2):
            status = self.OLD | {"acceptedGeneration": 1, "managedResources": found[:count]}
            assert come_to(status=status).status["managedResources"] == found

    def test_the_name_of_the_service_is_there_once_that_is_stored(self) -> None:
        spec = {"ports": [{"name": "panel", "port": 8080}]}
        stored = remembered(all_children(spec))
        assert "service" not in come_to(spec).status
        assert come_to(spec, ownership=stored).status["service"] == NAME
        assert "service" not in come_to(status=self.OLD | {"service": NAME}, ownership=stored).status

    def test_transition_times_stay_with_the_status(self) -> None:
        first = come_to()
        old = [one | {"lastTransitionTime": "then"} for one in first.status["conditions"]]
        again = come_to(status={"conditions": old}, after=replace(DONE, workload=STARTING)).status["conditions"]
        moved = {one["type"] for one in again if one["lastTransitionTime"] == "2026-01-31T12:00:00Z"}
        assert moved == {"Ready", "WorkloadAvailable", "Reconciling"}

    def test_ages_of_secrets(self) -> None:
        found = come_to(SECRETS, after=After(workload=RUNNING, secrets=[secret()])).status
        assert [one["name"] for one in found["secrets"]] == ["signing"]
        assert found["oldestSecret"] == stamp(NOW - HOUR)


HELD: list[tuple[Held, str, str]] = [
    (Held(who='"ada", who asked for it'), "True", "Held"),
    (Held((VIOLATION,), who='"ada", who asked for it'), "False", "NotHeld"),
    (Held(unknown=(Reason.REQUESTER_UNKNOWN, "not recorded")), "Unknown", "RequesterUnknown"),
    (Held(who="x", unknown=(Reason.NOT_ANSWERED, "no answer")), "Unknown", "NotAnswered"),
]


@pytest.mark.parametrize(("held", "status", "reason"), HELD)
def test_whether_somebody_holds_it(held: Held, status: str, reason: str) -> None:
    found = come_to(RULES, held=held)
    assert conditions(found)["PermissionsHeld"] == (status, reason)
    assert conditions(found)["Ready"] == (("False", "NotHeld") if status == "False" else ("True", "Ready"))
    assert not next(one.told for one in found.changed if one.type == "PermissionsHeld")
    stopped = come_to(RULES, held=held, stop=STOP, after=After(workload=STOPPED))
    assert conditions(stopped)["PermissionsHeld"] == (status, reason)


class TestTold:
    def test_all_of_a_new_agent(self) -> None:
        found = come_to().changed
        assert [(one.type, one.previous, one.told) for one in found] == [
            ("Ready", None, True),
            ("Accepted", None, True),
            ("FenceWidened", None, False),
            ("NetworkPolicyApplied", None, False),
            ("RightsApplied", None, False),
            ("SecretsFresh", None, False),
            ("WorkloadAvailable", None, False),
        ]

    def test_only_what_is_another_than_before(self) -> None:
        old = come_to(after=replace(DONE, workload=STARTING)).status
        found = come_to(status=old).changed
        assert [(one.type, one.previous, one.status) for one in found] == [
            ("Ready", "False", "True"),
            ("WorkloadAvailable", "False", "True"),
        ]
        assert come_to(status=come_to().status).changed == []

    @pytest.mark.parametrize(
        ("reason", "told"),
        [
            (Reason.CHILD_NOT_OURS, True),
            (Reason.WRITE_FAILED, True),
            (Reason.NOT_GRANTED, True),
            (Reason.EXISTING_SECRET_TOO_OLD, True),
            (Reason.AGE_UNKNOWN, True),
            (Reason.PROGRESSING, False),
        ],
    )
    def test_reasons_that_a_person_should_hear_of(self, reason: Reason, told: bool) -> None:
        blocked = Blocked(ConditionType.RIGHTS_APPLIED, reason, "x")
        found = {one.type: one.told for one in come_to(blocked=blocked, after=After()).changed}
        assert found["RightsApplied"] is told
        assert found["Ready"] is False, "what it stands for speaks for itself"
