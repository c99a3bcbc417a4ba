"""Who asks the API server beside an agent, what they ask for, and what a guard says."""

import json
from dataclasses import dataclass, field
from typing import Any

from api.controller.place import Place
from api.server import Answer, Server
from chart.rendering import NAMESPACE
from cluster import Cluster
from ringfence.api.names import AGENT_LABEL

CONTROLLER = f"system:serviceaccount:{NAMESPACE}:ringfence-controller"
RBAC, APPS, BATCH = "/apis/rbac.authorization.k8s.io/v1", "/apis/apps/v1", "/apis/batch/v1"
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
ADMIN = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"}
DIGEST = f"registry.example/x@sha256:{'0' * 64}"
OPENED_BEFORE = "kube-node-lease"
"""Of the cluster's own namespaces, the one that carried the label before the guards came."""
MERGE = "application/merge-patch+json"


@dataclass(frozen=True)
class Somebody:
    """Asks without anything being stored (dry run)."""

    server: Server

    def ask(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Answer:
        data = json.dumps(body).encode() if body is not None else b""
        return self.server.request(method, f"{path}{'&' if '?' in path else '?'}dryRun=All", data, kind)

    def create(self, path: str, body: Any) -> Answer:
        return self.ask("POST", path, body)

    def merge(self, path: str, body: Any) -> Answer:
        return self.ask("PATCH", path, body, MERGE)

    def delete(self, path: str, **options: Any) -> Answer:
        given = {"kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"]}  # in a body, or it is not seen
        return self.ask("DELETE", path, given | options)


def of_user(cluster: Cluster, user: str, *groups: str) -> Server:
    return Server(cluster.server, cluster.user_kubeconfig(user, ["system:masters", *groups]))


def refused(answer: Answer, *words: str) -> None:
    assert answer.code in {403, 422}, (answer.code, answer.message)
    assert "ringfence-guard-" in answer.message, answer.message
    for word in words:
        assert word in answer.message, answer.message


def passed(answer: Answer) -> None:
    assert answer.ok, (answer.code, answer.message)


def paths(place: Place) -> dict[str, str]:
    """The children by their kinds (the last of each), as URL paths."""
    return {one["kind"]: place.path(one["kind"], one["metadata"]["name"]) for one in place.desired()}


EDITS: dict[str, Any] = {
    "NetworkPolicy": {"spec": {"egress": [{}]}},
    "Role": {"rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]},
    "RoleBinding": {"subjects": [{"kind": "User", "name": "eve", "apiGroup": "rbac.authorization.k8s.io"}]},
    "ServiceAccount": {"automountServiceAccountToken": True},
    "Deployment": {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 3600}}}},
    "CronJob": {"spec": {"suspend": True}},
}


def pod(place: Place, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": "p", "labels": labels}, "spec": {"containers": [{"name": "c", "image": DIGEST}]}}


def template(label: str = "", account: str = "") -> dict[str, Any]:
    labels = {"app": "z"} | ({label.partition("=")[0]: label.partition("=")[2]} if label else {})
    spec: dict[str, Any] = {"containers": [{"name": "c", "image": DIGEST}], "restartPolicy": "Always"}
    return {"metadata": {"labels": labels}, "spec": spec | ({"serviceAccountName": account} if account else {})}


def workload(kind: str, of: dict[str, Any]) -> dict[str, Any]:
    once = of | {"spec": of["spec"] | {"restartPolicy": "Never"}}
    match kind:
        case "CronJob":
            spec: dict[str, Any] = {"schedule": "0 0 * * *", "jobTemplate": {"spec": {"template": once}}}
        case "Job":
            spec = {"template": once}
        case "ReplicationController":
            spec = {"selector": {"app": "z"}, "template": of}
        case _:
            spec = {"selector": {"matchLabels": {"app": "z"}}, "template": of, "serviceName": "z"}
            spec = spec if kind == "StatefulSet" else {key: spec[key] for key in ("selector", "template")}
    return {"metadata": {"name": "z"}, "spec": spec}


WORKLOADS = {
    "Deployment": f"{APPS}/namespaces/{{}}/deployments",
    "ReplicaSet": f"{APPS}/namespaces/{{}}/replicasets",
    "StatefulSet": f"{APPS}/namespaces/{{}}/statefulsets",
    "DaemonSet": f"{APPS}/namespaces/{{}}/daemonsets",
    "ReplicationController": "/api/v1/namespaces/{}/replicationcontrollers",
    "Job": f"{BATCH}/namespaces/{{}}/jobs",
    "CronJob": f"{BATCH}/namespaces/{{}}/cronjobs",
}
AGENTS_ACCOUNT = {"kind": "ServiceAccount", "name": "ringfence-a"}
RBAC_GROUP = {"apiGroup": "rbac.authorization.k8s.io"}


def selecting(**selector: Any) -> dict[str, Any]:
    return {"podSelector": selector}


OPEN: dict[str, Any] = {"egress": [{}], "policyTypes": ["Egress"]}
OUT = {"key": AGENT_LABEL, "operator": "DoesNotExist"}
PLUGINS = {"cilium.io": ("v2", "ciliumnetworkpolicies"), "crd.projectcalico.org": ("v1", "networkpolicies")}

HERE = f"/api/v1/namespaces/{NAMESPACE}"
CERTIFICATE = f"{HERE}/secrets/ringfence-admission-tls"

TO_AGENT = "ringfence-to-a"
GATEWAY = "gateway.networking.k8s.io"
ROUTES = ("httproutes", "grpcroutes", "tlsroutes", "tcproutes", "udproutes", "referencegrants")


def kind_of(plural: str) -> str:
    names = {"httproutes": "HTTPRoute", "grpcroutes": "GRPCRoute", "tlsroutes": "TLSRoute", "tcproutes": "TCPRoute"}
    return names.get(plural) or {"udproutes": "UDPRoute", "referencegrants": "ReferenceGrant"}[plural]


@dataclass
class Kept:
    """Somebody who makes things, which are gone afterwards."""

    admin: Somebody
    made: list[str] = field(default_factory=list)

    def make(self, collection: str, body: dict[str, Any]) -> str:
        """Its path."""
        answer = self.admin.server.request("POST", collection, json.dumps(body).encode())
        assert answer.ok, answer
        self.made.append(f"{collection}/{body['metadata']['name']}")
        return self.made[-1]
