"""Policies, namespaces and specs change after admission: what was accepted stays, what was not gets nothing.

There is no webhook here: these specs got past it, as they would have in its absence.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from api.controller.place import CHILDREN, FULL, IMAGE, RULES, Place, json_bytes
from api.controller.process import Controller
from api.server import Server
from cluster.shell import wait_for
from ringfence.api.names import AGENTS_LABEL, API_VERSION
from ringfence.kube import path_of
from unit.policy.signing import Signer, asking, carried

POLICIES = path_of(API_VERSION, "agentpolicies")
OUTSIDE = {"egress": [{"cidr": "203.0.113.0/28", "ports": [443]}]}
WRITES = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["update"]}]


class Policies:
    """AgentPolicies that bind one namespace."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.names: list[str] = []

    def wait_known(self, name: str = "p") -> None:
        """Until the controller has seen it: an agent that it meets before is accepted, and kept as it was."""
        path = f"{POLICIES}/{self.place.name}-{name}"
        wait_for("the policy's status", lambda: "status" in self.place.server.request("GET", path).body)

    def put(self, name: str = "p", **spec: Any) -> None:
        """Create or replace."""
        full = f"{self.place.name}-{name}"
        selector = {"matchLabels": {"kubernetes.io/metadata.name": self.place.name}}
        body: dict[str, Any] = {
            "apiVersion": API_VERSION,
            "kind": "AgentPolicy",
            "metadata": {"name": full},
            "spec": {"namespaceSelector": selector} | spec,
        }
        answer = self.place.server.request("POST", POLICIES, json_bytes(body))
        if answer.code == 409:
            path, kind = f"{POLICIES}/{full}", "application/merge-patch+json"
            answer = self.place.server.request("PATCH", path, json_bytes(body), kind)
        assert answer.ok, answer
        self.names.append(full)

    def drop(self, name: str = "p") -> None:
        assert self.place.server.request("DELETE", f"{POLICIES}/{self.place.name}-{name}").ok

    def clear(self) -> None:
        for name in set(self.names):
            self.place.server.request("DELETE", f"{POLICIES}/{name}")


@pytest.fixture
def policies(place: Place) -> Iterator[Policies]:
    found = Policies(place)
    yield found
    found.clear()


def _children(versions: dict[str, object]) -> dict[str, object]:
    return {name: version for name, version in versions.items() if not name.startswith("AgentDeployment/")}


def test_a_policy_deleted_while_in_use(place: Place, policies: Policies, controller: Controller) -> None:
    policies.put(egress={"cidrs": ["203.0.113.0/24"]})
    place.agent("a", FULL, network=OUTSIDE)
    place.wait_applied()
    wait_for("no write", lambda: place.condition("Ready").get("reason") == "Progressing")
    before = place.versions()
    # The agent may have been seen before its policy: refused, counted, and looked at again.
    start = controller.metric("ringfence_violations_total", source="policy", namespace=place.name)
    policies.drop()
    said = place.wait_condition("Accepted", "False", "Refused")
    assert "spec.network.egress[0].cidr: EgressAbovePolicy: " in said["message"]
    assert "The agent was accepted before and is kept as it was" in said["message"]
    assert place.condition("Ready")["reason"] == "Refused"
    assert _children(place.versions()) == _children(before)
    counted = controller.counted(start + 1, "ringfence_violations_total", source="policy", namespace=place.name)
    assert counted == start + 1

    for kind, name in CHILDREN.values():  # what is kept is guarded like any other
        place.merge(kind, name.format("a"), {"metadata": {"labels": None}})
    place.delete("NetworkPolicy", "ringfence-a-deny")
    place.wait_right()
    place.delete("Deployment", "ringfence-a")
    place.wait_right()
    assert controller.metric("ringfence_violations_total", source="policy", namespace=place.name) == counted

    policies.put(egress={"cidrs": ["203.0.113.0/24"]})
    place.wait_condition("Accepted", "True")


def test_a_policy_tightened_while_in_use(place: Place, policies: Policies) -> None:
    policies.put(images={"requireDigest": False})
    place.agent("a", image="registry.example/agent:1")
    place.wait_applied()
    policies.put(images={"requireDigest": True, "registries": ["other.example"]})
    said = place.wait_condition("Accepted", "False", "Refused")
    assert "spec.image: ImageNoDigest: " in said["message"]
    assert "spec.image: ImageRegistry: " in said["message"]
    place.wait_right()


def test_a_namespace_that_is_closed_again(place: Place) -> None:
    place.agent("a", FULL)
    place.wait_applied()
    place.label({AGENTS_LABEL: None})
    said = place.wait_condition("Accepted", "False", "Refused")
    assert "metadata.namespace: NamespaceNotOpened: this namespace is not open to agents" in said["message"]
    place.delete("NetworkPolicy", "ringfence-a-deny")
    place.wait_right()
    place.label({AGENTS_LABEL: "enabled"})
    place.wait_condition("Accepted", "True")


GOOD: dict[str, Any] = {
    "permissions": {"level": "ReadOnly", "rules": RULES},
    "network": {"egress": None, "ingress": None},
}
FORBIDDEN: dict[str, dict[str, Any]] = {
    "no digest": {"image": "registry.example/agent:latest"},
    "a wildcard": {"permissions": {"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}},
    "secrets": {"permissions": {"rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]}},
    "escalation": {
        "permissions": {
            "level": "Critical",
            "rules": [{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["escalate"]}],
        }
    },
    "above its level": {"permissions": {"rules": WRITES}},
    "everywhere": {"network": {"egress": [{"cidr": "0.0.0.0/0", "ports": [443]}]}},
    "metadata": {"network": {"egress": [{"cidr": "169.254.169.254/32", "ports": [80]}]}},
    "another namespace's Service": {
        "network": {"egress": [{"service": {"name": "x", "namespace": "kube-system", "port": 443}}]}
    },
}


def test_what_is_forbidden_gets_a_fence_and_nothing_else(place: Place) -> None:
    names = [f"a{number}" for number in range(len(FORBIDDEN))]
    for name, change in zip(names, FORBIDDEN.values(), strict=True):
        place.agent(name, FULL | change)
    for name, (what, change) in zip(names, FORBIDDEN.items(), strict=True):
        said = place.wait_condition("Accepted", "False", "Refused", name)
        assert said["message"].startswith(f"spec.{next(iter(change))}"), what
        assert place.condition("NetworkPolicyApplied", name)["status"] == "False"
        assert place.status(name).get("managedResources", []) == []
        wait_for("the fence", partial(place.child, "deny", name))
    for kind, _ in CHILDREN.values():
        wanted = {f"ringfence-{name}-deny" for name in names} if kind == "NetworkPolicy" else {"default"}
        assert {item["metadata"]["name"] for item in place.items(kind)} <= wanted

    for name in names:  # the fence of what is not accepted is guarded, too
        place.delete("NetworkPolicy", f"ringfence-{name}-deny")
    for name in names:
        wait_for("the fence", partial(place.child, "deny", name))
    for name in names:
        place.change(name, **FULL | GOOD)
    for name in names:
        place.wait_applied(name)
        place.wait_right(name)


def test_an_agent_in_a_closed_namespace_gets_a_fence_and_nothing_else(place: Place, client: Any) -> None:
    closed = Place(client, labels={})
    closed.agent()
    said = closed.wait_condition("Accepted", "False", "Refused")
    assert "NamespaceNotOpened" in said["message"]
    assert closed.child("workload") is None
    closed.label({AGENTS_LABEL: "enabled"})
    closed.wait_applied()
    closed.remove()


def test_no_label_opens_the_namespace_of_the_controller(
    client: Server, controller: Controller, lease_namespace: str
) -> None:
    """`kubectl label namespaces --all`: neither the webhook nor a guard looks there."""
    own = Place.at(client, lease_namespace)
    own.label({AGENTS_LABEL: "enabled"})
    own.agent()
    assert "Ringfence's own pods" in own.wait_condition("Accepted", "False", "Refused")["message"]
    assert own.child("workload") is None
    own.delete("AgentDeployment", "a")
    own.label({AGENTS_LABEL: None})


def test_a_bad_update_leaves_the_last_good_state(place: Place) -> None:
    place.agent("a", FULL)
    place.wait_applied()
    wait_for("settled", lambda: place.condition("Ready"))
    before = place.versions()
    place.change(network={"egress": [{"cidr": "0.0.0.0/0", "ports": [443]}]}, args=["new"])
    said = place.wait_condition("Accepted", "False", "Refused")
    assert "is kept as it was" in said["message"]
    assert _children(place.versions()) == _children(before)
    place.delete("NetworkPolicy", "ringfence-a-deny")
    wait_for("the fence is back", lambda: place.child("deny"))
    place.change(network={"egress": []}, permissions={"rules": RULES})
    place.wait_applied()
    place.wait_right()
    assert place.get("Deployment", "ringfence-a")["spec"]["template"]["spec"]["containers"][0]["args"] == ["new"]


def test_what_was_accepted_before_there_was_the_rule_runs_on(place: Place) -> None:
    """An upgrade brings a rule; the status says what the Ringfence of before accepted."""
    variable = {"name": "DB_PASSWORD", "value": "hunter2-in-the-clear"}
    place.agent("a", FULL, env=[variable])
    place.wait_condition("Accepted", "False", "Refused")
    place.merge("AgentDeployment", "a", {"status": {"acceptedGeneration": 1}}, "/status")
    place.wait_right()
    wait_for("to be told", lambda: "is kept as it was" in place.condition("Accepted")["message"])
    assert "spec.env[0].value: SecretInPlainText" in place.condition("Accepted")["message"]
    assert place.get("Deployment", "ringfence-a")["spec"]["template"]["spec"]["containers"][0]["env"][:-1] == [variable]


def test_two_policies_must_both_allow(place: Place, policies: Policies) -> None:
    policies.put("wide", egress={"cidrs": ["203.0.113.0/24"]})
    policies.put("narrow", egress={"cidrs": ["198.51.100.0/24"]})
    place.agent("a", network=OUTSIDE)
    place.wait_condition("Accepted", "False", "Refused")
    policies.drop("narrow")
    place.wait_applied()


def test_an_agent_whose_image_nobody_signed_is_fenced_and_does_not_start(place: Place, policies: Policies) -> None:
    """Decided at write as at the door: nobody asks admission here."""
    signer = Signer()
    policies.put(**asking(signer.pem))
    policies.wait_known()
    place.agent("a")
    said = place.wait_condition("Accepted", "False", "Refused")["message"]
    assert "ImageNotSigned" in said
    assert place.find("Deployment", "ringfence-a") is None
    place.merge("AgentDeployment", "a", {"spec": carried(signer.bundle(IMAGE.partition("@")[2]))})
    place.wait_condition("Accepted", "True")
    place.wait_applied()


def test_many_violations_are_told_in_bounds(place: Place) -> None:
    rules = [{"apiGroups": ["x" * 200], "resources": ["y" * 200], "verbs": ["get"]} for _ in range(32)]
    place.agent("a", image="x:" + "1" * 500, permissions={"rules": rules})
    said = place.wait_condition("Accepted", "False", "Refused")
    assert "\nand " in said["message"]
    assert len(said["message"]) <= 4096
    wait_for("an Event", lambda: any(reason == "Refused" for reason, _ in place.events()))
