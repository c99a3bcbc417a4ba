"""An agent that is attacked, its children, and what is told of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cluster.shell import wait_for
from harness import agents, metrics
from harness.api import Api, Refused
from harness.kubectl import Kubectl, Object
from harness.manifests import NAMESPACE
from harness.probing import ELSEWHERE, LLM, METADATA, node_address

__all__ = ["HOLD", "NOBODY", "OPEN", "RULES", "STANDING", "Agent", "closed_to", "held", "path"]

GROUPS = {
    "networkpolicies": "/apis/networking.k8s.io/v1",
    "deployments": "/apis/apps/v1",
    "replicasets": "/apis/apps/v1",
    "cronjobs": "/apis/batch/v1",
    "roles": "/apis/rbac.authorization.k8s.io/v1",
    "rolebindings": "/apis/rbac.authorization.k8s.io/v1",
    "serviceaccounts": "/api/v1",
    "services": "/api/v1",
    "pods": "/api/v1",
    "secrets": "/api/v1",
}
STANDING = "ringfence-agents"
OPEN: Object = {"spec": {"egress": [{}], "policyTypes": ["Ingress", "Egress"]}}
NOBODY: Object = {"spec": {"podSelector": {"matchLabels": {"ringfence.dev/agent": None, "nothing": "at-all"}}}}
HOLD = "example.com/hold"
RULES = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]
"""Rights that an agent may ask for here."""
GONE = 404


def path(kind: str, name: str = "", *, namespace: str = NAMESPACE) -> str:
    """Of an object, or of all of its kind, in the agents' namespace."""
    return f"{GROUPS[kind]}/namespaces/{namespace}/{kind}" + (f"/{name}" if name else "")


def held(who: Api, at: str, edit: Object) -> None:
    """Keep an object by a finalizer while it is being deleted, and edit it, as far as it is still there."""
    who.patch(at, {"metadata": {"finalizers": [HOLD]}})
    who.delete(at)
    try:
        who.patch(at, edit)
    except Refused as refused:
        if refused.code != GONE:
            raise


def closed_to(kubectl: Kubectl) -> list[str]:
    """What a fenced agent must not reach, and any other pod does."""
    return [
        f"tcp://{ELSEWHERE}:443",
        f"udp://{LLM}:7",
        f"tcp://{METADATA}:80",
        f"tcp://{node_address(kubectl)}:10250",
    ]


@dataclass(frozen=True)
class Agent:
    """`api`: an administrator's client, by which tests look."""

    api: Api
    name: str
    uids: dict[str, str] = field(default_factory=dict)
    """Of its children as they were at first, by path."""
    specs: dict[str, Any] = field(default_factory=dict)
    """What of them must be there again after any attack."""

    def remember(self) -> "Agent":
        """Take its children as they are for what is right."""
        for at in self.children():
            live = self.api.get(at)
            self.uids[at] = live["metadata"]["uid"]
            self.specs[at] = _essence(live)
        return self

    @property
    def allow(self) -> str:
        return path("networkpolicies", f"ringfence-{self.name}-allow")

    @property
    def deny(self) -> str:
        return path("networkpolicies", f"ringfence-{self.name}-deny")

    @property
    def workload(self) -> str:
        return path("deployments", f"ringfence-{self.name}")

    @property
    def at(self) -> str:
        """The AgentDeployment itself."""
        return agents.agent_path(NAMESPACE, self.name)

    def children(self) -> list[str]:
        """Paths of what the fence is made of, and of the workload."""
        managed = self.api.get(self.at)["status"]["managedResources"]
        plural = {f"{kind.removesuffix('ies')}y" if kind.endswith("ies") else kind[:-1]: kind for kind in GROUPS}
        return [path(plural[one["kind"].lower()], one["name"]) for one in managed if one["kind"].lower() in plural]

    def pod(self) -> Object:
        """A pod of its that stays."""
        return next(one for one in self.pods() if not one["metadata"].get("deletionTimestamp"))

    def pod_name(self) -> str:
        return str(self.pod()["metadata"]["name"])

    def pods(self) -> list[Object]:
        return agents.pods(self.api, NAMESPACE, self.name)

    def right(self) -> bool:
        """Whether all children are as they were."""
        for at, spec in self.specs.items():
            live = self.api.get(at)
            assert _essence(live) == spec, f"{at} is {_essence(live)}"
            assert "deletionTimestamp" not in live["metadata"], at
        return True

    def wait_right(self, *, timeout: float = 150) -> None:
        wait_for(f"the children of {self.name} to be right", self.right, timeout=timeout)

    def wait(self, kind: str = "Ready", status: str = "True", reason: str = "", *, says: str = "") -> Object:
        """Wait for a condition; its message."""
        found = agents.wait(self.api, NAMESPACE, self.name, kind, status=status, reason=reason, says=says)
        return agents.condition(found, kind)

    def wait_event(self, reason: str, *says: str) -> None:
        """Wait for an Event about it, or about another object of its name."""
        events = "/apis/events.k8s.io/v1/namespaces/{}/events"

        def told() -> bool:
            found = self.api.get(events.format(NAMESPACE))["items"]
            return any(
                one["reason"] == reason
                and self.name in str(one["regarding"])
                and all(part in one["note"] for part in says)
                for one in found
            )

        wait_for(f"an Event {reason} about {self.name} that says {says}", told)

    def stopped(self) -> bool:
        """Whether no pod of its is meant to stay."""
        return all(one["metadata"].get("deletionTimestamp") for one in self.pods())


def violations(api: Api, rule: str) -> float:
    """How often the controller counted this in the agents' namespace."""
    return metrics.total(api, "ringfence_violations_total", rule=rule, namespace=NAMESPACE)


def _essence(live: Mapping[str, Any]) -> Object:
    """What an edit of anybody changes and a write of the cluster's own parts does not."""
    metadata = live["metadata"]
    # Without the owners' uids: the policy that a Deployment waits for at its end may have been made anew.
    owners = [{**one, "uid": ""} for one in metadata.get("ownerReferences") or []]
    found = {
        "metadata": {key: metadata.get(key) for key in ("labels", "finalizers")} | {"owners": owners},
        **{key: live[key] for key in ("spec", "rules", "subjects", "roleRef") if key in live},
    }
    # To hold an object takes three edits of it; where each of them is seen, that stops the agent for a minute.
    if "replicas" in found.get("spec", {}):
        found["spec"] = {key: value for key, value in found["spec"].items() if key != "replicas"}
    return found
