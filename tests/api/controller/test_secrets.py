"""Keys on a real API server, by a controller with the chart's rights and no more.

It runs as the chart's ServiceAccount, so that what is refused here is refused by the API server itself.
"""

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from api.controller.conftest import HOME
from api.controller.place import IMAGE, Place, json_bytes
from api.controller.process import JOB_IMAGE, Controller
from api.server import Server
from cluster import Cluster
from cluster.shell import wait_for
from ringfence.resources import Manifest
from ringfence.resources.secret_names import rotation_name
from ringfence.resources.secrets import PREVIOUS_UNTIL, ROTATED_AT, ROTATED_BY, restart_annotation, stamp
from ringfence.resources.workload import DEFAULT_CONTAINER

NAME = rotation_name("a", "signing")
SIGNING = {
    "name": "signing",
    "source": {"generate": {"length": 32}},
    "rotation": {"every": "720h", "overlap": "1h"},
    "delivery": {"file": {"path": "/var/run/ringfence/signing"}},
}
PANEL = SIGNING | {"name": "panel", "delivery": {"env": {"name": "PANEL_KEY"}}}
EXISTING = {
    "name": "llm",
    "source": {"existing": {"secretName": "llm-account", "key": "api-key"}},
    "delivery": {"env": {"name": "LLM_KEY"}},
}
FENCE = ["NetworkPolicy", "ServiceAccount", "Role", "RoleBinding", "CronJob"]
_ROOT = Path(__file__).parents[3]


@pytest.fixture
def place(client: Server, bare: Controller) -> Iterator[Place]:
    found = Place(client)
    yield found
    found.remove()


def grant(place: Place) -> None:
    subject = {"kind": "ServiceAccount", "name": "ringfence-controller", "namespace": HOME}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "ringfence-secrets"}
    place.create("RoleBinding", {"metadata": {"name": "ringfence-secrets"}, "subjects": [subject], "roleRef": role})


@pytest.fixture
def opened(place: Place) -> Place:
    """A namespace that is open to secrets as well."""
    grant(place)
    return place


def ready(place: Place, *secrets: Any) -> Manifest:
    place.agent("a", secrets=list(secrets))
    place.wait_applied()
    place.wait_condition("SecretsFresh", "True")
    return place.get("Secret", NAME) if SIGNING in secrets else {}


def test_a_key_is_made_with_what_rotates_it(opened: Place, bare: Controller) -> None:
    secret = ready(opened, SIGNING)
    value = base64.b64decode(secret["data"]["value"]).decode()
    assert len(value) == 32
    assert set(secret["data"]) == {"value"}
    assert secret["metadata"]["ownerReferences"][0]["controller"] is True
    for kind in FENCE:
        assert opened.find(kind, NAME), kind
    opened.wait_right()
    status = opened.status()
    (told,) = status["secrets"]
    assert told["lastRotated"] == secret["metadata"]["annotations"][ROTATED_AT] == status["oldestSecret"]
    assert told["nextRotation"] > told["lastRotated"]
    assert value not in bare.output
    assert secret["data"]["value"] not in bare.output
    assert value not in str(opened.get("AgentDeployment", "a"))


def test_without_the_grant_the_agent_waits_and_it_is_said_how(place: Place) -> None:
    place.agent("a", secrets=[SIGNING])
    said = place.wait_condition("SecretsFresh", "False", "NotGranted")
    order = f"--serviceaccount={HOME}:ringfence-controller -n {place.name}"
    assert f"kubectl create rolebinding ringfence-secrets --clusterrole=ringfence-secrets {order}" in said["message"]
    assert place.child("deny")
    assert place.child("allow")
    assert place.child("workload") is None
    grant(place)
    place.wait_applied()
    place.wait_condition("SecretsFresh", "True", "Fresh")
    assert place.child("workload")


def test_a_strangers_secret_is_left_untouched(opened: Place) -> None:
    body = {"metadata": {"name": NAME}, "data": {"value": "dGhlaXJz"}}
    before = opened.create("Secret", body)
    opened.agent("a", secrets=[SIGNING])
    said = opened.wait_condition("SecretsFresh", "False", "ChildNotOurs")
    assert f"Secret {NAME} exists already and does not belong" in said["message"]
    assert opened.child("workload") is None
    assert opened.get("Secret", NAME) == before
    assert opened.delete("Secret", NAME).ok
    opened.wait_applied()
    assert opened.get("Secret", NAME)["data"] != before["data"]


def test_a_deleted_key_is_back_and_counted(opened: Place, bare: Controller) -> None:
    before = ready(opened, SIGNING)
    counted = bare.drift(opened.name)
    assert opened.delete("Secret", NAME).ok
    opened.change(replicas=0)  # any pass finds it; without a change, the next one within a minute
    after = wait_for("the Secret", lambda: opened.find("Secret", NAME))
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    opened.wait_applied()
    assert counted == 0


@pytest.mark.parametrize("kind", FENCE)
def test_what_rotates_it_is_put_back(opened: Place, bare: Controller, kind: str) -> None:
    ready(opened, SIGNING)
    counted = bare.drift(opened.name)
    before = opened.get(kind, NAME)
    assert opened.delete(kind, NAME).ok
    found = wait_for("it is back", lambda: opened.find(kind, NAME))
    assert found["metadata"]["uid"] != before["metadata"]["uid"]
    opened.wait_right()
    wait_for("it is counted", lambda: bare.drift(opened.name) == counted + 1)


def test_edits_are_put_right(opened: Place) -> None:
    ready(opened, SIGNING)
    opened.merge("CronJob", NAME, {"spec": {"suspend": True}})
    everything = [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["other"], "verbs": ["get"]}]
    opened.merge("Role", NAME, {"rules": everything})
    opened.merge("NetworkPolicy", NAME, {"spec": {"egress": [{}]}})
    opened.wait_right()


def test_a_key_that_the_spec_drops_goes_with_all_of_its_own(opened: Place) -> None:
    ready(opened, SIGNING, PANEL)
    panel = rotation_name("a", "panel")
    opened.change(secrets=[PANEL])
    for kind in [*FENCE, "Secret"]:
        wait_for(f"no {kind}", partial(lambda kind: opened.find(kind, NAME) is None, kind))
        assert opened.find(kind, panel), "the other one stays"
    opened.wait_applied()
    opened.wait_right()


def test_without_the_grant_an_existing_secret_is_delivered_and_its_age_unknown(place: Place) -> None:
    place.create("Secret", {"metadata": {"name": "llm-account"}, "data": {"api-key": "eA=="}})
    place.agent("a", secrets=[EXISTING])
    said = place.wait_condition("SecretsFresh", "Unknown", "AgeUnknown")
    assert "llm-account" in said["message"]
    place.wait_applied()
    assert place.child("workload")
    place.run_pods()
    place.wait_condition("Ready", "True")
    grant(place)
    place.change(args=["again"])  # any pass finds it; without a change, the next one within a minute
    place.wait_condition("SecretsFresh", "True", "Fresh")


def test_an_existing_secret_is_delivered_and_never_written(opened: Place) -> None:
    opened.agent("a", secrets=[EXISTING])
    said = opened.wait_condition("SecretsFresh", "False", "SecretNotFound")
    assert "llm-account" in said["message"]
    before = opened.create("Secret", {"metadata": {"name": "llm-account"}, "data": {"api-key": "eA=="}})
    opened.wait_condition("SecretsFresh", "True", "Fresh")
    assert opened.status()["secrets"][0]["lastRotated"] == before["metadata"]["creationTimestamp"]
    assert opened.get("Secret", "llm-account") == before
    assert opened.find("CronJob", rotation_name("a", "llm")) is None


def test_the_age_of_a_key_is_in_the_table(opened: Place, cluster: Cluster) -> None:
    ready(opened, SIGNING)
    header, row = cluster.kubectl("get", "agd", "-n", opened.name).splitlines()
    assert "SECRETS" in header
    assert "<invalid>" not in row
    assert row.split()[header.split().index("SECRETS")].endswith("s")


def test_at_rest_nothing_is_written(opened: Place, bare: Controller) -> None:
    ready(opened, SIGNING, PANEL)
    opened.wait_right()
    before = opened.versions()
    passes = bare.metric("ringfence_reconcile_total")
    opened.merge("AgentDeployment", "a", {"metadata": {"labels": {"team": "x"}}})
    wait_for("a pass", lambda: bare.metric("ringfence_reconcile_total") > passes)
    changed = {name for name, version in opened.versions().items() if before.get(name) != version}
    assert changed == {"AgentDeployment/a"}


def test_a_tick_that_failed_is_counted_and_told(opened: Place, bare: Controller) -> None:
    ready(opened, SIGNING)

    def count(result: str) -> float:
        return bare.metric("ringfence_secret_rotations_total", namespace=opened.name, result=result)

    series = f'ringfence_secret_rotations_total{{namespace="{opened.name}",result="rotated"}} 0.0'
    wait_for("a 0 to begin with", lambda: series in bare.get("/metrics")[1])
    now = datetime.now(UTC)
    # What the CronJob's controller writes when a job has failed: not running any more, and no success.
    opened.merge("CronJob", NAME, {"status": {"lastScheduleTime": stamp(now)}}, "/status")
    wait_for("the failure counts", lambda: count("failed") == 1)
    (line,) = [one for one in bare.lines if one["event"] == "rotation failed" and one["namespace"] == opened.name]
    assert (line["agent"], line["secret"], line["job"]) == ("a", "signing", f"{NAME}-{int(now.timestamp()) // 60}")
    succeeded = {"status": {"lastScheduleTime": stamp(now), "lastSuccessfulTime": stamp(now)}}
    opened.merge("CronJob", NAME, succeeded, "/status")
    assert count("rotated") == 0


# --- the job, as a process with the rights that its ServiceAccount has


class Job:
    """`ringfence rotate-job` as the CronJob says it."""

    def __init__(self, cluster: Cluster, place: Place, name: str) -> None:
        self._cluster, self._place, self.name = cluster, place, name
        self.user = f"system:serviceaccount:{place.name}:{name}"
        self.kubeconfig = cluster.user_kubeconfig(self.user, [])

    def run(self, job: str) -> subprocess.CompletedProcess[str]:
        spec = self._place.get("CronJob", self.name)["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        arguments = spec["containers"][0]["args"]
        environment = self._cluster.env | {
            "PYTHONPATH": str(_ROOT / "operator"),
            "KUBECONFIG": os.devnull,
            "POD_NAMESPACE": self._place.name,
            "JOB_NAME": job,
        }
        command = [sys.executable, "-m", "ringfence", *arguments, "--kubeconfig", str(self.kubeconfig)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)

    def may(self, verb: str, resource: str) -> bool:
        kind, _, name = resource.partition("/")
        plural, _, group = kind.partition(".")
        wanted = {"namespace": self._place.name, "verb": verb, "group": group, "resource": plural, "name": name}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": self.user, "resourceAttributes": wanted},
        }
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        answer = self._place.server.request("POST", path, json_bytes(body))
        assert answer.ok, answer
        return bool(answer.body["status"]["allowed"])


def test_a_job_rotates_with_the_rights_of_its_role(opened: Place, cluster: Cluster) -> None:
    first = ready(opened, SIGNING)["data"]["value"]
    job = Job(cluster, opened, NAME)
    assert (done := job.run(f"{NAME}-29000000")).returncode == 0, done.stderr
    assert "nothing is due" in done.stdout
    assert (done := job.run("by-hand")).returncode == 0, done.stderr
    again = job.run("by-hand")
    after = opened.get("Secret", NAME)
    assert after["data"]["previous"] == first
    assert after["data"]["value"] != first
    assert after["metadata"]["annotations"][ROTATED_BY] == "by-hand"
    assert "nothing is due" in again.stdout, "its pod is started again: it does not rotate twice"
    for value in (first, after["data"]["value"]):
        for text in (value, base64.b64decode(value).decode()):
            assert text not in done.stdout + done.stderr + again.stdout + again.stderr


@pytest.mark.parametrize(
    ("verb", "resource", "may"),
    [
        ("get", f"secrets/{NAME}", True),
        ("update", f"secrets/{NAME}", True),
        ("delete", f"secrets/{NAME}", False),
        ("list", "secrets", False),
        ("watch", "secrets", False),
        ("create", "secrets", False),
        ("get", "secrets/other", False),
        ("get", "deployments.apps/ringfence-a", False),
        ("get", "pods", False),
    ],
)
def test_a_jobs_rights_end_at_its_key(opened: Place, cluster: Cluster, verb: str, resource: str, may: bool) -> None:
    ready(opened, SIGNING)
    assert Job(cluster, opened, NAME).may(verb, resource) is may


def test_a_job_restarts_the_agent_and_the_controller_lets_it(opened: Place, cluster: Cluster, bare: Controller) -> None:
    ready(opened, PANEL)
    opened.run_pods()
    opened.wait_condition("WorkloadAvailable", "True")
    panel, mark = rotation_name("a", "panel"), restart_annotation("panel")
    counted = bare.drift(opened.name)
    made = opened.get("Secret", panel)["metadata"]["annotations"][ROTATED_AT]
    wait_for("another second: the time of a rotation has no fractions", lambda: stamp(datetime.now(UTC)) > made)
    done = Job(cluster, opened, panel).run("by-hand")
    assert done.returncode == 0, done.stderr
    stored = opened.get("Secret", panel)
    rotated = stored["metadata"]["annotations"][ROTATED_AT]
    wait_for("the status", lambda: opened.status()["secrets"][0]["lastRotated"] == rotated)
    assert any(line["event"] == "rotated" and line["namespace"] == opened.name for line in bare.lines)
    for value in stored["data"].values():
        assert value not in bare.output
        assert base64.b64decode(value).decode() not in bare.output
    workload = opened.child("workload") or {}
    assert workload["spec"]["template"]["metadata"]["annotations"] == {mark: rotated, DEFAULT_CONTAINER: "agent"}
    assert bare.drift(opened.name) == counted
    # The pods that are to take it are not there (there is no kubelet): what the running ones hold stays.
    refused = Job(cluster, opened, panel).run("by-hand-too")
    assert refused.returncode == 1
    assert "both values stay valid" in refused.stderr


def test_the_value_before_goes_when_its_time_is_up(opened: Place, cluster: Cluster) -> None:
    ready(opened, SIGNING)
    opened.run_pods()
    opened.wait_condition("WorkloadAvailable", "True")
    assert Job(cluster, opened, NAME).run("by-hand").returncode == 0
    assert set(opened.get("Secret", NAME)["data"]) == {"value", "previous"}
    opened.merge("Secret", NAME, {"metadata": {"annotations": {PREVIOUS_UNTIL: "2026-01-01T00:00:00Z"}}})
    opened.change(secrets=[SIGNING | {"rotation": {"every": "720h", "overlap": "2h"}}])  # a reason to look
    wait_for("it is dropped", lambda: set(opened.get("Secret", NAME)["data"]) == {"value"})


def test_the_image_runs_no_other_secret(opened: Place) -> None:
    """A job is Ringfence's own image, never the agent's: what an agent's image is must not see two values."""
    ready(opened, SIGNING)
    spec = opened.get("CronJob", NAME)["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert [one["image"] for one in spec["containers"]] == [JOB_IMAGE]
    assert "initContainers" not in spec
    assert IMAGE not in str(spec)
