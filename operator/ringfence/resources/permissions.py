"""The fence in rights: a ServiceAccount of its own, and a Role only where the spec names rules."""

from collections.abc import Sequence

from ringfence.api.names import (
    CEILING_BINDING,
    CEILING_CLUSTER_ROLE,
    CONNECTIONS_ANNOTATION,
    MANAGED_BY,
    MANAGED_BY_LABEL,
)

from .kinds import Manifest
from .model import Agent, child, child_name


def service_account(agent: Agent) -> Manifest:
    """Its token is mounted nowhere by itself; a workload with rules gets a short-lived one of its own."""
    return child(agent, "v1", "ServiceAccount", automountServiceAccountToken=False)


def role(agent: Agent) -> Manifest | None:
    """The rules of the spec; None without any."""
    rules = [
        {key: value for key, value in rule.manifest().items() if value or key != "resourceNames"}
        for rule in agent.spec.permissions.rules
    ]
    return child(agent, "rbac.authorization.k8s.io/v1", "Role", rules=rules) if rules else None


def role_binding(agent: Agent) -> Manifest | None:
    """Binds the Role to the agent's own ServiceAccount and to nobody else; None without rules."""
    if not agent.spec.permissions.rules:
        return None
    name = child_name(agent.name)
    return child(
        agent,
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        subjects=[{"kind": "ServiceAccount", "name": name, "namespace": agent.namespace}],
    )


def ceiling_binding(namespace: str, account: tuple[str, str], groups: Sequence[str]) -> Manifest:
    """Has the controller hold, in one namespace, all that it may give the agents there. `account`: (namespace, name).

    The API server lets nobody give what they do not hold. It belongs to no agent: whoever edits an agent's Role while
    another agent is deleted is answered all the same. `groups`: who may exec into agents there, for the guard
    `connections`, which reads it here: nobody makes a binding like it who does not hold as much.
    """
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {
            "name": CEILING_BINDING,
            "namespace": namespace,
            "labels": {MANAGED_BY_LABEL: MANAGED_BY},
            "annotations": {CONNECTIONS_ANNOTATION: "\n".join(groups)},
        },
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": CEILING_CLUSTER_ROLE},
        "subjects": [{"kind": "ServiceAccount", "name": account[1], "namespace": account[0]}],
    }


def effective_permissions(agent: Agent) -> list[str]:
    """The rights in force, one line a rule: `get,list configmaps`, `get pods [a,b]`, `get deployments.apps`."""
    lines = []
    for rule in agent.spec.permissions.rules:
        resources = ",".join(f"{res}.{group}" if group else res for group in rule.api_groups for res in rule.resources)
        names = f" [{','.join(rule.resource_names)}]" if rule.resource_names else ""
        lines.append(f"{','.join(rule.verbs)} {resources}{names}"[:1024])
    return lines
