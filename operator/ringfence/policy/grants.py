"""Every permission that an agent can be given: the one list from which levels, floor, ceiling and docs are made.

What is not here, no agent ever gets: Secrets; writing anything that runs, since such a pod would stand outside the
fence; running commands in pods or tunnels into them; ServiceAccounts and tokens; RBAC, admission, certificates and
Ringfence's own API; NetworkPolicies; whatever redirects or publishes traffic; anything outside of namespaces but
`CLUSTER_READS`. A new entry is a decision: say what it is for and what somebody who misuses it could come to.
"""

from dataclasses import dataclass
from typing import Final

from ringfence.api.permissions import ClusterRead, Level


@dataclass(frozen=True)
class Grant:
    """Verbs on one resource, from `level` on. `use`: what for. `risk`: what somebody who misuses it could come to."""

    level: Level
    group: str
    resource: str
    verbs: tuple[str, ...]
    use: str
    risk: str


_READ = ("get", "list", "watch")
_WRITE = ("create", "update", "patch")
_STATE = "see what runs, and how it does"
_IMAGES = "tells images, arguments and literal variables of everything that runs there, and names of Secrets"
_ADDRESSES = "tells addresses inside of the cluster; the agent's NetworkPolicies decide whether it reaches them"
_LITTLE = "tells little"
_STORM = "many or large Events load the API server's storage; a misleading one is signed by the agent's account alone"
_CONFIG = "changes what other programs of the namespace read at their start, and so perhaps what they do or run"
_LEADER = "can stop programs there that elect a leader, or have two of them lead"

GRANTS: Final = (
    Grant("ReadOnly", "", "configmaps", _READ, "read settings", "tells what is kept there, keys by mistake too"),
    Grant("ReadOnly", "", "endpoints", _READ, "find what serves", _ADDRESSES),
    Grant("ReadOnly", "", "events", _READ, "see what happens", "messages name images, nodes and volumes"),
    Grant("ReadOnly", "", "persistentvolumeclaims", _READ, "see what is stored", _LITTLE),
    Grant("ReadOnly", "", "pods", _READ, _STATE, _IMAGES),
    Grant("ReadOnly", "", "pods/log", ("get",), "read logs", "tells what programs there print: tokens and data, often"),
    Grant("ReadOnly", "", "services", _READ, "find what serves", _ADDRESSES),
    Grant("ReadOnly", "apps", "daemonsets", _READ, _STATE, _IMAGES),
    Grant("ReadOnly", "apps", "deployments", _READ, _STATE, _IMAGES),
    Grant("ReadOnly", "apps", "replicasets", _READ, _STATE, _IMAGES),
    Grant("ReadOnly", "apps", "statefulsets", _READ, _STATE, _IMAGES),
    Grant("ReadOnly", "autoscaling", "horizontalpodautoscalers", _READ, _STATE, _LITTLE),
    Grant("ReadOnly", "batch", "cronjobs", _READ, _STATE, _IMAGES),
    Grant("ReadOnly", "batch", "jobs", _READ, _STATE, _IMAGES),
    Grant("ReadOnly", "coordination.k8s.io", "leases", _READ, "see who leads", _LITTLE),
    Grant("ReadOnly", "discovery.k8s.io", "endpointslices", _READ, "find what serves", _ADDRESSES),
    Grant("ReadOnly", "events.k8s.io", "events", _READ, "see what happens", "messages name images, nodes and volumes"),
    Grant("ReadOnly", "networking.k8s.io", "ingresses", _READ, "find what is published", "tells host names and paths"),
    Grant("ReadOnly", "policy", "poddisruptionbudgets", _READ, _STATE, _LITTLE),
    Grant("LimitedWrite", "", "configmaps", _WRITE, "keep notes and settings", _CONFIG),
    Grant("LimitedWrite", "", "events", ("create",), "tell people", _STORM),
    Grant("LimitedWrite", "coordination.k8s.io", "leases", _WRITE, "elect a leader of its own", _LEADER),
    Grant("LimitedWrite", "events.k8s.io", "events", ("create",), "tell people", _STORM),
    Grant("Admin", "", "configmaps", ("delete",), "tidy up", "programs there that need one fail at their next start"),
    Grant("Admin", "", "pods", ("delete",), "restart what hangs", "an outage; what comes back is not of its making"),
    Grant(
        "Admin",
        "apps",
        "deployments/scale",
        ("update", "patch"),
        "scale",
        "an outage, or a quota that is used up",
    ),
    Grant("Admin", "apps", "statefulsets/scale", ("update", "patch"), "scale", "the same, and volumes that stay"),
    Grant("Admin", "coordination.k8s.io", "leases", ("delete",), "tidy up", _LEADER),
    Grant("Critical", "", "configmaps", ("deletecollection",), "tidy up at once", "all settings there are gone"),
    Grant("Critical", "", "persistentvolumeclaims", ("delete",), "free storage", "data is lost for good"),
    Grant("Critical", "batch", "jobs", ("delete",), "tidy up", "work is lost, and its pods with it"),
)


@dataclass(frozen=True)
class ClusterGrant:
    """Reads of one kind that is outside of all namespaces, from `level` on, given as a whole."""

    level: Level
    group: str
    resource: ClusterRead
    use: str
    risk: str
    verbs: tuple[str, ...] = _READ


CLUSTER_READS: Final = (
    ClusterGrant("Admin", "", "namespaces", "find teams and their labels", "tells who else is there"),
    ClusterGrant("Admin", "", "nodes", "see how machines do", "tells their addresses, versions and images of all pods"),
    ClusterGrant("Admin", "", "persistentvolumes", "see what is stored", "tells claims and storage of all namespaces"),
    ClusterGrant("Admin", "storage.k8s.io", "storageclasses", "see which storage there is", _LITTLE),
)
"""`permissions.clusterReads`: each a ClusterRole of the chart, whose binding lists the agents that have it."""
