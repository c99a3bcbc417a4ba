"""Objects of the cluster, as a watch shows them."""

from typing import Any

Body = dict[str, Any]


def agent(version: int = 1, uid: str = "u", name: str = "a", **more: Any) -> Body:
    metadata = {"namespace": "ns", "name": name, "uid": uid, "resourceVersion": str(version), "generation": 1}
    return {"kind": "AgentDeployment", "metadata": metadata, "spec": {}} | more


def child(version: int = 1, uid: str = "c", name: str = "ringfence-a", kind: str = "Role", **more: Any) -> Body:
    metadata = {"namespace": "ns", "name": name, "uid": uid, "resourceVersion": str(version)}
    return {"kind": kind, "metadata": metadata | more.pop("metadata", {})} | more


def owned(version: int = 1, owner: str = "u", *, label: str = "a", **more: Any) -> Body:
    """A child with its owner and its label."""
    reference = {"apiVersion": "ringfence.dev/v1alpha1", "kind": "AgentDeployment", "name": "a", "uid": owner}
    metadata: Body = {"labels": {"ringfence.dev/agent": label, "app.kubernetes.io/managed-by": "ringfence"}}
    metadata |= {"ownerReferences": [reference | {"controller": True}]} if owner else {}
    return child(version, metadata=metadata | more.pop("metadata", {}), **more)


def service(version: int = 1, name: str = "s", **spec: Any) -> Body:
    spec = {"selector": {"app": "x"}, "ports": [{"port": 80, "targetPort": "http"}]} | spec
    metadata = {"namespace": "ns", "name": name, "uid": "u", "resourceVersion": str(version)}
    return {"kind": "Service", "metadata": metadata, "spec": spec}


def pod(version: int = 1, name: str = "ringfence-a-1", agent: str = "a", **status: Any) -> Body:
    metadata = {"namespace": "ns", "name": name, "uid": name, "resourceVersion": str(version)}
    return {"metadata": metadata | {"labels": {"ringfence.dev/agent": agent}}, "status": status}


def policy(version: int = 1, name: str = "p", generation: int = 1, **more: Any) -> Body:
    metadata = {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version), "generation": generation}
    return {"metadata": metadata, "spec": {}} | more
