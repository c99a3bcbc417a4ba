"""Which pods are ended at once: those of a template that was never ours, and no other."""

from typing import Any

import pytest

from ringfence.resources.stop import DEFAULT, known_periods, remembered_periods
from ringfence.resources.workload import deployment
from ringfence.store.left_behind import END_WITHIN, is_left_behind, made_by_edit
from ringfence.store.records import read_pod
from unit.controller.make import KEY, RULES, SECRETS, agent, left_pod

OURS = frozenset({DEFAULT})


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        pytest.param(left_pod(), True, id="an edit gave it an hour"),
        pytest.param(left_pod(grace=31), True, id="or one second"),
        pytest.param(left_pod(grace=5), True, id="or less than ours: its template is not ours"),
        pytest.param(left_pod(ends=3600), True, id="somebody deleted it already, with all that time"),
        pytest.param(left_pod(ends=END_WITHIN), False, id="it was told to end already"),
        pytest.param(left_pod(ends=0), False, id="or somebody forced it"),
        pytest.param(left_pod() | {"status": {"phase": "Failed"}}, False, id="it has ended"),
        pytest.param(left_pod(grace=DEFAULT), False, id="of this or an earlier spec"),
        pytest.param(left_pod(grace=DEFAULT, ends=3600), False, id="ours, and deleted with an hour"),
        pytest.param(left_pod(grace=None), False, id="no number"),
        pytest.param(left_pod(kind="Job"), False, id="of a Job"),
    ],
)
def test_which_pods_look_left_behind(pod: dict[str, Any], expected: bool) -> None:
    assert is_left_behind(read_pod(pod), OURS) is expected


@pytest.mark.parametrize(
    ("grace", "controller", "uid", "expected"),
    [
        pytest.param(3600, True, "d", True, id="of the agent's Deployment, and another time than ours"),
        pytest.param(DEFAULT, True, "d", False, id="ours: something else changed the time of its pods"),
        pytest.param(None, True, "d", False, id="no number"),
        pytest.param(3600, True, "e", False, id="of another Deployment"),
        pytest.param(3600, False, "d", False, id="that does not control it"),
    ],
)
def test_whose_a_replica_set_is(grace: int | None, controller: bool, uid: str, expected: bool) -> None:
    pod = {} if grace is None else {"terminationGracePeriodSeconds": grace}
    owner = {"kind": "Deployment", "name": "ringfence-a", "uid": uid, "controller": controller}
    found = {"metadata": {"ownerReferences": [owner]}, "spec": {"template": {"spec": pod}}}
    assert made_by_edit(found, "d", OURS) is expected


@pytest.mark.parametrize(
    ("spec", "period"),
    [
        ({}, DEFAULT),
        (RULES, DEFAULT),
        (SECRETS, DEFAULT),
        ({"stop": {}}, DEFAULT),
        ({"stop": {"gracePeriod": "2m"}}, 120),
    ],
)
def test_what_a_template_says_is_known(spec: dict[str, Any], period: int) -> None:
    """Or the pods of the spec itself would be taken for an editor's."""
    pod = deployment(agent(spec))["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == period
    assert period in known_periods(spec, {})


@pytest.mark.parametrize(
    ("spec", "told", "known"),
    [
        ({}, None, {30}),
        ({"stop": {"gracePeriod": "60s"}}, None, {30, 60}),
        ({"stop": {"gracePeriod": "60s"}}, [60], {60}),
        ({}, [60], {30, 60}),
        ({"stop": {"gracePeriod": "2h"}}, None, {30}),
        ({"stop": {"gracePeriod": 5}}, None, {30}),
        ({"stop": []}, None, {30}),
        ("x", None, {30}),
    ],
)
def test_periods_of_earlier_specs_are_known_by_the_status(spec: Any, told: list[int] | None, known: set[int]) -> None:
    assert known_periods(spec, {"gracePeriods": told} if told else {}) == known


@pytest.mark.parametrize(
    ("own", "known", "pods", "told"),
    [
        (30, {30}, [30, 30], []),
        (30, {30}, [30, 3600], []),
        (60, {30, 60}, [30, 60], [60, 30]),
        (60, {30, 60}, [60], [60]),
        (30, {30, 60}, [60, None], [30, 60]),
        (5, set(range(100)), list(range(100)), [5, 0, 1, 2, 3, 4, 6, 7]),
    ],
    ids=["everybody's", "an edit is not learnt", "being replaced", "replaced", "back to none", "bounded"],
)
def test_a_period_is_remembered_as_long_as_its_pods_are_there(
    own: int, known: set[int], pods: list[int | None], told: list[int]
) -> None:
    assert remembered_periods(own, frozenset(known), pods) == told


def test_a_pod_is_known_by_uids() -> None:
    pod = read_pod(left_pod())
    assert (pod.uid, pod.agent, pod.replica_set) == ("left-uid", KEY, ("ringfence-a-5d", "set-uid"))


def test_a_replica_set_that_does_not_control_a_pod_is_not_its_own() -> None:
    body = left_pod()
    body["metadata"]["ownerReferences"][0]["controller"] = False
    assert read_pod(body).replica_set is None
