"""Who attacks: users with just the rights that their name stands for, each with a client of their own."""

from collections.abc import Iterator, Mapping

from cluster import Cluster
from harness.api import Api
from harness.install import NAMESPACE as RELEASE
from harness.kubectl import Kubectl, Object
from harness.manifests import NAMESPACE, TOOLS

RBAC = "rbac.authorization.k8s.io"
Rule = tuple[str, str, tuple[str, ...]]
"""API group, resource, verbs."""
CHANGE = ("get", "list", "watch", "update", "patch", "delete")

BUILT_IN = {"ed": ("edit", NAMESPACE), "adm": ("admin", NAMESPACE), "tooled": ("edit", TOOLS)}
"""User -> one of Kubernetes' own ClusterRoles, and the namespace in which they have it."""
OWN: Mapping[str, tuple[str, Rule]] = {
    "dev": (NAMESPACE, ("ringfence.dev", "agentdeployments", ("create", *CHANGE))),
    "netp": (NAMESPACE, ("networking.k8s.io", "networkpolicies", CHANGE)),
    "eps": ("default", ("discovery.k8s.io", "endpointslices", ("create", *CHANGE))),
    "lease": (RELEASE, ("coordination.k8s.io", "leases", CHANGE)),
    "whadm": ("", ("admissionregistration.k8s.io", "validatingwebhookconfigurations", ("*",))),
}
"""User -> the namespace of their own role (empty: the whole cluster), and what it allows."""


def roles() -> Iterator[Object]:
    """All that is applied for them."""
    for user, (role, namespace) in BUILT_IN.items():
        yield _binding(user, namespace, {"apiGroup": RBAC, "kind": "ClusterRole", "name": role})
    for user, (namespace, (group, resource, verbs)) in OWN.items():
        kind = "Role" if namespace else "ClusterRole"
        rule = {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}
        yield _head(kind, user, namespace) | {"rules": [rule]}
        yield _binding(user, namespace, {"apiGroup": RBAC, "kind": kind, "name": f"attacker-{user}"})


def _head(kind: str, user: str, namespace: str) -> Object:
    metadata = {"name": f"attacker-{user}"} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": metadata}


def _binding(user: str, namespace: str, role: Object) -> Object:
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    subjects = [{"apiGroup": RBAC, "kind": "User", "name": user}]
    return _head(kind, user, namespace) | {"roleRef": role, "subjects": subjects}


class People:
    """Use as `people("ed").patch(...)`: what they may not do is refused."""

    def __init__(self, cluster: Cluster, kubectl: Kubectl) -> None:
        self._cluster = cluster
        self._clients: dict[str, Api] = {}
        kubectl.apply(*roles())

    def __call__(self, user: str) -> Api:
        """The client of a person; the same one each time."""
        if user not in self._clients:
            self._clients[user] = self.another(user)
        return self._clients[user]

    def another(self, user: str) -> Api:
        """A client that nobody else uses: for a thread."""
        assert user in BUILT_IN or user in OWN, user
        return Api.of_kubeconfig(self._cluster.server, self._cluster.user_kubeconfig(user))

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
