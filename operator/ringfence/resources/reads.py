"""Cluster-wide reads: ClusterRoles of the chart, and their bindings, whose subjects are the agents. Pure.

There is one pair for each kind that is read. So the controller makes and deletes no ClusterRoleBinding: it may change
these by their names, and bind no other ClusterRole.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from ringfence.api.names import CHILD_PREFIX
from ringfence.policy.grants import CLUSTER_READS

PREFIX: Final = "ringfence-agent-reads-"
BINDINGS: Final[Mapping[str, str]] = MappingProxyType(
    {f"{PREFIX}{one.resource}": one.resource for one in CLUSTER_READS}
)
"""Name of a ClusterRoleBinding, and of its ClusterRole -> what it is about, as in `permissions.clusterReads`."""


def readers(subjects: Any) -> list[tuple[str, str]]:
    """Namespace and name of each agent that is listed. Whatever else stands there is nobody's reader."""
    found = set()
    for one in subjects or []:
        name, namespace = str(one.get("name")), one.get("namespace")
        if one.get("kind") == "ServiceAccount" and namespace and name.startswith(CHILD_PREFIX):
            found.add((str(namespace), name.removeprefix(CHILD_PREFIX)))
    return sorted(found)


def subjects(agents: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """The same as a binding says it."""
    return [
        {"kind": "ServiceAccount", "name": f"{CHILD_PREFIX}{name}", "namespace": namespace}
        for namespace, name in sorted(agents)
    ]
