"""Which pods are ended at once: those of a template that was never ours, and no other."""

from typing import Any

import pytest

from ringfence.resources.workload import GRACE_SECONDS, deployment
from ringfence.store.left_behind import END_WITHIN, is_left_behind
from ringfence.store.records import read_pod
from unit.controller.make import KEY, RULES, SECRETS, agent, left_pod


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        pytest.param(left_pod(), True, id="an edit gave it an hour"),
        pytest.param(left_pod(grace=31, ends=31), True, id="or one second"),
        pytest.param(left_pod(grace=5, ends=5), True, id="or less than ours: its template is not ours"),
        pytest.param(left_pod(ends=END_WITHIN), False, id="it was told to end already"),
        pytest.param(left_pod(ends=0), False, id="or somebody forced it"),
        pytest.param(left_pod(ends=None), False, id="its controller did not delete it yet"),
        pytest.param(left_pod(grace=GRACE_SECONDS, ends=GRACE_SECONDS), False, id="of this or an earlier spec"),
        pytest.param(left_pod(grace=GRACE_SECONDS, ends=3600), False, id="ours, and deleted with an hour"),
        pytest.param(left_pod(grace=None), False, id="no number"),
        pytest.param(left_pod(owner=None), False, id="of no ReplicaSet"),
        pytest.param(left_pod(owner="ringfence-a"), False, id="of a ReplicaSet that no Deployment of ours made"),
        pytest.param(left_pod(owner="ringfence-a-b-5d"), False, id="of another agent's Deployment"),
        pytest.param(left_pod(owner="other-5d"), False, id="of somebody's Deployment"),
        pytest.param(left_pod(kind="Job"), False, id="of a Job"),
    ],
)
def test_which_pods_are_left_behind(pod: dict[str, Any], expected: bool) -> None:
    assert is_left_behind(read_pod(pod)) is expected


@pytest.mark.parametrize("spec", [{}, RULES, SECRETS, {"replicas": 3}, {"storage": {"mountPath": "/x", "size": "1Gi"}}])
def test_each_template_of_ours_gives_the_same_time(spec: dict[str, Any]) -> None:
    """Or an earlier spec's pods, which are being replaced, would be taken for an editor's."""
    assert deployment(agent(spec))["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == GRACE_SECONDS


def test_a_pod_is_known_by_its_uid() -> None:
    assert (read_pod(left_pod()).uid, read_pod(left_pod()).agent) == ("pod-uid", KEY)
