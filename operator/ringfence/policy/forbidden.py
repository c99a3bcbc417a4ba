"""Permissions that no agent gets at any level, and why: the words for the messages.

This decides nothing: what is not in the ceiling is refused anyway (`grants.py`). It only tells a dangerous
permission from a misspelt one. Reasons follow Kubernetes' "Role Based Access Control Good Practices" and CIS 5.1.
"""

from collections.abc import Mapping
from typing import Final

_RUNS = "a workload that the agent writes would run outside of its fence"
_EXEC = "it runs commands in pods or tunnels into them, past every other rule, even with get alone"
_TOKEN = "it hands out identities other than the agent's own"  # noqa: S105 - a sentence
_RBAC = "whoever writes roles or bindings can give itself any permission"
_TRAFFIC = "it redirects traffic or publishes workloads"
_NODE = "it reaches the nodes and, through them, every pod"
_CLUSTER = "it reaches beyond the agent's namespace"
_POLICY = "it opens the fence itself"
_ADMIT = "whoever controls admission or the API's own extensions controls every request"
_CERT = "whoever gets a certificate signed can be anybody"
_OURS = "an agent must not change fences or start agents"
_MOVE = "it places, evicts or changes running pods past the fence's own objects"

VERBS: Final[Mapping[str, str]] = {
    "escalate": _RBAC,
    "bind": _RBAC,
    "impersonate": "whoever impersonates is anybody",
    "approve": _CERT,
    "sign": _CERT,
    "attest": _CERT,
    "use": "it lifts the limits on what pods may do",
}
"""Verbs that raise permissions whatever they are applied to."""

GROUPS: Final[Mapping[str, str]] = {
    "rbac.authorization.k8s.io": _RBAC,
    "authorization.k8s.io": _RBAC,
    "authorization.openshift.io": _RBAC,
    "authentication.k8s.io": _TOKEN,
    "certificates.k8s.io": _CERT,
    "cert-manager.io": _CERT,
    "admissionregistration.k8s.io": _ADMIT,
    "apiregistration.k8s.io": _ADMIT,
    "apiextensions.k8s.io": _ADMIT,
    "ringfence.dev": _OURS,
    "node.k8s.io": _NODE,
    "storage.k8s.io": _CLUSTER,
    "scheduling.k8s.io": _CLUSTER,
    "resource.k8s.io": _NODE,
    "flowcontrol.apiserver.k8s.io": _CLUSTER,
    "internal.apiserver.k8s.io": _CLUSTER,
    "policy.networking.k8s.io": _POLICY,
    "crd.projectcalico.org": _POLICY,
    "projectcalico.org": _POLICY,
    "cilium.io": _POLICY,
    "gateway.networking.k8s.io": _TRAFFIC,
    "security.openshift.io": "it lifts the limits on what pods may do",
}
"""API groups of which no agent gets anything."""

RESOURCES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("pods/exec", "pods/attach", "pods/portforward", "pods/proxy", "services/proxy"), _EXEC),
    **dict.fromkeys(("nodes/proxy", "pods/ephemeralcontainers"), _EXEC),
    **dict.fromkeys(("pods/binding", "bindings", "pods/eviction", "pods/resize", "pods/status"), _MOVE),
    **dict.fromkeys(("serviceaccounts", "serviceaccounts/token", "tokenreviews"), _TOKEN),
    **dict.fromkeys(("roles", "rolebindings", "clusterroles", "clusterrolebindings"), _RBAC),
    **dict.fromkeys(("nodes", "csinodes", "csidrivers", "volumeattachments", "runtimeclasses"), _NODE),
    **dict.fromkeys(("persistentvolumes", "storageclasses", "priorityclasses", "componentstatuses"), _CLUSTER),
    **dict.fromkeys(("certificatesigningrequests", "clustertrustbundles", "podcertificaterequests"), _CERT),
    **dict.fromkeys(("customresourcedefinitions", "apiservices"), _ADMIT),
    **dict.fromkeys(("mutatingwebhookconfigurations", "validatingwebhookconfigurations"), _ADMIT),
    **dict.fromkeys(("validatingadmissionpolicies", "validatingadmissionpolicybindings"), _ADMIT),
    **dict.fromkeys(("mutatingadmissionpolicies", "mutatingadmissionpolicybindings"), _ADMIT),
    **dict.fromkeys(("resourceclaims", "resourceclaimtemplates", "deviceclasses"), _NODE),
    **dict.fromkeys(("agentdeployments", "agentpolicies", "securitycontextconstraints"), _OURS),
    **dict.fromkeys(("users", "groups", "userextras", "uids"), "it names identities to impersonate"),
}
"""Resources of which no agent gets anything, whatever the verb and the group; RESOURCE covers its
subresources.
"""

WRITES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("pods", "podtemplates", "replicationcontrollers", "deployments", "replicasets"), _RUNS),
    **dict.fromkeys(("statefulsets", "daemonsets", "jobs", "cronjobs"), _RUNS),
    **dict.fromkeys(("services", "ingresses", "ingressclasses", "endpoints", "endpointslices"), _TRAFFIC),
    "networkpolicies": _POLICY,
    **dict.fromkeys(("namespaces", "resourcequotas", "limitranges"), "it lifts the limits of a namespace"),
}
"""Resources that an agent may read at most; RESOURCE covers its subresources."""

WRITE_VERBS: Final = frozenset({"create", "update", "patch", "delete", "deletecollection"})

SECRETS: Final = frozenset({"secrets"})
"""Resources that hold secrets: list and watch show the values as plainly as get does."""

_DELETES: Final = frozenset({"delete", "deletecollection"})


def base(resource: str) -> str:
    """RESOURCE of RESOURCE/SUBRESOURCE."""
    return resource.partition("/")[0]


def of_verb(verb: str) -> str | None:
    """Why `verb` raises permissions by itself; constrained impersonation (`impersonate:...`) is impersonation."""
    stem = verb.partition(":")[0]
    return VERBS.get("impersonate" if stem.startswith("impersonate") else stem)


def of_group(group: str) -> str | None:
    """Why nothing of `group` is ever given."""
    return GROUPS.get(group)


def of_resource(resource: str) -> str | None:
    """Why nothing of `resource` is ever given."""
    return RESOURCES.get(resource) or RESOURCES.get(base(resource))


def is_read_only(resource: str) -> bool:
    """Whether `of_write` refuses anything on `resource`."""
    return base(resource) in WRITES


def of_write(resource: str, verb: str) -> str | None:
    """Why `verb` on `resource` is never given, even if it may be read. Deleting a workload starts none."""
    why = WRITES.get(base(resource)) if verb in WRITE_VERBS else None
    return None if why is _RUNS and verb in _DELETES else why
