"""One fresh namespace with agents in it, seen through plain requests."""

import copy
import json
from collections.abc import Container, Mapping
from typing import Any
from uuid import uuid4

from api.controller.process import CANARY, JOB_IMAGE
from api.server import Answer, Server
from cluster.shell import wait_for
from ringfence.api import AgentDeploymentSpec, parse
from ringfence.api.names import AGENT_LABEL, AGENTS_ENABLED, AGENTS_LABEL, API_VERSION, CEILING_BINDING, STANDING_POLICY
from ringfence.kube import path_of
from ringfence.resources import CHILD_KINDS, Agent, Endpoint, JobImage, Manifest, ServicePort, build
from ringfence.resources.compare import matches
from ringfence.resources.model import Gate

IMAGE = "registry.example/agent@sha256:" + "0123456789abcdef" * 4
NODE = "no-kubelet"
"""A node that only exists on paper; `run_pods` does its work."""
RULES = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]
FULL: dict[str, Any] = {
    "image": IMAGE,
    "permissions": {"rules": RULES},
    "storage": {"mountPath": "/var/lib/agent", "size": "1Gi"},
    "ports": [{"name": "panel", "port": 8080}],
    "network": {"ingress": [{"from": {"podLabels": {"app": "console"}}, "port": "panel"}]},
}
"""A spec that has every kind of child."""
KINDS = {kind.name: (kind.group_version, kind.plural) for kind in CHILD_KINDS.values()} | {
    "AgentDeployment": (API_VERSION, "agentdeployments"),
    "Secret": ("v1", "secrets"),
    "Pod": ("v1", "pods"),
    "ReplicaSet": ("apps/v1", "replicasets"),
    "Event": ("events.k8s.io/v1", "events"),
}
CHILDREN = {
    "deny": ("NetworkPolicy", "ringfence-{}-deny"),
    "allow": ("NetworkPolicy", "ringfence-{}-allow"),
    "account": ("ServiceAccount", "ringfence-{}"),
    "role": ("Role", "ringfence-{}"),
    "binding": ("RoleBinding", "ringfence-{}"),
    "volume": ("PersistentVolumeClaim", "ringfence-{}"),
    "service": ("Service", "ringfence-{}"),
    "workload": ("Deployment", "ringfence-{}"),
}
"""Short name -> kind and name of a child, in the order in which they are written."""


class Place:
    """One namespace."""

    def __init__(self, server: Server, *, labels: Mapping[str, str] | None = None) -> None:
        self.server = server
        self.name = f"t-{uuid4().hex[:10]}"
        labels = {AGENTS_LABEL: AGENTS_ENABLED} if labels is None else labels
        self._must("POST", "/api/v1/namespaces", {"metadata": {"name": self.name, "labels": labels}})

    @classmethod
    def at(cls, server: Server, name: str) -> "Place":
        """A namespace that is there already."""
        found = cls.__new__(cls)
        found.server, found.name = server, name
        return found

    def remove(self) -> None:
        """Leave it to the cluster to empty it."""
        self.server.request("DELETE", f"/api/v1/namespaces/{self.name}")

    def label(self, labels: Mapping[str, str | None]) -> None:
        self.merge_at(f"/api/v1/namespaces/{self.name}", {"metadata": {"labels": labels}})

    def keep_running(self, answer: str = "Keep") -> str:
        """Bind the namespace by a policy that says what becomes of agents with a contested fence. The policy's path."""
        name = f"{self.name}-{answer.lower()}"
        selector = {"matchLabels": {"kubernetes.io/metadata.name": self.name}}
        spec = {"namespaceSelector": selector, "onRepeatedEdits": answer}
        body = {"apiVersion": API_VERSION, "kind": "AgentPolicy", "metadata": {"name": name}, "spec": spec}
        self._must("POST", path_of(API_VERSION, "agentpolicies"), body)
        return path_of(API_VERSION, "agentpolicies", name=name)

    # --- agents

    def agent(self, name: str = "a", spec: Mapping[str, Any] | None = None, **changes: Any) -> Manifest:
        """Create an agent, as the API server stored it. `changes`: fields of the spec."""
        body = {
            "apiVersion": API_VERSION,
            "kind": "AgentDeployment",
            "metadata": {"name": name},
            "spec": {"image": IMAGE} | dict(spec or {}) | changes,
        }
        return self._must("POST", self.path("AgentDeployment"), body)

    def change(self, name: str = "a", **fields: Any) -> Manifest:
        """Merge fields into the spec of an agent."""
        return self.merge("AgentDeployment", name, {"spec": fields})

    def status(self, name: str = "a") -> Manifest:
        status: Manifest = self.get("AgentDeployment", name).get("status") or {}
        return status

    def condition(self, kind: str, name: str = "a") -> Manifest:
        """The condition, with its `generation` as the agent's own; empty where it is not there."""
        found = self.get("AgentDeployment", name)
        conditions = (found.get("status") or {}).get("conditions", [])
        current = [one for one in conditions if one["observedGeneration"] == found["metadata"]["generation"]]
        return next((one for one in current if one["type"] == kind), {})

    def wait_condition(self, kind: str, status: str, reason: str | None = None, name: str = "a") -> Manifest:
        def look() -> Manifest | None:
            found = self.condition(kind, name)
            assert found.get("status") == status, found
            assert reason in {None, found.get("reason")}, found
            return found

        return wait_for(f"{kind} of {name} is {status} {reason or ''}", look) or {}

    def wait_applied(self, name: str = "a") -> Manifest:
        """Until all children of the present spec are stored; the status."""

        def look() -> Manifest:
            found = self.get("AgentDeployment", name)
            status = found.get("status") or {}
            assert status.get("acceptedGeneration") == found["metadata"]["generation"], status
            return dict(status)

        return wait_for(f"{name} is applied", look)

    def events(self) -> list[tuple[str, str]]:
        """(reason, note) of the Events about agents."""
        found = self.items("Event")
        ours = [event for event in found if event["regarding"].get("kind") == "AgentDeployment"]
        return [(event["reason"], event["note"]) for event in ours]

    # --- children

    def child(self, which: str, agent: str = "a") -> Manifest | None:
        kind, name = CHILDREN[which]
        return self.find(kind, name.format(agent))

    def desired(
        self,
        name: str = "a",
        services: Mapping[tuple[str, str, int], ServicePort] | None = None,
        api_server: tuple[Endpoint, ...] = (),
    ) -> list[Manifest]:
        """What build() says for the agent as it is stored."""
        found = self.get("AgentDeployment", name)
        spec = parse(AgentDeploymentSpec, found["spec"]).value
        assert spec is not None
        deny = self.child("deny", name)
        agent = Agent(
            name=name,
            namespace=self.name,
            uid=found["metadata"]["uid"],
            spec=spec,
            fence_uid=deny["metadata"]["uid"] if deny and "deletionTimestamp" not in deny["metadata"] else None,
            services=services or {},
            api_server=api_server or (self.api_server() if spec.permissions.rules or spec.secrets else ()),
            job_image=JobImage(JOB_IMAGE),
            gate=Gate(JobImage(JOB_IMAGE), *CANARY),
        )
        return build(agent)

    def api_server(self) -> tuple[Endpoint, ...]:
        """Where the API server says that it is."""
        slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"
        found = self.server.request("GET", slices).body
        return tuple(
            Endpoint(address, port["port"])
            for endpoint in found.get("endpoints") or []
            for address in endpoint["addresses"]
            for port in found.get("ports") or []
        )

    def right(self, name: str = "a", kinds: Container[str] = KINDS) -> bool:
        """Whether every child (of those kinds) is stored as build() says, to the last field."""
        for manifest in self.desired(name):
            if manifest["kind"] not in kinds:
                continue
            live = self.find(manifest["kind"], manifest["metadata"]["name"])
            assert live is not None, f"{manifest['kind']} {manifest['metadata']['name']} is not there"
            assert matches(manifest, live), f"wanted {json.dumps(manifest)}\nfound {json.dumps(live)}"
        return True

    def wait_right(self, name: str = "a", timeout: float = 150) -> None:
        wait_for(f"the children of {name} are as they should be", lambda: self.right(name), timeout=timeout)

    def pods(self, agent: str = "a") -> list[Manifest]:
        return [pod for pod in self.items("Pod") if pod["metadata"]["labels"].get(AGENT_LABEL) == agent]

    def run_pods(self, agent: str = "a", *, count: int = 1) -> list[str]:
        """Do a kubelet's part for an agent's new pods: take them in and call them ready. Their names."""
        wait_for("the pods", lambda: len(self.pods(agent)) >= count)
        names = [pod["metadata"]["name"] for pod in self.pods(agent) if not pod["spec"].get("nodeName")]
        for name in names:
            target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
            self._must("POST", self.path("Pod", name, "/binding"), {"metadata": {"name": name}, "target": target})
            ready = [{"type": kind, "status": "True"} for kind in ("Ready", "ContainersReady", "PodScheduled")]
            self.merge("Pod", name, {"status": {"phase": "Running", "conditions": ready}}, "/status")
        return names

    def end_pods(self, agent: str = "a", *, going: bool = False) -> None:
        """Do a kubelet's part for pods that are to go. `going`: those alone that somebody deleted."""
        for pod in self.pods(agent):
            if going and "deletionTimestamp" not in pod["metadata"]:
                continue
            self.delete("Pod", pod["metadata"]["name"], gracePeriodSeconds=0)

    # --- requests

    def path(self, kind: str, name: str | None = None, subresource: str = "") -> str:
        return path_of(*KINDS[kind], self.name, name) + subresource

    def find(self, kind: str, name: str) -> Manifest | None:
        answer = self.server.request("GET", self.path(kind, name))
        assert answer.ok or answer.code == 404, answer
        return answer.body if answer.ok else None

    def get(self, kind: str, name: str) -> Manifest:
        found = self.find(kind, name)
        assert found is not None, f"{kind} {name} is not there"
        return found

    def items(self, kind: str) -> list[Manifest]:
        """All of a kind but what the namespace has for itself."""
        found: list[Manifest] = self._must("GET", self.path(kind))["items"]
        return [one for one in found if one["metadata"]["name"] not in {STANDING_POLICY, CEILING_BINDING}]

    def create(self, kind: str, body: Mapping[str, Any]) -> Manifest:
        version = KINDS[kind][0]
        return self._must("POST", self.path(kind), {"apiVersion": version, "kind": kind} | dict(body))

    def replace(self, kind: str, body: Mapping[str, Any]) -> Manifest:
        return self._must("PUT", self.path(kind, body["metadata"]["name"]), body)

    def merge(self, kind: str, name: str, body: Mapping[str, Any], subresource: str = "") -> Manifest:
        return self.merge_at(self.path(kind, name, subresource), body)

    def merge_at(self, path: str, body: Mapping[str, Any]) -> Manifest:
        return self._must("PATCH", path, body, "application/merge-patch+json")

    def patch(self, kind: str, name: str, operations: list[Mapping[str, Any]]) -> Manifest:
        """JSON patch."""
        return self._must("PATCH", self.path(kind, name), operations, "application/json-patch+json")

    def delete(self, kind: str, name: str, **options: Any) -> Answer:
        """As kubectl does, unless `options` say otherwise."""
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"} | options
        body = json.dumps(options).encode()
        return self.server.request("DELETE", self.path(kind, name), body)

    def versions(self) -> dict[str, object]:
        """What a write of somebody's would change, of every agent and child."""
        kinds = ["AgentDeployment", *CHILD_KINDS]
        return {
            f"{kind}/{item['metadata']['name']}": _version(kind, item) for kind in kinds for item in self.items(kind)
        }

    def _must(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Manifest:
        answer = self.server.request(method, path, json.dumps(body).encode() if body is not None else b"", kind)
        assert answer.ok, f"{method} {path}: {answer.code} {answer.message}"
        return answer.body


def _version(kind: str, item: Manifest) -> object:
    """Its resourceVersion; of a Deployment, to which its own controller writes as well, what that one leaves alone."""
    if kind != "Deployment":
        return item["metadata"]["resourceVersion"]
    ours = {key: value for key, value in item["metadata"].items() if key not in {"resourceVersion", "managedFields"}}
    noted = ours.pop("annotations", {}).items()
    return ours, [note for note in noted if not note[0].startswith("deployment.kubernetes.io/")]


def without_owners(manifest: Manifest) -> Manifest:
    """A copy of a stored object without what the API server fills in, and with no owner: a stranger's."""
    copied = copy.deepcopy(manifest)
    kept = {key: copied["metadata"][key] for key in ("name", "labels", "annotations") if key in copied["metadata"]}
    copied["metadata"] = kept
    copied.pop("status", None)
    return copied


def json_bytes(body: Any) -> bytes:
    return json.dumps(body).encode()
