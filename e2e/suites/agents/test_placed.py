"""Where the scheduler puts an agent's pods: by labels of nodes, and by whose pods are there."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cluster.shell import wait_for
from harness import agents
from harness.api import Api
from harness.kubectl import Object
from harness.manifests import NAMESPACE

Make = Callable[..., Object]
POLICY = "/apis/ringfence.dev/v1alpha1/agentpolicies/research"
CORES, HOST = "example.com/cores", "kubernetes.io/hostname"


@pytest.fixture(autouse=True)
def allowed(api: Api) -> Iterator[None]:
    """The examples' policy lets agents choose so."""
    pods = {"nodeLabels": [{"key": CORES}], "topologyKeys": [HOST]}
    api.patch(POLICY, {"spec": {"pods": pods}})
    yield
    api.patch(POLICY, {"spec": {"pods": None}})


@pytest.fixture
def label(api: Api) -> Iterator[Callable[[str | None], None]]:
    """Labels the one node of the cluster."""
    (node,) = api.get("/api/v1/nodes")["items"]
    path = f"/api/v1/nodes/{node['metadata']['name']}"

    def put(value: str | None) -> None:
        api.patch(path, {"metadata": {"labels": {CORES: value}}})

    yield put
    put(None)


def placed(api: Api, name: str) -> list[bool]:
    """For each pod of an agent, whether it has a node; a pod that fits nowhere counts once the scheduler said so."""
    found = []
    for pod in agents.pods(api, NAMESPACE, name):
        said = {one["type"]: one["status"] for one in (pod.get("status") or {}).get("conditions") or []}
        if "PodScheduled" in said:
            found.append(said["PodScheduled"] == "True")
    return sorted(found)


def wait_placed(api: Api, name: str, *wanted: bool) -> None:
    wait_for(f"the pods of {name} placed: {wanted}", lambda: placed(api, name) == sorted(wanted))


def make_placed(make: Make, **scheduling: Any) -> str:
    name: str = make(scheduling=scheduling)["metadata"]["name"]
    return name


def test_the_scheduler_places_pods_as_they_ask(make: Make, api: Api, label: Callable[[str | None], None]) -> None:
    many = {"key": CORES, "operator": "Gt", "values": ["8"]}
    wish = make_placed(make, nodeAffinity={"preferred": [many | {"weight": 100}]})
    wait_placed(api, wish, True)
    name = make_placed(make, nodeAffinity={"required": [many, {"key": CORES, "operator": "NotIn", "values": ["10"]}]})
    wait_placed(api, name, False)
    for value, fits in (("8", False), ("10", False), ("16", True)):
        label(value)
        if fits:
            agents.wait(api, NAMESPACE, name)
        assert placed(api, name) == [fits]


def test_pods_near_and_apart(make: Make, api: Api) -> None:
    alone = make(replicas=2, scheduling={"apart": [{"topologyKey": HOST, "whenUnsatisfiable": "DoNotSchedule"}]})[
        "metadata"
    ]["name"]
    wait_placed(api, alone, True, False)
    wish = make(replicas=2, scheduling={"apart": [{"topologyKey": HOST}, {"topologyKey": HOST, "agent": alone}]})
    wait_placed(api, wish["metadata"]["name"], True, True)
    near = {"agent": "nobody-yet", "topologyKey": HOST, "whenUnsatisfiable": "DoNotSchedule"}
    beside = make_placed(make, near=[near])
    wait_placed(api, beside, False)
    make("nobody-yet")
    agents.wait(api, NAMESPACE, beside)
