"""Why are the pods not there? What the kubelet and the scheduler say, in one sentence. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from ringfence.api.containers import GATE
from ringfence.api.status import Reason

PULLS = ("ErrImage", "ImagePull")
"""How the reasons begin that speak of an image which cannot be had."""
QUIET = {"ContainerCreating", "PodInitializing"}
"""What every pod says for a moment while all is well."""


def tell(pods: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]]) -> tuple[Reason, str] | None:
    """The first trouble found, or None where nothing is wrong so far.

    `pods`: the agent's, as far as they are kept. `events`: warnings about them.
    """
    by_object: dict[str, list[Mapping[str, Any]]] = {}
    events = sorted(events, key=lambda one: str(one.get("lastTimestamp") or one["metadata"]["creationTimestamp"]))
    for event in events:
        by_object.setdefault(event["involvedObject"].get("name", ""), []).append(event)
    for pod in pods:
        said = by_object.get(pod["metadata"]["name"], [])
        if secret := next((e for e in said if e.get("reason") == "FailedToRetrieveImagePullSecret"), None):
            return Reason.SECRET_NOT_FOUND, _sentence(pod, secret.get("message", ""))
        if trouble := _container_trouble(pod):
            return Reason.UNAVAILABLE, _sentence(pod, trouble)
        if pod.get("status", {}).get("phase") == "Pending" and said:
            return Reason.UNAVAILABLE, _sentence(pod, said[-1].get("message", ""))
    return None


def asks_for_events(pods: Sequence[Mapping[str, Any]]) -> bool:
    """Whether Events could say more than the pods do: of an image that is not pulled, of a volume that is not there."""
    for pod in pods:
        status = pod.get("status", {})
        statuses = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
        waiting = [(one.get("state") or {}).get("waiting") or {} for one in statuses]
        if any(str(one.get("reason", "")).startswith(PULLS) for one in waiting):
            return True
    return all(_container_trouble(pod) is None for pod in pods)


def of_workload(workload: Mapping[str, Any]) -> tuple[Reason, str] | None:
    """Why a Deployment could not make its pods (a quota, a webhook), by its own word."""
    for condition in (workload.get("status") or {}).get("conditions") or []:
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            return Reason.UNAVAILABLE, " ".join(str(condition.get("message", "")).split())[:500]
    return None


def _container_trouble(pod: Mapping[str, Any]) -> str | None:
    status = pod.get("status", {})
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message", ""))
    for container in status.get("initContainerStatuses", []):
        if trouble := _trouble_before(container):
            return trouble
    for container in status.get("containerStatuses", []):
        if trouble := _trouble(container, "the container"):
            return trouble
        if "running" in container.get("state", {}) and not container.get("ready"):
            return "running, but its health check does not answer yet"
    return None


def _trouble_before(container: Mapping[str, Any]) -> str | None:
    """The first of those that start before the agent and are not done: what comes after it waits for it."""
    if container.get("name") == GATE:
        return _trouble_at_gate(container)
    sidecar = container.get("restartPolicy") == "Always"
    who = f"{'sidecar' if sidecar else 'init container'} {container.get('name')}"
    if trouble := _trouble(container, who):
        return trouble if trouble.startswith(who) else f"{who}: {trouble}"
    if "running" not in container.get("state", {}):
        return None
    return f"waits for {who}, which {'is not ready yet' if sidecar else 'has not ended'}"


def _trouble_at_gate(container: Mapping[str, Any]) -> str | None:
    """Of Ringfence's own container: why the fence is not seen to stand, it says itself, and says it anew."""
    if trouble := _trouble(container, f"its gate ({GATE})"):
        return trouble if trouble.startswith("its gate") else f"its gate ({GATE}): {trouble}"
    if "running" not in container.get("state", {}):
        return None
    return (
        "waits for its fence: the network of its node does not deny yet what this agent may not reach, or its egress "
        f"gateway does not answer yet. What it waits for: kubectl logs POD -c {GATE}. Where that does not end, the "
        "cluster's network plugin does not enforce NetworkPolicies, or a policy of others lets the agent out"
    )


def _trouble(container: Mapping[str, Any], who: str) -> str | None:
    state = container.get("state", {})
    waiting = state.get("waiting")
    if waiting and waiting.get("reason") not in QUIET:
        return f"{waiting.get('reason')}: {waiting.get('message', '')}"
    ended = state.get("terminated")
    if ended and ended.get("exitCode"):
        return f"{who} ended with exit code {ended['exitCode']} ({ended.get('reason')})"
    return None


def _sentence(pod: Mapping[str, Any], text: str) -> str:
    name = pod["metadata"]["name"]
    return f"pod {name}: {' '.join(str(text).split())}".replace(f"logs POD -c {GATE}", f"logs {name} -c {GATE}")[:600]
