"""What a stored object opens, reduced to what has to be kept: NetworkPolicies that anybody may write. Pure."""

from collections.abc import Mapping
from typing import Any

from ringfence.api.names import AGENT_LABEL, API_VERSION, CHILD_PREFIX, MANAGED_BY, MANAGED_BY_LABEL

Body = Mapping[str, Any]
DIRECTIONS = ["Ingress", "Egress"]
OWN_SUFFIXES = ("-deny", "-allow")


def network_policy(body: Body) -> dict[str, Any] | None:
    """The pods that it selects, where it allows anything to them; None where it allows nothing, or is an agent's own.

    Those are judged as a whole, by their digests.
    """
    spec = body.get("spec") or {}
    kinds = spec.get("policyTypes")
    kinds = kinds if isinstance(kinds, list) and kinds else DIRECTIONS
    opened = [kind.lower() for kind in DIRECTIONS if kind in kinds and spec.get(kind.lower())]
    if not opened or is_own_policy(body["metadata"]):
        return None
    return {"podSelector": spec.get("podSelector") or {}, "opens": opened}


def is_own_policy(metadata: Body) -> bool:
    """Whether a NetworkPolicy has a name, the marks and the owner of one of the two that every agent has.

    Such a one is looked after by that agent's passes, or, where the agent is not there, taken away with it.
    """
    agent = (metadata.get("labels") or {}).get(AGENT_LABEL)
    names = {f"{CHILD_PREFIX}{agent}{suffix}" for suffix in OWN_SUFFIXES}
    return metadata.get("name") in names and is_owned(metadata)


def is_owned(metadata: Body) -> bool:
    """Whether it carries our marks, and the agent that its label names is its controller."""
    labels = metadata.get("labels") or {}
    owner: Body = next((one for one in metadata.get("ownerReferences") or [] if one.get("controller")), {})
    named = (owner.get("apiVersion"), owner.get("kind"), owner.get("name"))
    agent = labels.get(AGENT_LABEL)
    return labels.get(MANAGED_BY_LABEL) == MANAGED_BY and named == (API_VERSION, "AgentDeployment", agent)
