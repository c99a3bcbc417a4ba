"""What a stored object opens, reduced to what has to be kept: NetworkPolicies that anybody may write. Pure."""

from collections.abc import Mapping
from typing import Any

from ringfence.api.names import AGENT_LABEL, API_VERSION, CHILD_PREFIX, MANAGED_BY, MANAGED_BY_LABEL

Body = Mapping[str, Any]
DIRECTIONS = ["Ingress", "Egress"]
ALL_OF = "system:serviceaccounts:"
AS_USER = "system:serviceaccount:"
EVERYBODY = {"system:serviceaccounts", "system:authenticated"}
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


def role_binding(body: Body) -> dict[str, Any] | None:
    """The ServiceAccounts of agents that it gives something to; None where there is none, or it is an agent's own."""
    if is_owned(body["metadata"]):
        return None
    found = accounts(body.get("subjects"), body["metadata"].get("namespace"))
    return {"accounts": found} if found else None


def accounts(subjects: Any, namespace: str | None) -> list[str]:
    """NAMESPACE/NAME of ServiceAccounts that agents may have, and NAMESPACE/ for all of a namespace.

    `namespace`: of a RoleBinding; one that binds everybody gives something to the agents of that namespace, too. None:
    of a ClusterRoleBinding. Every cluster has some of these that bind everybody: they say nothing about agents.
    """
    found = set()
    for one in subjects or []:
        kind, name = one.get("kind"), str(one.get("name"))
        if kind == "ServiceAccount":
            found.add(f"{one.get('namespace') or namespace}/{name}")
        elif kind == "Group" and name.startswith(ALL_OF):
            found.add(f"{name.removeprefix(ALL_OF)}/")
        elif kind == "Group" and name in EVERYBODY and namespace is not None:
            found.add(f"{namespace}/")
        elif kind == "User" and name.startswith(AS_USER) and name.count(":") == AS_USER.count(":") + 1:
            found.add(name.removeprefix(AS_USER).replace(":", "/"))
    return sorted(one for one in found if one.endswith("/") or one.partition("/")[2].startswith(CHILD_PREFIX))


def cluster_policy(body: Body) -> dict[str, Any] | None:
    """What goes before NetworkPolicies: an AdminNetworkPolicy, or a ClusterNetworkPolicy of the tier Admin."""
    spec = body.get("spec") or {}
    rules = [rule for direction in DIRECTIONS for rule in spec.get(direction.lower()) or []]
    allows = any(rule.get("action") in {"Allow", "Accept"} for rule in rules)
    if not allows or spec.get("tier", "Admin") != "Admin":
        return None
    subject = spec.get("subject") or {}
    pods = subject.get("pods") or {}
    if "namespaces" in subject:
        return {"namespaces": subject["namespaces"] or {}, "podSelector": {}}
    return {"namespaces": pods.get("namespaceSelector") or {}, "podSelector": pods.get("podSelector") or {}}


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
