"""An agent's namespace, and others in which it asks for permissions."""

import json
from typing import Any

from api.controller.place import RULES, Place
from api.server import Server
from cluster import Cluster
from cluster.shell import wait_for
from ringfence.api.names import CONSENT_ANNOTATION
from ringfence.kube import path_of
from ringfence.resources import Manifest

READS = path_of("rbac.authorization.k8s.io/v1", "clusterrolebindings", name="ringfence-agent-reads-nodes")


class Targets:
    """An agent's namespace, two others, and the policy that lets agents ask for permissions in these."""

    def __init__(self, client: Server, cluster: Cluster) -> None:
        self.cluster, self.client = cluster, client
        self.home = Place(client)
        self.shop, self.web = Place(client, labels={}), Place(client, labels={})
        self.policy(namespaces=[self.shop.name, self.web.name])

    def policy(self, **permissions: Any) -> None:
        selector = {"matchLabels": {"kubernetes.io/metadata.name": self.home.name}}
        spec = {"namespaceSelector": selector, "permissions": {"maxLevel": "Admin"} | permissions}
        kind = {"apiVersion": "ringfence.dev/v1alpha1", "kind": "AgentPolicy", "metadata": {"name": self.home.name}}
        self.cluster.apply(kind | {"spec": spec})

    def consent(self, target: Place, value: str | None) -> None:
        body = {"metadata": {"annotations": {CONSENT_ANNOTATION: value}}}
        target.merge_at(f"/api/v1/namespaces/{target.name}", body)

    def agent(self, *targets: Place, name: str = "a", **permissions: Any) -> Manifest:
        rules = [RULES[0] | {"namespaces": [one.name for one in targets]}] if targets else []
        return self.home.agent(name, permissions={"rules": rules} | permissions)

    def given(self, target: Place, agent: str = "a") -> tuple[Manifest, Manifest] | None:
        """The Role and the RoleBinding that an agent has there."""
        name = f"ringfence-{agent}.of.{self.home.name}"
        found = [target.find(kind, name) for kind in ("Role", "RoleBinding")]
        return (found[0], found[1]) if found[0] and found[1] else None

    def wait_given(self, target: Place) -> tuple[Manifest, Manifest]:
        return wait_for("it is given", lambda: self.given(target))

    def nothing(self, target: Place) -> bool:
        """Whether nothing of any agent is left there."""
        return not target.items("Role") and not target.items("RoleBinding")

    def may(self, target: Place | None, verb: str, resource: str, agent: str = "a") -> bool:
        """Whether the agent may do that there; None: in the whole cluster."""
        attributes = {"verb": verb, "resource": resource} | ({"namespace": target.name} if target else {})
        spec = {"user": f"system:serviceaccount:{self.home.name}:ringfence-{agent}", "resourceAttributes": attributes}
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        answer = self.client.request(
            "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", json.dumps(body).encode()
        )
        return answer.body["status"].get("allowed") is True

    def wait_may(self, target: Place | None, verb: str, resource: str) -> None:
        wait_for("the API server knows it", lambda: self.may(target, verb, resource))

    def remove(self) -> None:
        for one in (self.home, self.shop, self.web):
            one.remove()
        self.cluster.kubectl("delete", "agentpolicy", self.home.name, "--ignore-not-found")


def listed(client: Server) -> list[Manifest]:
    return list(client.request("GET", READS).body.get("subjects") or [])
