"""Labels that a policy lets agents have: what selects by them selects agents, too."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from api.controller.place import Place
from chart.guards.asking import Somebody, passed, refused
from cluster.shell import wait_for
from ringfence.api.names import AGENT_LABEL

POLICIES = "/apis/ringfence.dev/v1alpha1/agentpolicies"
LABELS = [{"key": "team"}, {"key": "tier", "value": "agents"}]
GUARD = "ringfence-guard-labels"


def network_policy(ingress: list[Any] | None, **pods: Any) -> dict[str, Any]:
    spec = {"podSelector": pods, "policyTypes": ["Ingress"]} | ({} if ingress is None else {"ingress": ingress})
    return {"metadata": {"name": "theirs"}, "spec": spec}


def service(selector: dict[str, str] | None, **more: Any) -> dict[str, Any]:
    chosen = {"selector": selector} if selector else {}
    return {"metadata": {"name": "theirs"}, "spec": {"ports": [{"port": 80}], **chosen, **more}}


@pytest.fixture(scope="module")
def labelled(place: Place, admin: Somebody) -> Iterator[Place]:
    """With a policy that lets agents have labels."""
    head = {"apiVersion": "ringfence.dev/v1alpha1", "kind": "AgentPolicy", "metadata": {"name": "labels"}}
    body = head | {"spec": {"pods": {"labels": LABELS}}}
    answer = admin.server.request("POST", POLICIES, json.dumps(body).encode())
    assert answer.ok, answer
    tried = network_policy([{}], matchLabels={"team": "x"})
    wait_for("the guard", lambda: GUARD in admin.create(place.path("NetworkPolicy"), tried).message)
    yield place
    admin.server.request("DELETE", f"{POLICIES}/labels")
    wait_for("its end", lambda: admin.create(place.path("NetworkPolicy"), tried).ok)


EXISTS = {"key": "team", "operator": "Exists"}
WITHOUT = {"key": AGENT_LABEL, "operator": "DoesNotExist"}


@pytest.mark.parametrize(
    "pods",
    [
        {"matchLabels": {"team": "x"}},
        {"matchLabels": {"tier": "agents"}},
        {"matchLabels": {"team": "x", "tier": "agents"}},
        {"matchLabels": {"team": "x", AGENT_LABEL: "a"}},
        {"matchExpressions": [EXISTS]},
        {"matchExpressions": [EXISTS, {"key": "app", "operator": "DoesNotExist"}]},
        {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["web", "agents"]}]},
        {"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["x"]}, EXISTS]},
    ],
)
def test_no_policy_of_others_opens_by_such_a_label(labelled: Place, admin: Somebody, pods: dict[str, Any]) -> None:
    path = labelled.path("NetworkPolicy")
    refused(admin.create(path, network_policy([{}], **pods)), GUARD, "AgentPolicy labels")
    passed(admin.create(path, network_policy(None, **pods)))
    left_out = {**pods, "matchExpressions": [*pods.get("matchExpressions", []), WITHOUT]}
    passed(admin.create(path, network_policy([{}], **left_out)))


@pytest.mark.parametrize(
    "pods",
    [
        {"matchLabels": {"app": "x"}},
        {"matchLabels": {"team": "x", "app": "x"}},
        {"matchLabels": {"tier": "web"}},
        {"matchExpressions": [EXISTS, {"key": "app", "operator": "Exists"}]},
        {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["web"]}]},
    ],
)
def test_what_no_agent_can_be_is_left_alone(labelled: Place, admin: Somebody, pods: dict[str, Any]) -> None:
    passed(admin.create(labelled.path("NetworkPolicy"), network_policy([{}], **pods)))


def test_no_service_takes_agents_in_by_such_a_label(labelled: Place, admin: Somebody) -> None:
    path = labelled.path("Service")
    for selector in ({"team": "x"}, {"tier": "agents"}, {"team": "x", "tier": "agents"}):
        refused(admin.create(path, service(selector)), GUARD, "an agent could take its requests")
        refused(admin.create(path, service(selector, type="LoadBalancer")), GUARD)
    for selector in ({"app": "x"}, {"team": "x", "app": "x"}, {"tier": "web"}):
        passed(admin.create(path, service(selector)))
    passed(admin.create(path, service(None)))
    passed(admin.create(path, service({"team": "x"}, type="ExternalName", externalName="db.example.com")))


def test_nor_does_one_that_is_there_already_turn_to_it(labelled: Place, admin: Somebody) -> None:
    body = json.dumps(service({"app": "x"})).encode()
    assert admin.server.request("POST", labelled.path("Service"), body).ok
    path = labelled.path("Service", "theirs")
    try:
        refused(admin.merge(path, {"spec": {"selector": {"app": None, "team": "x"}}}), GUARD)
    finally:
        admin.server.request("DELETE", path)
