"""`ringfence rotate`: the Job that kubectl would make, followed to its end, and each failure with a way on."""

import re
from typing import Any

import pytest

from ringfence.cli import following, rotate
from ringfence.kube import path_of
from ringfence.resources.secret_names import rotation_name
from ringfence.rotation.plan import scheduled
from unit.cli.fake import NAMESPACE, SECRETS, Cluster, condition
from unit.fakes.kube import Request

JOBS = path_of("batch/v1", "jobs", NAMESPACE)
WORKLOAD = path_of("apps/v1", "deployments", NAMESPACE, "ringfence-researcher")
TEMPLATE = {
    "metadata": {"labels": {"ringfence.dev/rotation": "x"}, "annotations": {"a": "b"}},
    "spec": {"backoffLimit": 3, "template": {"spec": {"containers": []}}},
}


@pytest.fixture
def cluster(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """An agent with three keys, two of which rotate."""
    monkeypatch.setattr(following, "POLL_SECONDS", 0.0)
    kube.put_agent(spec={"secrets": SECRETS})
    for name in ("panel", "token"):
        metadata = {"name": rotation_name("researcher", name), "namespace": NAMESPACE, "uid": f"uid-{name}"}
        kube.put("batch/v1", "cronjobs", {"metadata": metadata, "spec": {"jobTemplate": TEMPLATE}})
    return kube


def stages(kube: Cluster, path: re.Pattern[str], *states: dict[str, Any]) -> None:
    """At each look at `path` the next of `states` is its status; the last one stays."""
    left = list(states)

    def advance(request: Request) -> None:
        if request.verb == "get" and path.search(request.path):
            kube.objects[request.path]["status"] = left.pop(0) if len(left) > 1 else left[0]

    kube.before.append(advance)


COMPLETE = {"conditions": [{"type": "Complete", "status": "True"}]}
JOB = re.compile("/jobs/")


def test_each_rotating_key_gets_the_job_that_kubectl_would_make(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = cluster.run(monkeypatch, "rotate", "researcher")
    assert result.exit_code == 0
    assert [path for path, _ in cluster.created] == [JOBS, JOBS]
    job = cluster.created[0][1]
    name, cron_job = job["metadata"]["name"], rotation_name("researcher", "panel")
    assert job["metadata"] == {
        "name": name,
        "annotations": {"cronjob.kubernetes.io/instantiate": "manual", "a": "b"},
        "labels": {"ringfence.dev/rotation": "x"},
        "ownerReferences": [
            {"apiVersion": "batch/v1", "kind": "CronJob", "name": cron_job, "uid": "uid-panel", "controller": True}
        ],
    }
    assert job["spec"] == TEMPLATE["spec"]
    assert len(name) <= 63
    assert not scheduled(cron_job, name)
    assert f"panel: Job {name} rotates it" in result.stdout


def test_one_key_of_several(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cluster.run(monkeypatch, "rotate", "researcher", "--secret", "token").exit_code == 0
    assert [job["metadata"]["ownerReferences"][0]["uid"] for _, job in cluster.created] == ["uid-token"]


def test_wait_follows_the_job_and_the_restart(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.put(
        "apps/v1",
        "deployments",
        {
            "metadata": {"name": "ringfence-researcher", "namespace": NAMESPACE, "generation": 2},
            "spec": {"replicas": 1},
        },
    )
    stages(cluster, JOB, {}, {"active": 1}, {"active": 1, "ready": 1}, COMPLETE)
    old = {"observedGeneration": 1, "updatedReplicas": 1, "availableReplicas": 1}
    stages(cluster, re.compile("/deployments/"), old, old | {"observedGeneration": 2})
    result = cluster.run(monkeypatch, "rotate", "researcher", "--secret", "token", "--wait")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1:] == [
        "token: the new value is stored",
        "researcher: restarted, its pods have the new value",
    ]
    for progress in ("it starts", "its pod starts", "its pod runs"):
        assert progress in result.stderr


def test_files_need_no_restart(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    stages(cluster, JOB, COMPLETE)
    result = cluster.run(monkeypatch, "rotate", "researcher", "--secret", "panel", "--wait")
    assert result.exit_code == 0
    assert "restarted" not in result.output
    assert "kubelet's sync period" in result.stderr


def test_a_failed_job_is_said_with_where_to_look(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    stages(
        cluster, JOB, {"conditions": [{"type": "Failed", "status": "True", "message": "Job has reached its backoff"}]}
    )
    result = cluster.run(monkeypatch, "rotate", "researcher", "--secret", "panel", "--wait")
    assert result.exit_code == 1
    assert "failed (Job has reached its backoff); `kubectl logs -n research job/" in result.stderr
    assert "valid value stays" in result.stderr


@pytest.mark.parametrize(("secret", "said"), [("panel", "has not ended in time"), ("token", "are not available in")])
def test_time_that_is_up_is_said_and_nothing_is_undone(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, secret: str, said: str
) -> None:
    times = iter(range(0, 10_000, 200))
    monkeypatch.setattr(rotate, "monotonic", lambda: next(times))
    stages(cluster, JOB, {"active": 1} if secret == "panel" else COMPLETE)
    metadata = {"name": "ringfence-researcher", "namespace": NAMESPACE, "generation": 1}
    cluster.put("apps/v1", "deployments", {"metadata": metadata, "spec": {"replicas": 1}})
    result = cluster.run(monkeypatch, "rotate", "researcher", "--secret", secret, "--wait")
    assert result.exit_code == 1
    assert said in result.stderr


def test_a_job_deleted_meanwhile_and_an_agent_that_does_not_run(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages(cluster, JOB, COMPLETE)
    result = cluster.run(monkeypatch, "rotate", "researcher", "--secret", "token", "--wait")
    assert result.exit_code == 1
    assert "it does not run" in result.stderr

    def delete(request: Request) -> None:
        if request.verb == "get" and JOB.search(request.path):
            cluster.cluster.remove(request.path)

    cluster.before[:] = [delete]
    result = cluster.run(monkeypatch, "rotate", "researcher", "--secret", "token", "--wait")
    assert "was deleted before it ended" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nobody",), "no agent nobody"),
        (("researcher", "--secret", "none"), "no secret none; it has panel, token, model"),
        (("researcher", "--secret", "model"), "somebody else's Secret model-key"),
    ],
)
def test_what_cannot_rotate_is_said(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    result = cluster.run(monkeypatch, "rotate", *arguments)
    assert result.exit_code == 1
    assert said in result.stderr
    assert cluster.created == []


def test_an_agent_without_rotating_keys(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    kube.put_agent()
    result = kube.run(monkeypatch, "rotate", "researcher")
    assert result.exit_code == 1
    assert "no secret of agent researcher rotates" in result.stderr


def test_a_missing_cron_job_is_explained_by_the_conditions(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    kube.put_agent(spec={"secrets": SECRETS})
    assert "is not there" in kube.run(monkeypatch, "rotate", "researcher").stderr
    said = "namespace research is not open to secrets"
    kube.put_agent(spec={"secrets": SECRETS}, conditions=[condition("SecretsFresh", "False", "NotGranted", said)])
    result = kube.run(monkeypatch, "rotate", "researcher")
    assert result.exit_code == 1
    assert said in result.stderr


def test_a_second_rotation_within_the_overlap_is_warned_of(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    status = {"secrets": [{"name": "panel", "lastRotated": "2026-05-01T11:55:00Z"}]}
    cluster.put_agent(spec={"secrets": SECRETS}, status=status)
    result = cluster.run(monkeypatch, "rotate", "researcher", "--secret", "panel")
    assert result.exit_code == 0
    assert "panel rotated 5m ago" in result.stderr


def test_a_right_that_is_missing_is_2(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.answer(403, path=JOBS)
    result = cluster.run(monkeypatch, "rotate", "researcher")
    assert result.exit_code == 2
    assert "ask for this right" in result.stderr
