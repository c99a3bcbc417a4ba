"""What an agent requests counts where the cluster decides about pods: a real API server holds it to a LimitRange.

Nothing runs here. That the scheduler keeps so much free on a node is Kubernetes' own.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from api.samples import IMAGE
from api.server import Server
from cluster.shell import wait_for
from ringfence.api import AgentDeploymentSpec
from ringfence.resources import Agent, build

SPACE = "requests"
REQUESTS = {"cpu": "100m", "memory": "64Mi", "ephemeral-storage": "128Mi"}
LESS = {"cpu": "99m", "memory": "63Mi", "ephemeral-storage": "127Mi"}
LIMITS = {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi"}
RANGE = f"/api/v1/namespaces/{SPACE}/limitranges"


def make(server: Server, path: str, manifest: dict[str, Any]) -> None:
    answer = server.request("POST", path, json.dumps(manifest).encode())
    assert answer.ok or answer.code == 409, answer.message


@pytest.fixture(scope="module")
def space(server: Server) -> None:
    """A namespace with the agent's ServiceAccount; the API server says no to pods before it knows of both."""
    make(server, "/api/v1/namespaces", {"metadata": {"name": SPACE}})
    make(server, f"/api/v1/namespaces/{SPACE}/serviceaccounts", {"metadata": {"name": "ringfence-a"}})
    wait_for("pods to be accepted", lambda: pod(server, REQUESTS).ok)


@pytest.fixture(params=REQUESTS)
def least(server: Server, space: None, request: pytest.FixtureRequest) -> Iterator[str]:
    """A resource of which each container has to request as much as REQUESTS says."""
    kind = str(request.param)
    name = f"least-{kind}"
    limit = {"type": "Container", "min": {kind: REQUESTS[kind]}}
    make(server, RANGE, {"metadata": {"name": name}, "spec": {"limits": [limit]}})
    yield kind
    server.request("DELETE", f"{RANGE}/{name}")
    wait_for("the LimitRange to be forgotten", lambda: pod(server, LESS).ok)


def pod(server: Server, requests: dict[str, str]) -> Any:
    """What the API server says to a pod of an agent with these requests."""
    spec = AgentDeploymentSpec.model_validate({"image": IMAGE, "resources": {"requests": requests, "limits": LIMITS}})
    template = build(Agent(name="a", namespace=SPACE, uid="u", spec=spec))[-1]["spec"]["template"]
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": template["spec"]}
    return server.request("POST", f"/api/v1/namespaces/{SPACE}/pods?dryRun=All", json.dumps(body).encode())


def test_what_is_requested_is_held_to_a_limit_range(server: Server, least: str) -> None:
    def refused() -> str:
        return str(pod(server, REQUESTS | {least: LESS[least]}).message)

    wait_for("the LimitRange to be known", refused)
    assert f"minimum {least} usage per Container is {REQUESTS[least]}, but request is {LESS[least]}" in refused()
    assert pod(server, LESS | {least: REQUESTS[least]}).ok, "as much as is asked for, and less of all else"
