"""What is kept of agents, Services, pods and policies."""

from typing import Any

import pytest

from ringfence.resources import Ref, ServicePort
from ringfence.resources.field_manager import FieldManager
from ringfence.store.records import (
    Key,
    agent_path,
    child_path,
    packed,
    read_agent,
    read_pod,
    read_policy,
    read_service,
)
from unit.store.make import agent, pod, policy, service


def test_an_agent() -> None:
    body = agent(7, status={"replicas": 1})
    kept = read_agent(body)
    assert (kept.key, kept.uid, kept.version, kept.generation) == (Key("ns", "a"), "u", 7, 1)
    assert (kept.spec, kept.status) == ({}, {"replicas": 1})
    assert not any((kept.deleting, kept.orphans, kept.by_address, kept.calls_api))
    assert kept.services == frozenset()
    assert read_agent(agent()).status == {}


def test_one_that_is_being_deleted() -> None:
    body = agent()
    body["metadata"] |= {"deletionTimestamp": "x", "finalizers": ["x/y"]}
    assert (read_agent(body).deleting, read_agent(body).orphans) == (True, False)
    body["metadata"]["finalizers"].append("orphan")
    assert read_agent(body).orphans


NAMED = [{"service": {"name": "s"}}, {"cidr": "192.0.2.0/24"}, {"service": {"name": "other", "namespace": "x"}}]


def test_what_its_egress_names() -> None:
    kept = read_agent(agent(spec={"network": {"egress": NAMED}}))
    assert kept.services == {("ns", "s"), ("x", "other")}
    assert kept.by_address
    assert not read_agent(agent(spec={"network": {"egress": NAMED[:1]}})).by_address


@pytest.mark.parametrize(
    ("spec", "calls"),
    [
        ({"permissions": {"rules": [{}]}}, True),
        ({"permissions": {"rules": []}}, False),
        ({"secrets": [{"name": "x"}]}, True),
        ({"secrets": []}, False),
        ({}, False),
    ],
)
def test_whether_it_talks_to_the_api_server(spec: Any, calls: bool) -> None:
    assert read_agent(agent(spec=spec)).calls_api is calls


@pytest.mark.parametrize(
    "spec",
    [
        None,
        [],
        7,
        {"network": None},
        {"network": 7},
        {"network": {"egress": None}},
        {"network": {"egress": {}}},
        {"network": {"egress": [1, {"service": 7}, {"service": None}, None]}},
        {"permissions": 7, "secrets": 0},
    ],
)
def test_a_malformed_spec_is_kept_and_names_nothing(spec: Any) -> None:
    kept = read_agent(agent(spec=spec))
    assert kept.spec == spec
    assert (kept.services, kept.by_address, kept.calls_api) == (frozenset(), False, False)


def written(manager: str, field: str = "f:spec", **more: Any) -> dict[str, Any]:
    body = agent()
    entry = {"manager": manager, "time": "2026-01-31T12:00:00Z", "fieldsV1": {field: {}}} | more
    body["metadata"]["managedFields"] = [entry, entry | {"manager": "earlier", "time": "2026-01-31T11:00:00Z"}]
    return body


def test_of_managed_fields_only_who_wrote_the_spec_is_kept() -> None:
    assert read_agent(written("argocd")).manager == FieldManager("argocd", "2026-01-31T12:00:00Z")
    assert read_agent(written("ringfence", subresource="status")).manager == FieldManager()
    assert read_agent(written("kubectl-label", "f:metadata")).manager == FieldManager()


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({}, ServicePort({"app": "x"}, "http")),
        ({"ports": [{"port": 80}]}, ServicePort({"app": "x"}, 80)),
        ({"ports": [{"port": 80, "targetPort": 8080, "protocol": "TCP"}]}, ServicePort({"app": "x"}, 8080)),
        ({"ports": [{"port": 79}, {"port": 80, "targetPort": 1}]}, ServicePort({"app": "x"}, 1)),
        ({"ports": [{"port": 80, "protocol": "UDP"}]}, None),
        ({"ports": [{"port": 81}]}, None),
        ({"ports": None}, None),
        ({"selector": None}, None),
        ({"selector": {}}, None),
        ({"type": "ExternalName"}, None),
    ],
)
def test_where_a_port_of_a_service_leads(spec: dict[str, Any], found: ServicePort | None) -> None:
    assert read_service(service(**spec)).port(80) == found


def test_a_service_is_its_ports_and_its_selector() -> None:
    first, second = read_service(service(1, sessionAffinity="ClientIP")), read_service(service(2))
    assert first.spec_json == second.spec_json
    assert (second.key, second.version) == (("ns", "s"), 2)
    assert first.spec_json != read_service(service(selector={"app": "y"})).spec_json
    assert read_service({"metadata": {"namespace": "ns", "name": "s"}}).port(80) is None


@pytest.mark.parametrize(
    ("spec", "addresses"),
    [
        ({"clusterIPs": ["10.96.0.7"]}, ("10.96.0.7",)),
        ({"clusterIPs": ["10.96.0.7", "fd00::7"]}, ("10.96.0.7", "fd00::7")),
        ({"clusterIP": "None", "clusterIPs": ["None"]}, ()),
        ({}, ()),
    ],
    ids=["one", "both families", "headless", "not yet"],
)
def test_the_addresses_of_a_service(spec: dict[str, Any], addresses: tuple[str, ...]) -> None:
    found = read_service(service(**spec))
    assert found.addresses == addresses
    assert (found.spec_json == read_service(service()).spec_json) is (not spec), "another address is a change"


def test_a_pod_is_what_says_why_it_does_not_run() -> None:
    unplaced = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes", "reason": "Unschedulable"}
    waiting = {"name": "agent", "ready": False, "state": {"waiting": {"reason": "x"}}, "image": "y"}
    body = pod(3, phase="Pending", conditions=[unplaced, {"type": "Ready", "status": "False"}])
    body["status"] |= {"containerStatuses": [waiting], "podIP": "192.0.2.1"}
    kept = read_pod(body)
    assert (kept.key, kept.agent, kept.version) == (("ns", "ringfence-a-1"), Key("ns", "a"), 3)
    assert kept.manifest() == {
        "metadata": {"name": "ringfence-a-1"},
        "status": {
            "phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes"}],
            "containerStatuses": [{"ready": False, "state": {"waiting": {"reason": "x"}}}],
        },
    }


def test_a_pod_without_anything() -> None:
    kept = read_pod({"metadata": {"namespace": "ns", "name": "p"}})
    assert kept.agent == Key("ns", "")
    assert kept.manifest()["status"] == {"phase": None, "conditions": [], "containerStatuses": []}


def test_a_policy() -> None:
    kept = read_policy(policy(4, generation=2, status={"boundAgents": 1}))
    assert (kept.name, kept.uid, kept.version, kept.generation) == ("p", "uid-p", 4, 2)
    assert kept.status == {"boundAgents": 1}
    assert read_policy(policy()).status == {}


def test_paths() -> None:
    assert agent_path(Key("ns", "a"), "/status") == (
        "/apis/ringfence.dev/v1alpha1/namespaces/ns/agentdeployments/a/status"
    )
    role = Ref("Role", "ns", "ringfence-a")
    assert child_path(role) == "/apis/rbac.authorization.k8s.io/v1/namespaces/ns/roles/ringfence-a"


def test_the_same_is_packed_the_same() -> None:
    assert packed({"a": 1, "b": [2]}) == packed({"b": [2], "a": 1})
