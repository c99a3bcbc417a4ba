"""The fence in rights: a ServiceAccount of its own, and Roles only where the spec names rules."""

from collections.abc import Iterable, Iterator, Sequence

from ringfence.api.names import (
    AGENT_NAMESPACE_LABEL,
    AGENT_UID_LABEL,
    CEILING_BINDING,
    CEILING_CLUSTER_ROLE,
    CONNECTIONS_ANNOTATION,
    LEVEL_LABEL,
    MANAGED_BY,
    MANAGED_BY_LABEL,
)
from ringfence.api.permissions import AgentRule
from ringfence.policy.elsewhere import places

from .identity import account_annotations
from .kinds import Manifest
from .model import Agent, child, child_name, elsewhere_name

_RBAC = "rbac.authorization.k8s.io"


def service_account(agent: Agent) -> Manifest:
    """Its token is mounted nowhere by itself; a workload with rules gets a short-lived one of its own."""
    manifest = child(agent, "v1", "ServiceAccount", automountServiceAccountToken=False)
    if annotations := account_annotations(agent):
        manifest["metadata"]["annotations"] = annotations
    return manifest


def role(agent: Agent) -> Manifest | None:
    """The rules of the spec that hold in the agent's own namespace; None without any."""
    rules = _own(agent)
    return child(agent, f"{_RBAC}/v1", "Role", rules=_written(rules)) if rules else None


def role_binding(agent: Agent) -> Manifest | None:
    """Binds the Role to the agent's own ServiceAccount and to nobody else; None without rules."""
    if not _own(agent):
        return None
    return child(agent, f"{_RBAC}/v1", "RoleBinding", **_binds(agent, child_name(agent.name)))


def elsewhere(agent: Agent) -> Iterator[Manifest]:
    """A Role and a RoleBinding in each other namespace that consents.

    Whose they are, labels say: the garbage collector removes what names an owner of another namespace.
    """
    name = elsewhere_name(agent)
    for namespace, (level, rules) in sorted(agent.elsewhere.items()):
        labels = {AGENT_NAMESPACE_LABEL: agent.namespace, AGENT_UID_LABEL: agent.uid, LEVEL_LABEL: level}
        metadata = {"name": name, "namespace": namespace, "labels": agent.labels | labels}
        whole: Manifest = {"apiVersion": f"{_RBAC}/v1", "kind": "Role", "metadata": metadata}
        yield whole | {"rules": _written(rules)}
        yield whole | {"kind": "RoleBinding", **_binds(agent, name)}


def _own(agent: Agent) -> list[AgentRule]:
    return [rule for rule in agent.spec.permissions.rules if agent.namespace in places(rule, agent.namespace)]


def _written(rules: Iterable[AgentRule]) -> list[Manifest]:
    """The rules as RBAC knows them."""
    return [
        {
            key: value
            for key, value in rule.manifest().items()
            if key != "namespaces" and (value or key != "resourceNames")
        }
        for rule in rules
    ]


def _binds(agent: Agent, role_name: str) -> Manifest:
    return {
        "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": role_name},
        "subjects": [{"kind": "ServiceAccount", "name": child_name(agent.name), "namespace": agent.namespace}],
    }


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
    """The rights in force, one line a rule: `get,list configmaps`, `get pods [a,b]`, `get deployments.apps in ops`."""
    lines = [_line(rule) for rule in _own(agent)]
    for namespace, (_, rules) in sorted(agent.elsewhere.items()):
        lines += [f"{_line(rule)} in {namespace}" for rule in rules]
    lines += [f"get,list,watch {name} of the cluster" for name in agent.spec.permissions.cluster_reads]
    return [line[:1024] for line in lines]


def _line(rule: AgentRule) -> str:
    resources = ",".join(f"{res}.{group}" if group else res for group in rule.api_groups for res in rule.resources)
    names = f" [{','.join(rule.resource_names)}]" if rule.resource_names else ""
    return f"{','.join(rule.verbs)} {resources}{names}"
