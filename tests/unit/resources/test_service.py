"""The Service of an agent's ports."""

import copy
from typing import Any

import pytest

from ringfence.resources import Manifest, build
from ringfence.resources.compare import matches, whole
from ringfence.resources.service import MAX_NAME, service_name
from unit.resources.agents import make

IMAGE = "registry.example/a@sha256:" + "0" * 64
ASSIGNED = {
    "clusterIP": "10.96.0.7",
    "clusterIPs": ["10.96.0.7"],
    "ipFamilies": ["IPv4"],
    "ipFamilyPolicy": "SingleStack",
}


def services(*ports: dict[str, Any]) -> list[Manifest]:
    children = build(make({"spec": {"image": IMAGE, "ports": list(ports)}}))
    return [child for child in children if child["kind"] == "Service"]


def stored(desired: Manifest, **spec: Any) -> Manifest:
    live = copy.deepcopy(desired)
    live["metadata"] |= {"uid": "u", "resourceVersion": "7"}
    live["spec"] |= {**ASSIGNED, **spec}
    return live


def test_none_without_ports() -> None:
    assert services() == []


def test_it_stays_inside_of_the_cluster_and_leads_to_the_agents_own_pods() -> None:
    (found,) = services({"name": "panel", "port": 8080}, {"name": "metrics", "port": 9090})
    assert found["metadata"]["name"] == "ringfence-a"
    assert found["spec"]["type"] == "ClusterIP"
    assert "externalIPs" not in found["spec"]
    assert found["spec"]["selector"] == {"ringfence.dev/agent": "a"}
    assert [(one["name"], one["port"], one["targetPort"]) for one in found["spec"]["ports"]] == [
        ("panel", 8080, 8080),
        ("metrics", 9090, 9090),
    ]


def test_two_names_of_one_number_are_one_port() -> None:
    """Kubernetes refuses a Service that has a number twice."""
    (found,) = services({"name": "panel", "port": 8080}, {"name": "again", "port": 8080}, {"name": "x", "port": 1})
    assert [one["name"] for one in found["spec"]["ports"]] == ["panel", "x"]


@pytest.mark.parametrize("length", [1, 53, 54, 63])
def test_its_name_fits_into_a_hosts_name_and_is_no_other_agents(length: int) -> None:
    name, other = "a" * length, "a" * (length - 1) + "b"
    assert len(service_name(name)) <= MAX_NAME
    assert service_name(name).startswith("ringfence-")
    assert service_name(name) != service_name(other)


def test_what_the_cluster_assigns_is_no_edit_and_is_kept() -> None:
    (desired,) = services({"name": "panel", "port": 8080})
    assert matches(desired, stored(desired))
    edited = stored(desired, type="NodePort", externalIPs=["192.0.2.1"])
    assert not matches(desired, edited)
    again = whole(desired, edited)
    assert again["spec"] == desired["spec"] | ASSIGNED
