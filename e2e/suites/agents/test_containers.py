"""Containers before and beside the agent, from inside: what each has, what it has not, and who waits for whom."""

from collections.abc import Callable
from typing import Any

import pytest

from cluster.errors import ClusterError
from cluster.shell import wait_for
from harness import agents
from harness.api import Api
from harness.environment import Environment
from harness.kubectl import Kubectl, Object
from harness.manifests import NAMESPACE

Make = Callable[..., Object]
RULES = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]


def inside(kubectl: Kubectl, agent: str, container: str, *words: str) -> str:
    return kubectl("exec", "-n", NAMESPACE, f"deploy/ringfence-{agent}", "-c", container, "--", "/testbox", *words)


def sidecar(testbox: str, **fields: Any) -> Object:
    """On a port of its own: the containers of a pod share its network, and the agent listens, too."""
    args = ["agent", "-interval", "1h", "-listen", ":8081"]
    return {"name": "helper", "image": testbox, "args": args, **fields}


@pytest.fixture
def testbox(environment: Environment) -> str:
    """The test image."""
    return environment.testbox


def test_they_share_what_is_named_and_nothing_else(make: Make, api: Api, kubectl: Kubectl, testbox: str) -> None:
    kubectl("create", "secret", "generic", "e2e-beside", "--from-literal=key=not-a-real-one", "-n", NAMESPACE)
    try:
        secret = {
            "name": "beside",
            "source": {"existing": {"secretName": "e2e-beside", "key": "key"}},
            "delivery": {"file": {"path": "/etc/keys/token"}},
            "containers": ["helper"],
        }
        name = make(
            permissions={"rules": RULES},
            scratch=[{"path": "/work", "size": "1Mi"}, {"path": "/own", "size": "1Mi"}],
            secrets=[secret],
            initContainers=[
                {"name": "first", "image": testbox, "args": ["write", "/work/begun", "yes"], "shares": ["/work"]}
            ],
            sidecars=[sidecar(testbox, shares=["/work"], files=[{"path": "/etc/helper", "content": "text"}])],
        )["metadata"]["name"]
        agents.wait(api, NAMESPACE, name)
        assert inside(kubectl, name, "agent", "cat", "/work/begun") == "yes"
        inside(kubectl, name, "helper", "write", "/work/note", "shared")
        assert inside(kubectl, name, "agent", "cat", "/work/note") == "shared"
        assert inside(kubectl, name, "helper", "cat", "/etc/helper") == "text"
        assert inside(kubectl, name, "helper", "cat", "/etc/keys/token") == "not-a-real-one"
        inside(kubectl, name, "agent", "write", "/tmp/note", "mine")
        token = "/var/run/secrets/kubernetes.io/serviceaccount/token"
        inside(kubectl, name, "agent", "cat", token)
        nothing = [("agent", "/etc/keys/token"), ("agent", "/etc/helper"), ("helper", "/tmp/note"), ("helper", token)]
        for container, path in nothing:
            with pytest.raises(ClusterError, match="no such file"):
                inside(kubectl, name, container, "cat", path)
        for path in ("/x", "/own/x", "/etc/helper"):
            with pytest.raises(ClusterError, match=r"read-only file system|permission denied|no such file"):
                inside(kubectl, name, "helper", "write", path, "x")
        lines = inside(kubectl, name, "helper", "cat", "/proc/1/status").splitlines()
        found = {key: value.split() for key, _, value in (line.partition(":") for line in lines)}
        assert set(found["Uid"]) == {"65532"}
        assert found["CapBnd"] == ["0" * 16]
        assert found["NoNewPrivs"] == ["1"]
    finally:
        kubectl("delete", "secret", "e2e-beside", "-n", NAMESPACE)


def test_a_container_that_never_ends_is_named(make: Make, api: Api, testbox: str) -> None:
    never = {"name": "never", "image": testbox, "args": ["agent", "-interval", "1h"]}
    name = make(initContainers=[never])["metadata"]["name"]
    wait_for("the condition", lambda: "waits for init container never" in _said(api, name))
    failing = {"name": "failing", "image": testbox, "args": ["cat", "/nowhere"]}
    name = make(initContainers=[failing])["metadata"]["name"]
    wait_for("the condition", lambda: "init container failing" in _said(api, name))


def _said(api: Api, name: str) -> str:
    found = agents.get(api, NAMESPACE, name)
    return str(agents.condition(found, "WorkloadAvailable").get("message", "")) if found.get("status") else ""
