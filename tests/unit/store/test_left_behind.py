"""Which pods are ended at once: those of a template that was never ours, and no other."""

from typing import Any

import pytest

from ringfence.resources.workload import GRACE_SECONDS, deployment
from ringfence.store.left_behind import END_WITHIN, is_left_behind, made_by_edit
from ringfence.store.records import read_pod
from unit.controller.make import KEY, RULES, SECRETS, agent, left_pod


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
        pytest.param(left_pod(grace=GRACE_SECONDS), False, id="of this or an earlier spec"),
        pytest.param(left_pod(grace=GRACE_SECONDS, ends=3600), False, id="ours, and deleted with an hour"),
        pytest.param(left_pod(grace=None), False, id="no number"),
        pytest.param(left_pod(kind="Job"), False, id="of a Job"),
    ],
)
def test_which_pods_look_left_behind(pod: dict[str, Any], expected: bool) -> None:
    assert is_left_behind(read_pod(pod)) is expected


@pytest.mark.parametrize(
    ("grace", "controller", "uid", "expected"),
    [
        pytest.param(3600, True, "d", True, id="of the agent's Deployment, and another time than ours"),
        pytest.param(GRACE_SECONDS, True, "d", False, id="ours: something else changed the time of its pods"),
        pytest.param(None, True, "d", False, id="no number"),
        pytest.param(3600, True, "e", False, id="of another Deployment"),
        pytest.param(3600, False, "d", False, id="that does not control it"),
    ],
)
def test_whose_a_replica_set_is(grace: int | None, controller: bool, uid: str, expected: bool) -> None:
    pod = {} if grace is None else {"terminationGracePeriodSeconds": grace}
    owner = {"kind": "Deployment", "name": "ringfence-a", "uid": uid, "controller": controller}
    found = {"metadata": {"ownerReferences": [owner]}, "spec": {"template": {"spec": pod}}}
    assert made_by_edit(found, "d") is expected


@pytest.mark.parametrize("spec", [{}, RULES, SECRETS, {"replicas": 3}, {"storage": {"mountPath": "/x", "size": "1Gi"}}])
def test_each_template_of_ours_gives_the_same_time(spec: dict[str, Any]) -> None:
    """Or an earlier spec's pods, which are being replaced, would be taken for an editor's."""
    assert deployment(agent(spec))["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == GRACE_SECONDS


def test_a_pod_is_known_by_uids() -> None:
    pod = read_pod(left_pod())
    assert (pod.uid, pod.agent, pod.replica_set) == ("left-uid", KEY, ("ringfence-a-5d", "set-uid"))


def test_a_replica_set_that_does_not_control_a_pod_is_not_its_own() -> None:
    body = left_pod()
    body["metadata"]["ownerReferences"][0]["controller"] = False
    assert read_pod(body).replica_set is None
