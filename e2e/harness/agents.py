"""Agents as the API server tells of them, and waiting for them."""

from __future__ import annotations

from cluster.errors import ClusterError
from cluster.shell import wait_for

from .api import Api
from .kubectl import Object

__all__ = ["agent_path", "condition", "get", "phase", "pods", "pods_path", "wait"]


def agent_path(namespace: str, name: str = "") -> str:
    """Path of an agent, or of all in a namespace."""
    return f"/apis/ringfence.dev/v1alpha1/namespaces/{namespace}/agentdeployments" + (f"/{name}" if name else "")


def pods_path(namespace: str, agent: str) -> str:
    """Path of the pods of an agent."""
    return f"/api/v1/namespaces/{namespace}/pods?labelSelector=ringfence.dev/agent%3D{agent}"


def get(api: Api, namespace: str, name: str) -> Object:
    """The agent. Raises Refused."""
    return api.get(agent_path(namespace, name))


def condition(found: Object, kind: str = "Ready") -> Object:
    """A condition that speaks of the object's present generation; empty strings while there is none."""
    for entry in (found.get("status") or {}).get("conditions") or []:
        if entry["type"] == kind and entry["observedGeneration"] == found["metadata"]["generation"]:
            told: Object = entry
            return told
    return {"type": kind, "status": "", "reason": "", "message": ""}


def wait(
    api: Api,
    namespace: str,
    name: str,
    kind: str = "Ready",
    *,
    status: str = "True",
    reason: str = "",
    says: str = "",
    timeout: float = 120,
) -> Object:
    """Wait until a condition has this status, reason and part of its message; the agent as it is then.

    Raises ClusterError with what the condition says instead.
    """

    def there() -> bool:
        told = condition(get(api, namespace, name), kind)
        return told["status"] == status and reason in {"", told["reason"]} and says in told["message"]

    try:
        wait_for(f"agent {namespace}/{name} to be {kind}={status}", there, timeout=timeout)
    except ClusterError as late:
        last = condition(get(api, namespace, name), kind)
        raise ClusterError(f"{late}; it is {last['status']} ({last['reason']}): {last['message']}") from None
    return get(api, namespace, name)


def pods(api: Api, namespace: str, name: str) -> list[Object]:
    """All pods of an agent, those on their way out as well."""
    items: list[Object] = api.get(pods_path(namespace, name))["items"]
    return items


def phase(api: Api, namespace: str, name: str) -> str:
    """Phase of the agent's first pod; empty while there is none."""
    found = pods(api, namespace, name)
    return str(found[0]["status"].get("phase", "")) if found else ""
