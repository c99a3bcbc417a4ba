"""Whoever may delete an AgentDeployment can leave its children: what is left is fenced, told and stopped."""

from collections.abc import Iterator
from typing import Any

import pytest

from api.controller.place import FULL, Place
from api.controller.process import Controller
from cluster.shell import wait_for
from ringfence.api.names import AGENTS_LABEL, API_VERSION
from ringfence.kube import path_of

EGRESS = {"network": {"egress": [{"service": {"name": "s", "port": 80}}]}}


@pytest.fixture
def agent(place: Place) -> Place:
    place.create("Service", {"metadata": {"name": "s"}, "spec": {"selector": {"app": "x"}, "ports": [{"port": 80}]}})
    place.agent("a", FULL | {"network": FULL["network"] | EGRESS["network"]}, replicas=1)
    place.wait_applied()
    return place


def delete_alone(place: Place, name: str = "a") -> None:
    """kubectl delete agd NAME --cascade=orphan. By the time of its pods the garbage collector knows the children."""
    wait_for("pods", lambda: place.pods(name))
    assert place.delete("AgentDeployment", name, propagationPolicy="Orphan").ok
    wait_for("the agent is gone", lambda: place.find("AgentDeployment", name) is None)


def ended(place: Place) -> bool:
    """Do a kubelet's part for the agent's pods; whether nothing is left of it."""
    place.end_pods()
    return all(place.child(one) is None for one in ("deny", "allow", "account", "workload"))


def orphans(controller: Controller, place: Place) -> list[dict[str, Any]]:
    """The lines about orphans of this namespace."""
    return [one for one in controller.lines if one["event"] == "orphans" and one["namespace"] == place.name]


def replicas(place: Place) -> Any:
    return place.get("Deployment", "ringfence-a")["spec"]["replicas"]


def test_what_is_orphaned_is_stopped(agent: Place, controller: Controller) -> None:
    delete_alone(agent)
    wait_for("no pods", lambda: replicas(agent) == 0)
    wait_for("nothing is allowed", lambda: agent.child("allow") is None)
    wait_for("no rights", lambda: agent.child("binding") is None)
    assert agent.child("deny")
    assert agent.child("volume"), "data stays"
    controller.counted(4, "ringfence_orphaned_objects", namespace=agent.name)
    line = wait_for("a line", lambda: orphans(controller, agent))[0]
    assert line["agent"] == "a"
    assert "Deployment/ringfence-a" in line["objects"]
    wait_for("an Event", lambda: any(one["reason"] == "Orphaned" for one in agent.items("Event")))
    note = next(one["note"] for one in agent.items("Event") if one["reason"] == "Orphaned")
    assert f"-n {agent.name} -l ringfence.dev/agent=a" in note


def test_what_is_opened_or_started_afterwards_is_closed_again(agent: Place) -> None:
    delete_alone(agent)
    wait_for("no pods", lambda: replicas(agent) == 0)
    agent.merge("Deployment", "ringfence-a", {"spec": {"replicas": 3}})
    wait_for("no pods again", lambda: replicas(agent) == 0)
    agent.merge("NetworkPolicy", "ringfence-a-deny", {"spec": {"egress": [{}]}})
    wait_for("the opened policy is gone", lambda: agent.child("deny") is None)


def test_made_again_the_agent_says_what_is_in_its_way(agent: Place) -> None:
    delete_alone(agent)
    agent.agent("a", FULL)
    wait_for("no pods", lambda: replicas(agent) == 0)
    wait_for("no rights", lambda: agent.child("binding") is None)
    said = agent.wait_condition("NetworkPolicyApplied", "False", "ChildNotOurs")
    assert "left by an AgentDeployment of this name" in said["message"]
    assert "kubectl delete" in said["message"]
    for kind in ("Deployment", "NetworkPolicy", "Role", "ServiceAccount", "PersistentVolumeClaim", "Service"):
        for one in agent.items(kind):
            if (one["metadata"].get("labels") or {}).get("ringfence.dev/agent") == "a":
                agent.delete(kind, one["metadata"]["name"])
    agent.wait_applied()


def test_what_goes_with_its_agent_is_no_orphan(agent: Place, controller: Controller) -> None:
    agent.delete("AgentDeployment", "a")
    wait_for("all of it is gone", lambda: ended(agent))
    assert controller.metric("ringfence_orphaned_objects", namespace=agent.name) == 0
    assert orphans(controller, agent) == []


@pytest.fixture
def keeping(place: Place) -> Iterator[Place]:
    path = path_of(API_VERSION, "agentpolicies")
    place.label({"orphans": place.name})
    spec = {"onOrphans": "Keep", "namespaceSelector": {"matchLabels": {"orphans": place.name}}}
    body = {"apiVersion": API_VERSION, "kind": "AgentPolicy", "metadata": {"name": place.name}, "spec": spec}
    place._must("POST", path, body)
    yield place
    place.server.request("DELETE", f"{path}/{place.name}")


def test_a_policy_can_have_orphans_kept(keeping: Place, controller: Controller) -> None:
    keeping.agent("a", replicas=1)
    keeping.wait_applied()
    delete_alone(keeping)
    controller.counted(4, "ringfence_orphaned_objects", namespace=keeping.name)
    assert replicas(keeping) == 1
    assert keeping.child("allow")
    keeping.server.request("DELETE", f"{path_of(API_VERSION, 'agentpolicies')}/{keeping.name}")
    keeping.label({AGENTS_LABEL: None})
    wait_for("no pods", lambda: replicas(keeping) == 0)
