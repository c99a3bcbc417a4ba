"""The status of an AgentPolicy: how many agents it binds, how many of these it does not allow, since when."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from api.controller.conftest import Shared
from api.controller.place import FULL, IMAGE, Place, json_bytes
from api.controller.process import Controller
from cluster.shell import wait_for
from ringfence.api.names import API_VERSION
from ringfence.kube import path_of

POLICIES = path_of(API_VERSION, "agentpolicies")


class Policy:
    """One policy that binds the namespaces with a label of its own."""

    def __init__(self, place: Place, **spec: Any) -> None:
        self.place, self.name = place, f"p-{uuid4().hex[:10]}"
        selector = {"matchLabels": {"kubernetes.io/metadata.name": place.name}}
        body = {"apiVersion": API_VERSION, "kind": "AgentPolicy", "metadata": {"name": self.name}}
        body |= {"spec": {"namespaceSelector": selector} | spec}
        answer = place.server.request("POST", POLICIES, json_bytes(body))
        assert answer.ok, answer

    def change(self, **spec: Any) -> None:
        self.place.merge_at(f"{POLICIES}/{self.name}", {"spec": spec})

    def remove(self) -> None:
        self.place.server.request("DELETE", f"{POLICIES}/{self.name}")

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.place.server.request("GET", f"{POLICIES}/{self.name}").body.get("status") or {}
        return found

    def wait(self, *, bound: int, violating: int) -> dict[str, Any]:
        def look() -> dict[str, Any]:
            status = self.status
            assert (status.get("boundAgents"), status.get("violatingAgents")) == (bound, violating), status
            return status

        return wait_for(f"{bound} bound, {violating} violating", look)


@pytest.fixture
def policy(place: Place) -> Iterator[Policy]:
    found = Policy(place)
    yield found
    found.remove()


def test_it_counts_whom_it_binds_and_whom_it_does_not_allow(place: Place, policy: Policy) -> None:
    assert "violatingSince" not in policy.wait(bound=0, violating=0)
    place.agent("a")
    place.agent("b", image=IMAGE.replace("registry.example", "other.example"))
    policy.wait(bound=2, violating=0)
    policy.change(images={"registries": ["registry.example"]})
    status = policy.wait(bound=2, violating=1)
    assert status["violatingSince"]
    assert status["observedGeneration"] == 2
    policy.change(images={"registries": ["nowhere.example"]})
    again = policy.wait(bound=2, violating=2)
    assert again["violatingSince"] == status["violatingSince"], "since the first of them"
    place.delete("AgentDeployment", "b")
    policy.wait(bound=1, violating=1)
    policy.change(images={"registries": ["*"]})
    assert "violatingSince" not in policy.wait(bound=1, violating=0)


def test_each_of_several_policies_counts_for_itself(place: Place, policy: Policy) -> None:
    other = Policy(place, images={"registries": ["nowhere.example"]})
    place.agent("a")
    other.wait(bound=1, violating=1)
    policy.wait(bound=1, violating=0)
    other.remove()
    place.wait_condition("Accepted", "True")


# --- spec.existing


@pytest.fixture
def running(place: Place, policy: Policy) -> Place:
    place.agent("a", FULL)
    place.agent("b", image=IMAGE.replace("registry.example", "other.example"))
    for name in ("a", "b"):
        place.wait_applied(name)
        place.run_pods(name)
    return place


def replicas(place: Place, name: str = "a") -> int:
    number: int = place.get("Deployment", f"ringfence-{name}")["spec"]["replicas"]
    return number


def test_existing_report_lets_it_run_on(running: Place, policy: Policy) -> None:
    policy.change(images={"registries": ["nowhere.example"]})
    running.wait_condition("Accepted", "False", "Refused")
    policy.wait(bound=2, violating=2)
    assert replicas(running) == 1
    assert running.child("allow")
    assert "kept as it was" in running.condition("Accepted")["message"]


def test_existing_suspend_stops_it_and_tells_until_it_fits_again(
    running: Place, policy: Policy, controller: Controller
) -> None:
    policy.change(images={"registries": ["other.example"]}, existing="Suspend")
    wait_for("it is stopped", lambda: replicas(running) == 0)
    said = running.wait_condition("WorkloadAvailable", "False", "SuspendedByPolicy")["message"]
    assert said.endswith(f"as AgentPolicy {policy.name} says")
    assert "ImageRegistry" in running.wait_condition("Ready", "False", "SuspendedByPolicy")["message"]
    assert "has no pods" in running.wait_condition("Accepted", "False", "Refused")["message"]
    wait_for("it reaches nothing", lambda: not (running.child("allow") or running.child("binding")))
    status = running.status()
    assert (status["effectivePermissions"], status.get("effectiveEgress")) == ([], [])
    wait_for("an Event", lambda: "SuspendedByPolicy" in [reason for reason, _ in running.events()])
    controller.counted(1, "ringfence_agents_stopped", reason="SuspendedByPolicy")
    assert (replicas(running, "b"), running.condition("Accepted", "b")["status"]) == (1, "True")
    running.merge("Deployment", "ringfence-a", {"spec": {"replicas": 1}})
    wait_for("stopped again", lambda: replicas(running) == 0)
    policy.change(images={"registries": ["*"]})
    wait_for("it runs again", lambda: replicas(running) == 1)
    running.wait_right()
    running.wait_condition("Accepted", "True")
    assert running.status()["effectivePermissions"] != []
    deleted = controller.metric("ringfence_violations_total", rule="ChildDeleted", namespace=running.name)
    assert deleted == 0, "what was taken away, nobody else took"


def test_a_controller_that_begins_anew_leaves_a_suspended_one_stopped(
    running: Place, policy: Policy, shared: Shared
) -> None:
    policy.change(images={"registries": ["other.example"]}, existing="Suspend")
    wait_for("it is stopped", lambda: replicas(running) == 0)
    running.wait_condition("Ready", "False", "SuspendedByPolicy")
    generation = running.get("Deployment", "ringfence-a")["metadata"]["generation"]
    controller = shared.restart()
    wait_for("a pass", lambda: controller.metric("ringfence_reconcile_total", result="ok") >= 2)
    assert running.condition("Ready")["reason"] == "SuspendedByPolicy"
    assert running.get("Deployment", "ringfence-a")["metadata"]["generation"] == generation
    assert not running.child("allow")


def test_the_strictest_of_those_that_bind_decides(running: Place, policy: Policy) -> None:
    other = Policy(running, existing="Suspend")
    policy.change(images={"registries": ["nowhere.example"]})
    wait_for("both are stopped", lambda: replicas(running) + replicas(running, "b") == 0)
    other.remove()
    wait_for("both run", lambda: replicas(running) + replicas(running, "b") == 2)
    running.wait_condition("Accepted", "False", "Refused")
