"""kopf's part: it watches; each event becomes a line in the cache and a key in the queue. Nothing is decided here."""

import dataclasses
import os
import time
from typing import Any

import kopf

from ringfence.api.names import GROUP, VERSION
from ringfence.kube import Object
from ringfence.metrics import LAST_EVENT
from ringfence.world import AGENT_POLICY, API_SERVICE_SELECTOR, ENDPOINT_SLICE, NAMESPACE, NODE, SERVICE_CIDR

from .cache import CHILD_KINDS, CHILDREN_SELECTOR, Key, api_server_endpoints
from .state import State

WATCH_SILENCE = 75.0
"""Seconds without a bookmark (they come each minute) after which a watch is taken for dead and started again."""
SURROUNDINGS = {
    NAMESPACE: ("v1", "namespaces"),
    AGENT_POLICY: (f"{GROUP}/{VERSION}", "agentpolicies"),
    NODE: ("v1", "nodes"),
    SERVICE_CIDR: ("networking.k8s.io/v1", "servicecidrs"),
    ENDPOINT_SLICE: ("discovery.k8s.io/v1", "endpointslices"),
}
"""What decisions depend on: kind -> group/version and plural."""


def registry(state: State) -> kopf.OperatorRegistry:
    """All handlers, on a registry of their own: no import side effects."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers)
    def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        if inside := kopf.login_with_service_account(**kwargs):
            return dataclasses.replace(inside, server=_in_cluster_server())
        return kopf.login_with_kubeconfig(**kwargs)

    @kopf.on.event(GROUP, VERSION, "agentdeployments", registry=handlers)
    async def agent(event: Any, **_: Any) -> None:
        LAST_EVENT.set(time.time())
        body: Object = dict(event["object"])
        known = state.cache.agents.get(Key(body["metadata"]["namespace"], body["metadata"]["name"]))
        key = state.cache.observe_agent(event["type"], body)
        if _matters(event["type"], known, body):
            state.queue.add(key)

    @kopf.on.event("v1", "services", registry=handlers)
    async def service(event: Any, **_: Any) -> None:
        for key in state.cache.observe_service(event["type"], dict(event["object"])):
            state.queue.add(key)

    for kind, resource in CHILD_KINDS.items():
        _follow_children(handlers, state, kind, *resource)
    for kind, resource in SURROUNDINGS.items():
        _follow_surroundings(handlers, state, kind, *resource)
    return handlers


def _in_cluster_server() -> str:
    """The API server by its address: kopf would take its DNS name, and the operator's pods have no DNS."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def settings() -> kopf.OperatorSettings:
    """What differs from kopf's defaults. Low-level handlers keep no state, so no annotation is ever written."""
    configured = kopf.OperatorSettings()
    configured.posting.enabled = False
    configured.watching.inactivity_timeout = WATCH_SILENCE
    configured.watching.chunk_size = 500
    configured.process.ultimate_exiting_timeout = 20  # below the pod's grace period of 30 seconds
    for group_version, plural in CHILD_KINDS.values():
        configured.watching.label_selectors[group_version, plural] = CHILDREN_SELECTOR
    configured.watching.label_selectors[SURROUNDINGS[ENDPOINT_SLICE]] = API_SERVICE_SELECTOR
    return configured


def _matters(event_type: str | None, known: Object | None, body: Object) -> bool:
    """Whether an event can change anything: the echo of our own status write cannot."""
    if event_type in {None, "DELETED"} or known is None or body["metadata"].get("deletionTimestamp"):
        return True
    same_generation = known["metadata"].get("generation") == body["metadata"].get("generation")
    return not same_generation or known.get("status") != body.get("status")


def _follow_children(handlers: kopf.OperatorRegistry, state: State, kind: str, group_version: str, plural: str) -> None:
    @kopf.on.event(group_version, plural, registry=handlers, id=f"child-{plural}")
    async def child(event: Any, **_: Any) -> None:
        LAST_EVENT.set(time.time())
        if key := state.cache.observe_child(event["type"], dict(event["object"]), kind):
            state.queue.add(key)


def _follow_surroundings(
    handlers: kopf.OperatorRegistry, state: State, kind: str, group_version: str, plural: str
) -> None:
    @kopf.on.event(group_version, plural, registry=handlers, id=f"world-{plural}")
    async def change(event: Any, **_: Any) -> None:
        body = event["object"]
        if kind == ENDPOINT_SLICE and body["metadata"]["namespace"] == "default":
            state.cache.api_server = () if event["type"] == "DELETED" else api_server_endpoints(body)
        before = state.world.version
        state.world.observe(kind, event["type"], body)
        if state.world.version != before:
            state.enqueue(body["metadata"]["name"] if kind == NAMESPACE else None)
