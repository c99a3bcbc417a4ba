"""A part of the fence that is wrong and cannot be put right: the agent is stopped within seconds, and that is said."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from api.controller.conftest import Shared
from api.controller.place import CHILDREN, FULL, IMAGE, Place, json_bytes, without_owners
from api.controller.process import USER, Controller
from cluster.shell import wait_for
from ringfence.resources import Manifest

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
WIDER: dict[str, dict[str, Any]] = {
    "allow": {"spec": {"egress": [{}]}},
    "deny": {"spec": {"podSelector": {"matchLabels": {"ringfence.dev/agent": None, "nothing": "at-all"}}}},
    "role": {"rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]}]},
    "binding": {"subjects": [{"kind": "User", "name": "eve", "apiGroup": "rbac.authorization.k8s.io"}]},
}
PLURALS = {"allow": "networkpolicies", "deny": "networkpolicies", "role": "roles", "binding": "rolebindings"}
Refuse = Callable[[Place, str], Callable[[], None]]


@pytest.fixture
def refuse(place: Place) -> Iterator[Refuse]:
    """Have the API server refuse the controller's writes of one kind in a namespace; what ends that."""
    path, name = f"{ADMISSION}/validatingadmissionpolicies", f"refuse-{place.name}"

    def end() -> None:
        for kind in ("validatingadmissionpolicybindings", "validatingadmissionpolicies"):
            place.server.request("DELETE", f"{ADMISSION}/{kind}/{name}")

    def begin(place: Place, which: str) -> Callable[[], None]:
        group = "networking.k8s.io" if PLURALS[which] == "networkpolicies" else "rbac.authorization.k8s.io"
        rule = {"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"]}
        spec = {
            "matchConstraints": {"resourceRules": [rule | {"resources": [PLURALS[which]]}]},
            "validations": [
                {"expression": f"request.userInfo.username != '{USER}' && !has(object.metadata.generateName)"}
            ],
        }
        create(place, path, name, spec)
        selector = {"matchLabels": {"kubernetes.io/metadata.name": place.name}}
        bound = {"policyName": name, "validationActions": ["Deny"], "matchResources": {"namespaceSelector": selector}}
        create(place, f"{ADMISSION}/validatingadmissionpolicybindings", name, bound)
        kind = CHILDREN[which][0]
        probe = place.get(kind, CHILDREN[which][1].format("a"))
        probe["metadata"] = {"generateName": "probe-"}

        def refused() -> bool:
            return place.server.request("POST", f"{place.path(kind)}?dryRun=All", json_bytes(probe)).code == 422

        wait_for("the API server refuses", refused)
        return end

    yield begin
    end()


def create(place: Place, path: str, name: str, spec: Mapping[str, Any]) -> None:
    answer = place.server.request("POST", path, json.dumps({"metadata": {"name": name}, "spec": spec}).encode())
    assert answer.ok, answer


def replicas(place: Place) -> int:
    number: int = place.get("Deployment", "ringfence-a")["spec"]["replicas"]
    return number


def stopped(place: Place) -> None:
    wait_for("it is stopped", lambda: replicas(place) == 0)
    place.wait_condition("Ready", "False", "Unfenced")
    place.wait_condition("WorkloadAvailable", "False", "Unfenced")


@pytest.mark.parametrize("which", list(WIDER))
def test_a_fence_that_cannot_be_put_right_stops_the_agent(
    place: Place, controller: Controller, refuse: Refuse, which: str
) -> None:
    place.agent("a", FULL)
    place.wait_applied()
    place.run_pods()
    kind, name = CHILDREN[which][0], CHILDREN[which][1].format("a")
    end = refuse(place, which)
    place.merge(kind, name, WIDER[which])
    stopped(place)
    assert f"{kind} {name}" in place.condition("Ready")["message"]
    wait_for("no pods", lambda: place.pods() == [] or place.pods()[0]["metadata"].get("deletionTimestamp"))
    wait_for("an Event", lambda: "Unfenced" in [reason for reason, _ in place.events()])
    lines = [line for line in controller.warnings() if line.get("namespace") == place.name]
    assert [(line["level"], line["reason"]) for line in lines if line["event"] == "stopped"] == [("error", "Unfenced")]
    place.end_pods()

    end()
    wait_for("it runs again", lambda: replicas(place) == 1 and place.right())
    wait_for("and says so", lambda: place.condition("Ready").get("reason") != "Unfenced")


def test_a_stopped_agent_stays_stopped_whatever_becomes_of_the_controller(
    place: Place, shared: Shared, refuse: Refuse
) -> None:
    place.agent("a", FULL)
    place.wait_applied()
    end = refuse(place, "allow")
    place.merge("NetworkPolicy", "ringfence-a-allow", WIDER["allow"])
    stopped(place)
    before = place.get("Deployment", "ringfence-a")["metadata"]["generation"]
    shared.current.kill()
    controller = shared.resume()
    wait_for("passes", lambda: controller.metric("ringfence_queue_retries_total", kind="AgentDeployment") >= 4)
    assert place.get("Deployment", "ringfence-a")["metadata"]["generation"] == before, "not even for a moment"
    place.wait_condition("Ready", "False", "Unfenced")
    end()
    wait_for("it runs again", lambda: replicas(place) == 1 and place.right())


@pytest.mark.parametrize("which", ["allow", "role", "binding"])
def test_a_strangers_object_in_place_of_a_part_stops_the_agent(place: Place, which: str) -> None:
    # To replace it may take more than one try: edits in a row, which alone would stop the agent for a minute.
    keeps = place.keep_running()
    place.agent("a", FULL)
    place.wait_applied()
    kind, name = CHILDREN[which][0], CHILDREN[which][1].format("a")
    wider: Manifest = without_owners(place.get(kind, name)) | WIDER[which]

    def replaced() -> bool:
        place.delete(kind, name)
        return place.server.request("POST", place.path(kind), json_bytes(wider)).ok

    wait_for("a stranger's object in our place", replaced, every=0)
    stopped(place)
    place.delete(kind, name)
    wait_for("it runs again", lambda: replicas(place) == 1 and place.right())
    place.server.request("DELETE", keeps)


def test_a_part_that_is_merely_absent_stops_nothing(place: Place, refuse: Refuse) -> None:
    """Without the allow policy the agent reaches less than its spec says."""
    place.agent("a", FULL)
    place.wait_applied()
    refuse(place, "role")
    place.delete("Role", "ringfence-a")
    place.wait_condition("RightsApplied", "False", "WriteFailed")
    place.merge("Deployment", "ringfence-a", {"spec": {"replicas": 3}})
    wait_for("put right", lambda: replicas(place) == 1)
    assert place.condition("Ready")["reason"] == "WriteFailed"


def told_why(place: Place, reason: str) -> str:
    return wait_for("an Event", lambda: next((note for told, note in place.events() if told == reason), ""))


def refused_update(place: Place) -> None:
    """An agent that runs as it was accepted, while its newer generation is refused."""
    place.agent("a", FULL)
    place.wait_applied()
    place.run_pods()
    place.change(image="registry.example/agent:without-digest")
    place.wait_condition("Accepted", "False", "Refused")


@pytest.mark.parametrize("which", ["allow", "role", "binding"])
def test_a_part_that_is_edited_while_a_newer_generation_is_refused_stops_the_agent(place: Place, which: str) -> None:
    """The spec that it was made from is not stored any more."""
    refused_update(place)
    assert replicas(place) == 1
    kind, name = CHILDREN[which][0], CHILDREN[which][1].format("a")
    place.merge(kind, name, WIDER[which])
    stopped(place)
    assert "not as it was accepted" in told_why(place, "Unfenced")
    assert "The agent was accepted before" in place.condition("Accepted")["message"]
    wait_for("it is taken away", lambda: place.find(kind, name) is None)
    place.merge("Deployment", "ringfence-a", {"spec": {"replicas": 2}})
    wait_for("it stays stopped", lambda: replicas(place) == 0)
    place.end_pods()
    place.change(image=IMAGE)
    wait_for("accepted again, it runs", lambda: replicas(place) == 1 and place.right())


def test_the_same_while_no_controller_looks(place: Place, shared: Shared) -> None:
    refused_update(place)
    shared.pause()
    place.merge("Role", "ringfence-a", WIDER["role"])
    shared.resume()
    stopped(place)


def test_a_restart_while_a_newer_generation_is_refused_stops_nobody(place: Place, shared: Shared) -> None:
    refused_update(place)
    controller = shared.restart()
    place.delete("NetworkPolicy", "ringfence-a-deny")
    wait_for("a pass", lambda: place.child("deny"))
    wait_for("passes", lambda: controller.metric("ringfence_reconcile_total", kind="AgentDeployment") >= 2)
    assert replicas(place) == 1
