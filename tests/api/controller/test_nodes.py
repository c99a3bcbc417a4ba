"""Nodes that join inside of a network that an agent may reach: they stay closed, and the agent runs on."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from api.controller.place import Place, json_bytes
from api.controller.process import Controller
from api.server import Server
from cluster.shell import wait_for
from ringfence.api.names import API_VERSION
from ringfence.kube import path_of

NETWORK = "198.18.7.0/24"
"""For benchmarks (RFC 2544): no node of this cluster has such an address, and no other test asks for it."""
NODES = "/api/v1/nodes"

Join = Callable[..., str]


@pytest.fixture
def join(client: Server) -> Iterator[Join]:
    """Adds a node on paper with an address, and ranges of pods; its path."""
    joined: list[str] = []

    def add(address: str, *pods: str) -> str:
        name = f"late-{uuid4().hex[:8]}"
        ranges = {"podCIDR": pods[0], "podCIDRs": list(pods)} if pods else {}
        assert client.request("POST", NODES, json_bytes({"metadata": {"name": name}, "spec": ranges})).ok
        joined.append(f"{NODES}/{name}")
        status = {"status": {"addresses": [{"type": "InternalIP", "address": address}]}}
        said = client.request("PATCH", f"{NODES}/{name}/status", json_bytes(status), "application/merge-patch+json")
        assert said.ok, said
        return joined[-1]

    yield add
    for path in joined:
        client.request("DELETE", path)


@pytest.fixture
def allowed(place: Place, client: Server) -> Iterator[None]:
    """A policy that lets the agents of the test reach NETWORK."""
    spec = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": place.name}},
        "egress": {"cidrs": [NETWORK]},
    }
    body = {"apiVersion": API_VERSION, "kind": "AgentPolicy", "metadata": {"name": place.name}, "spec": spec}
    assert client.request("POST", path_of(API_VERSION, "agentpolicies"), json_bytes(body)).ok
    yield
    client.request("DELETE", path_of(API_VERSION, "agentpolicies", name=place.name))


def _block(place: Place) -> dict[str, Any] | None:
    """The ipBlock of the agent's one rule, empty where the rule has none; None where nothing is open."""
    rules = place.get("NetworkPolicy", "ringfence-a-allow")["spec"].get("egress", [])
    return rules[0].get("to", [{}])[0].get("ipBlock", {}) if rules else None


@pytest.mark.usefixtures("allowed")
def test_a_node_that_joins_inside_of_an_accepted_network_is_left_out(
    place: Place, client: Server, controller: Controller, join: Join
) -> None:
    place.agent("a", network={"egress": [{"cidr": NETWORK, "ports": [443]}]})
    place.wait_applied()
    workload = place.get("Deployment", "ringfence-a")
    assert _block(place) == {"cidr": NETWORK}

    first = join("198.18.7.9")
    wait_for("left out", lambda: _block(place) == {"cidr": NETWORK, "except": ["198.18.7.9/32"]})
    said = place.wait_condition("Accepted", "False", "Refused")
    assert "EgressClusterAddress: 198.18.7.0/24 reaches 198.18.7.9" in said["message"]
    shown = [f"{NETWORK}:443 except 198.18.7.9/32"]
    wait_for("shown", lambda: place.status()["effectiveEgress"] == shown)

    second = join("198.18.7.10", "198.18.7.128/26")
    both = ["198.18.7.9/32", "198.18.7.10/32", "198.18.7.128/26"]
    wait_for("both", lambda: _block(place) == {"cidr": NETWORK, "except": both})
    whole = join("192.0.2.77", "198.18.7.0/24")
    wait_for("nothing is open", lambda: _block(place) is None)

    place.merge("NetworkPolicy", "ringfence-a-allow", {"spec": {"egress": [{}]}})
    wait_for("an edit is put back to that", lambda: _block(place) is None)
    for path in (whole, second, first):
        assert client.request("DELETE", path).ok
    wait_for("open again", lambda: _block(place) == {"cidr": NETWORK})
    place.wait_condition("Accepted", "True")
    now = place.get("Deployment", "ringfence-a")
    assert (now["metadata"]["uid"], now["spec"]) == (workload["metadata"]["uid"], workload["spec"]), "it ran on"
    assert controller.counted_drift(1, place.name) == 1, "our own updates are no drift: the edit alone is"
