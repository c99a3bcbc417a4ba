"""What is read of the cluster, kind by kind: where, and by which labels."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from ringfence.api.names import (
    AGENT_LABEL,
    API_VERSION,
    CHILD_PREFIX,
    GATEWAY_PREFIX,
    MANAGED_BY,
    MANAGED_BY_LABEL,
)
from ringfence.kube import path_of
from ringfence.resources import CHILD_KINDS
from ringfence.resources.model import ROTATION_LABEL

NAMESPACE: Final = "Namespace"
AGENT_POLICY: Final = "AgentPolicy"
NODE: Final = "Node"
SERVICE_CIDR: Final = "ServiceCIDR"
ENDPOINT_SLICE: Final = "EndpointSlice"

API_SERVICE_SELECTOR: Final = "kubernetes.io/service-name=kubernetes"
"""Labels of the EndpointSlices, in the namespace `default`, that hold the API server's own addresses."""


@dataclass(frozen=True)
class Source:
    """Where a kind is read.

    `namespace`: the only one that is read. `optional`: whether a cluster may lack the kind.
    """

    kind: str
    group_version: str
    plural: str
    namespace: str | None = None
    label_selector: str | None = None
    optional: bool = False

    @property
    def path(self) -> str:
        """URL path of the collection."""
        return path_of(self.group_version, self.plural, self.namespace)

    def item_path(self, namespace: str | None, name: str) -> str:
        """URL path of one object."""
        return path_of(self.group_version, self.plural, namespace, name)


SOURCES: Final[Mapping[str, Source]] = MappingProxyType(
    {
        source.kind: source
        for source in (
            Source(NAMESPACE, "v1", "namespaces"),
            Source(AGENT_POLICY, API_VERSION, "agentpolicies"),
            Source(NODE, "v1", "nodes"),
            # Before Kubernetes 1.33 the range of Service addresses cannot be read: there it is an extra network.
            Source(SERVICE_CIDR, "networking.k8s.io/v1", "servicecidrs", optional=True),
            Source(
                ENDPOINT_SLICE,
                "discovery.k8s.io/v1",
                "endpointslices",
                namespace="default",
                label_selector=API_SERVICE_SELECTOR,
            ),
        )
    }
)
"""Every kind that a PolicyContext needs, by its name."""

AGENTS: Final = Source("AgentDeployment", API_VERSION, "agentdeployments")
SERVICES: Final = Source("Service", "v1", "services")
PODS: Final = Source("Pod", "v1", "pods", label_selector=AGENT_LABEL)
ROTATION_PODS: Final = Source("Pod", "v1", "pods", label_selector=ROTATION_LABEL)
_NETWORK_POLICY_API: Final = "policy.networking.k8s.io"
CLUSTER_WIDE: Final = (
    Source("ClusterRoleBinding", "rbac.authorization.k8s.io/v1", "clusterrolebindings"),
    Source("AdminNetworkPolicy", f"{_NETWORK_POLICY_API}/v1alpha1", "adminnetworkpolicies", optional=True),
    Source("ClusterNetworkPolicy", f"{_NETWORK_POLICY_API}/v1alpha2", "clusternetworkpolicies", optional=True),
)
"""What may widen the fences of many namespaces at once."""
OUR_MARKS: Final = f"{MANAGED_BY_LABEL}={MANAGED_BY},{AGENT_LABEL}"
CHILDREN: Final = tuple(
    Source(
        kind.name,
        kind.group_version,
        kind.plural,
        label_selector=None if kind.powerful or kind.whole else OUR_MARKS,
        optional=kind.optional,
    )
    for kind in CHILD_KINDS.values()
)
"""The kinds of children: those that carry our marks; of the powerful and the whole ones all; see `keeps`."""


def keeps(kind: str) -> Callable[[Mapping[str, Any]], bool]:
    """Which objects of a child's kind are kept: ours, and of the whole kinds all."""
    return (lambda _: True) if CHILD_KINDS[kind].whole else is_child


def stray_pods(namespace: str) -> Source:
    """Pods without an agent's label: `may_be_stray` tells which of them an agent's ReplicaSet may have made."""
    return Source("Pod", "v1", "pods", namespace=namespace, label_selector=f"!{AGENT_LABEL}")


def may_be_stray(body: Mapping[str, Any]) -> bool:
    """Whether a pod has no agent's label, and a name as an agent's ReplicaSet gives it; that cannot be changed."""
    metadata = body["metadata"]
    name, labels = str(metadata["name"]), metadata.get("labels") or {}
    return name.startswith(CHILD_PREFIX) and not name.startswith(GATEWAY_PREFIX) and AGENT_LABEL not in labels


def is_child(body: Mapping[str, Any]) -> bool:
    """Whether an object carries our marks, or an agent owns it."""
    metadata = body["metadata"]
    labels = metadata.get("labels") or {}
    if labels.get(MANAGED_BY_LABEL) == MANAGED_BY and AGENT_LABEL in labels:
        return True
    return any(owner.get("kind") == AGENTS.kind for owner in metadata.get("ownerReferences") or [])
