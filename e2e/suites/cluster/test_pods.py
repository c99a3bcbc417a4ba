"""A node: pods run, by digest too, with logs, exec, DNS, services and volumes."""

import json
from pathlib import Path

from cluster import Cluster, programs
from cluster.images import write_archive
from cluster.shell import wait_for
from suites.cluster.pods import OUTSIDE, Space, pod


def test_a_pod_pinned_by_digest_runs(space: Space) -> None:
    image = space.cluster.testbox.pinned
    assert "@sha256:" in image
    space.run(pod("pinned", image=image, container={"imagePullPolicy": "IfNotPresent"}))


def test_a_loaded_archive_runs_by_both_names(space: Space, tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    config = {"Entrypoint": ["/testbox"], "User": "65532"}
    digest = write_archive(
        archive, tag="localhost/suite:v1", files={"testbox": programs.testbox() / "testbox"}, config=config
    )
    [image] = space.cluster.load_image(archive)
    assert (image.tag, image.digest) == ("localhost/suite:v1", digest)
    assert image.pinned == f"localhost/suite@{digest}"
    space.run(*(pod(name, image=ref) for name, ref in (("tagged", image.tag), ("pinned", image.pinned))))


def test_exec_and_logs(space: Space) -> None:
    image = space.cluster.testbox.tag
    space.run(pod("talker", "agent", "-interval", "100ms", "-url", "https://llm.example/v1/messages", "-key", "k",
                  image=image))  # fmt: skip
    assert "HOSTNAME=talker" in space.kubectl("exec", "talker", "--", "/testbox", "env")
    wait_for("the agent's first answer", lambda: "200 OK" in space.logs("talker"))


def test_an_open_pod_reaches_everything(space: Space) -> None:
    """Else a later "blocked" would mean nothing."""
    space.run(pod("open", image=space.cluster.testbox.tag))
    kubelet = f"tcp://{space.cluster.address}:10250"
    found = space.probe("open", *OUTSIDE, kubelet)
    assert found == dict.fromkeys([*OUTSIDE, kubelet], "reachable")


def test_names_and_services(space: Space) -> None:
    space.run(pod("server", image=space.cluster.testbox.tag), pod("client", image=space.cluster.testbox.tag))
    space.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "server"},
            "spec": {"selector": {"app": "server"}, "ports": [{"port": 8000, "targetPort": "web"}]},
        }
    )
    address = space.kubectl("get", "service", "server", "-o", "jsonpath={.spec.clusterIP}")
    targets = [f"http://{address}:8000/", f"http://server.{space.name}.svc.cluster.local:8000/"]
    for target in [*targets, "http://server:8000/"]:
        space.wait_verdict("client", target, "reachable")
    assert space.probe("client", "http://nobody.example/") == {"http://nobody.example/": "error"}


def test_a_claim_binds_and_keeps_its_data(space: Space) -> None:
    image = space.cluster.testbox.tag
    space.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }
    )
    volume = {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}
    mount = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    space.run(pod("writer", image=image, container=mount, **volume))
    space.kubectl("exec", "writer", "--", "/testbox", "write", "/data/note", "kept")
    space.kubectl("delete", "pod", "writer")
    space.run(pod("reader", image=image, container=mount, **volume))
    assert space.kubectl("exec", "reader", "--", "/testbox", "cat", "/data/note") == "kept"


def test_a_restricted_pod_runs(space: Space) -> None:
    """The strictest Pod Security Standard, read-only root: what an agent gets."""
    space.cluster.kubectl("label", "namespace", space.name, "pod-security.kubernetes.io/enforce=restricted")
    strict = {
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "resources": {"limits": {"cpu": "500m", "memory": "64Mi"}},
    }
    space.run(pod("strict", image=space.cluster.testbox.tag, container=strict))
    space.wait_verdict("strict", "tcp://127.0.0.1:80", "reachable")


def test_the_system_itself_is_well(node: Cluster) -> None:
    pods = node.get("pods", "-n", "kube-system")["items"]
    assert [item["status"]["phase"] for item in pods] == ["Running"], json.dumps(pods)
