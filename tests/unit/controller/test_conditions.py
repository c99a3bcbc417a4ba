"""What was observed, as conditions."""

from typing import Any

import pytest

from ringfence.api.status import ConditionType, Reason
from ringfence.controller.agent.conditions import MAX_MESSAGE, Finding, accepted, merge, ready, workload
from ringfence.policy.model import RuleName, Violation

FINDING = Finding(ConditionType.ACCEPTED, "True", Reason.ACCEPTED, "fine")


def _merged(
    old: list[dict[str, Any]], *findings: Finding, now: str = "new", generation: int = 2
) -> list[dict[str, Any]]:
    return merge(old, findings, generation=generation, now=now)


def test_the_transition_time_moves_with_the_status_only() -> None:
    first = _merged([], FINDING, now="t1", generation=1)
    assert first[0]["lastTransitionTime"] == "t1"
    reason = Finding(ConditionType.ACCEPTED, "True", Reason.APPLIED, "other")
    second = _merged(first, reason, now="t2")
    assert second[0]["lastTransitionTime"] == "t1"
    assert (second[0]["reason"], second[0]["message"], second[0]["observedGeneration"]) == ("Applied", "other", 2)
    third = _merged(second, Finding(ConditionType.ACCEPTED, "False", Reason.REFUSED, "no"), now="t3")
    assert third[0]["lastTransitionTime"] == "t3"


def test_the_same_findings_make_the_same_conditions() -> None:
    once = _merged([], FINDING, now="t1")
    assert _merged(once, FINDING, now="t2") == once


def test_conditions_that_nobody_finds_any_more_are_dropped() -> None:
    assert [one["type"] for one in _merged([{"type": "Other", "status": "True"}], FINDING)] == ["Accepted"]


def test_a_message_has_a_bound() -> None:
    assert len(_merged([], Finding(ConditionType.READY, "True", Reason.READY, "x" * 9999))[0]["message"]) == MAX_MESSAGE


def test_ready_is_the_first_that_is_not() -> None:
    bad = Finding(ConditionType.RIGHTS_APPLIED, "False", Reason.WRITE_FAILED, "why")
    worse = Finding(ConditionType.WORKLOAD_AVAILABLE, "False", Reason.PROGRESSING, "later")
    assert ready([FINDING, bad, worse]) == Finding(ConditionType.READY, "False", Reason.WRITE_FAILED, "why")
    assert ready([FINDING]).status == "True"
    assert ready([Finding(ConditionType.ACCEPTED, "Unknown", Reason.PROGRESSING, "?")]).status == "False"


def test_violations_in_words() -> None:
    many = [Violation(f"spec.{n}", RuleName.RIGHTS_WILDCARD, "no") for n in range(12)]
    assert accepted([], kept=False).status == "True"
    found = accepted(many, kept=True)
    assert (found.status, found.reason) == ("False", Reason.REFUSED)
    lines = found.message.splitlines()
    assert lines[0] == "spec.0: RightsWildcard: no"
    assert lines[10] == "and 2 more"
    assert "kept as it was" in lines[11]
    assert accepted(many, kept=True, suspended=True).message.splitlines()[11:] == [
        "The agent was accepted before, and has no pods until it fits again."
    ]
    assert "kept" not in accepted(many, kept=False).message
    assert accepted([Violation("spec", RuleName.INVALID_FIELD, "x")], kept=False).reason is Reason.INVALID


def _deployment(wanted: int = 2, *, generation: int = 1, **status: int) -> dict[str, Any]:
    status = {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2} | status
    return {"metadata": {"generation": generation}, "spec": {"replicas": wanted}, "status": status}


@pytest.mark.parametrize(
    ("deployment", "suspended", "diagnosis", "status", "reason"),
    [
        (None, False, None, "False", Reason.NOT_APPLIED),
        (_deployment(), False, None, "True", Reason.AVAILABLE),
        (_deployment(generation=2), False, None, "False", Reason.PROGRESSING),
        (_deployment(updatedReplicas=1), False, None, "False", Reason.PROGRESSING),
        (_deployment(availableReplicas=1), False, None, "False", Reason.PROGRESSING),
        (_deployment(availableReplicas=0), False, (Reason.UNAVAILABLE, "x"), "False", Reason.UNAVAILABLE),
        (_deployment(availableReplicas=0), False, (Reason.SECRET_NOT_FOUND, "x"), "False", Reason.SECRET_NOT_FOUND),
        (_deployment(0, replicas=0), True, None, "False", Reason.SUSPENDED),
        (_deployment(0), False, None, "False", Reason.NOT_APPLIED),
        ({"metadata": {"generation": 1}, "spec": {}}, False, None, "False", Reason.PROGRESSING),
    ],
)
def test_workload(deployment: Any, suspended: bool, diagnosis: Any, status: str, reason: Reason) -> None:
    found = workload(deployment, suspended=suspended, diagnosis=diagnosis)
    assert (found.status, found.reason) == (status, reason)


def test_a_suspended_agent_whose_pods_still_stop() -> None:
    assert workload(_deployment(0), suspended=True, diagnosis=None).message == "suspended: its pods are stopping"
    assert workload(_deployment(0, replicas=0), suspended=True, diagnosis=None).message == "suspended: no pods"
