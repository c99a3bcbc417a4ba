"""Why the pods are not there, from what the kubelet and the scheduler say."""

from typing import Any

import pytest

from ringfence.api.containers import GATE
from ringfence.api.status import Reason
from ringfence.controller.agent.diagnosis import asks_for_events, of_workload, tell

NAME = "ringfence-a"
POD = f"{NAME}-7d9f-x2x4z"


def _pod(name: str = POD, phase: str = "Pending", **state: Any) -> dict[str, Any]:
    containers = [{"name": "agent", "ready": False, "state": state}] if state else []
    return {"metadata": {"name": name}, "status": {"phase": phase, "containerStatuses": containers}}


def _before(name: str, *, sidecar: bool = False, **state: Any) -> dict[str, Any]:
    before = {"name": name, "ready": False, "state": state, "restartPolicy": "Always" if sidecar else None}
    status = {"phase": "Pending", "initContainerStatuses": [before], "containerStatuses": []}
    return {"metadata": {"name": POD}, "status": status}


@pytest.mark.parametrize(
    ("pod", "said"),
    [
        (_before("fetch", running={}), "waits for init container fetch, which has not ended"),
        (_before("proxy", sidecar=True, running={}), "waits for sidecar proxy, which is not ready yet"),
        (
            _before("fetch", terminated={"exitCode": 2, "reason": "Error"}),
            "init container fetch ended with exit code 2 (Error)",
        ),
        (
            _before("proxy", sidecar=True, waiting={"reason": "CrashLoopBackOff", "message": "back-off"}),
            "sidecar proxy: CrashLoopBackOff: back-off",
        ),
        (
            _before(GATE, terminated={"exitCode": 2, "reason": "Error"}),
            "its gate (ringfence-gate) ended with exit code 2 (Error)",
        ),
        (
            _before(GATE, waiting={"reason": "ImagePullBackOff", "message": "back-off"}),
            "its gate (ringfence-gate): ImagePullBackOff: back-off",
        ),
    ],
)
def test_the_container_that_the_pod_waits_for_is_named(pod: dict[str, Any], said: str) -> None:
    assert tell([pod], []) == (Reason.UNAVAILABLE, f"pod {POD}: {said}")


def test_a_pod_that_waits_for_its_fence_says_where_to_look() -> None:
    reason, said = tell([_before(GATE, running={})], []) or (None, "")
    assert reason is Reason.UNAVAILABLE
    assert said.startswith(f"pod {POD}: waits for its fence: ")
    assert f"kubectl logs {POD} -c ringfence-gate. Where that does not end, " in said
    assert said.endswith("or a policy of others lets the agent out")


def test_no_container_that_has_not_begun_is_waited_for() -> None:
    assert tell([_before("fetch", waiting={"reason": "PodInitializing"})], []) is None


def _event(reason: str, message: str, *, about: str = POD, kind: str = "Pod", at: str = "1") -> dict[str, Any]:
    return {
        "metadata": {"creationTimestamp": at},
        "involvedObject": {"kind": kind, "name": about},
        "reason": reason,
        "message": message,
    }


@pytest.mark.parametrize(
    ("pod", "events", "said"),
    [
        (_pod(), [], None),
        (_pod(waiting={"reason": "ContainerCreating"}), [], None),
        (
            _pod(waiting={"reason": "ImagePullBackOff", "message": "no such\n image"}),
            [],
            (Reason.UNAVAILABLE, f"pod {POD}: ImagePullBackOff: no such image"),
        ),
        (
            _pod(phase="Running", terminated={"exitCode": 3, "reason": "Error"}),
            [],
            (Reason.UNAVAILABLE, f"pod {POD}: the container ended with exit code 3 (Error)"),
        ),
        (_pod(phase="Succeeded", terminated={"exitCode": 0}), [], None),
        (
            _pod(phase="Running", running={}),
            [],
            (Reason.UNAVAILABLE, f"pod {POD}: running, but its health check does not answer yet"),
        ),
        (
            _pod(waiting={"reason": "ErrImagePull", "message": "x"}),
            [_event("FailedToRetrieveImagePullSecret", "Unable to retrieve secret registry")],
            (Reason.SECRET_NOT_FOUND, f"pod {POD}: Unable to retrieve secret registry"),
        ),
        (
            _pod(),
            [_event("FailedMount", "old", at="1"), _event("FailedMount", "new", at="2")],
            (Reason.UNAVAILABLE, f"pod {POD}: new"),
        ),
    ],
)
def test_a_pod(pod: dict[str, Any], events: list[dict[str, Any]], said: Any) -> None:
    assert tell([pod], events) == said


def test_a_pod_that_fits_nowhere() -> None:
    pod = _pod()
    pod["status"]["conditions"] = [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes available"}]
    assert tell([pod], []) == (Reason.UNAVAILABLE, f"pod {POD}: 0/1 nodes available")


def _failure(kind: str = "ReplicaFailure", status: str = "True", message: str = "exceeded\n quota") -> dict[str, Any]:
    return {"status": {"conditions": [{"type": "Progressing"}, {"type": kind, "status": status, "message": message}]}}


@pytest.mark.parametrize(
    ("workload", "said"),
    [
        (_failure(), (Reason.UNAVAILABLE, "exceeded quota")),
        (_failure(status="False"), None),
        (_failure(kind="Available"), None),
        ({"status": {}}, None),
        ({"status": None}, None),
        (_failure(message="y" * 9999), (Reason.UNAVAILABLE, "y" * 500)),
    ],
)
def test_no_pod_could_be_made(workload: dict[str, Any], said: Any) -> None:
    assert of_workload(workload) == said


@pytest.mark.parametrize(
    ("pods", "asks"),
    [
        ([_pod()], True),
        ([_pod(waiting={"reason": "ContainerCreating"})], True),
        ([_pod(waiting={"reason": "ErrImagePull"})], True),
        ([_pod(waiting={"reason": "ImagePullBackOff"})], True),
        ([_pod(waiting={"reason": "CrashLoopBackOff"})], False),
        ([_pod(phase="Running", running={})], False),
        ([_pod(waiting={"reason": "CrashLoopBackOff"}), _pod(waiting={"reason": "ErrImageNeverPull"})], True),
        ([_pod(), _pod(waiting={"reason": "CrashLoopBackOff"})], False),
    ],
)
def test_events_are_asked_for_where_they_could_say_more(pods: list[dict[str, Any]], asks: bool) -> None:
    assert asks_for_events(pods) is asks


def test_events_of_other_pods_are_not_told() -> None:
    assert tell([_pod()], [_event("FailedMount", "x", about="other")]) is None


def test_a_sentence_has_a_bound() -> None:
    found = tell([_pod(waiting={"reason": "X", "message": "y" * 9999})], [])
    assert found
    assert len(found[1]) <= 600
