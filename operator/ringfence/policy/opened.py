"""Whether a namespace is open to agents: decisions, the controller and the command line all ask here. Pure."""

from enum import StrEnum
from typing import Final

from ringfence.api.names import AGENTS_ENABLED, AGENTS_LABEL

from .model import Facts

CLOSED_NAMESPACES: Final = frozenset({"kube-system", "kube-public", "kube-node-lease"})
"""Kubernetes' own namespaces: what serves there is not for agents, and no agent runs there. (DNS is opened separately,
where an agent needs it.)"""


class Opening(StrEnum):
    """What a namespace is to agents."""

    OPEN = "open"
    UNLABELLED = "unlabelled"
    CLUSTER = "the cluster's"
    OWN = "Ringfence's"
    UNKNOWN = "unknown"
    """Its labels are not known, and none would be wrong."""

    @property
    def is_for_good(self) -> bool:
        """Whether it is closed whatever its labels say: no webhook and not every guard looks there."""
        return self in {Opening.CLUSTER, Opening.OWN}


def opening(namespace: str, facts: Facts) -> Opening:
    """What `namespace`, of which `facts` are, is to agents."""
    if namespace == facts.own_namespace:
        return Opening.OWN
    if namespace in CLOSED_NAMESPACES:
        return Opening.CLUSTER
    if facts.namespace_labels is None:
        return Opening.UNKNOWN
    return Opening.OPEN if facts.namespace_labels.get(AGENTS_LABEL) == AGENTS_ENABLED else Opening.UNLABELLED


def closed_for_good(namespace: str, kind: Opening) -> str:
    """For a person: why no label opens it."""
    return (
        f"namespace {namespace} holds {kind} own pods and is closed to agents, whatever its labels say: no webhook and "
        "not every guard looks there"
    )
