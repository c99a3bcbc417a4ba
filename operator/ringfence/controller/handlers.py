"""kopf's part: it watches; each event becomes a line in the cache and a key in the queue. Nothing is decided here."""

import time
from collections.abc import Iterator
from typing import Any

import kopf

from ringfence.api.names import GROUP, VERSION
from ringfence.kube import Kube, Object
from ringfence.store.context import AGENT_POLICY, API_SERVICE_SELECTOR, ENDPOINT_SLICE, NAMESPACE, NODE, SERVICE_CIDR
from ringfence.telemetry.metrics import LAST_EVENT

from .cache import CHILD_KINDS, CHILDREN_SELECTOR, Key
from .context import ControllerContext

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


class Backoffs:
    """Pauses between kopf's tries, without an end: an API server that is away for long must not end the process."""

    def __iter__(self) -> Iterator[float]:
        yield from (0.5, 1.0, 2.0)
        while True:
            yield 3.0


def registry(state: ControllerContext, kube: Kube) -> kopf.OperatorRegistry:
    """All handlers, on a registry of their own: no import side effects."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await _connection(kube)

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


def settings() -> kopf.OperatorSettings:
    """What differs from kopf's defaults. Low-level handlers keep no state, so no annotation is ever written."""
    configured = kopf.OperatorSettings()
    configured.posting.enabled = False
    configured.networking.error_backoffs = Backoffs()
    configured.networking.connect_timeout = 10
    configured.watching.inactivity_timeout = WATCH_SILENCE
    configured.watching.chunk_size = 500
    configured.process.ultimate_exiting_timeout = 20  # below the pod's grace period of 30 seconds
    for group_version, plural in CHILD_KINDS.values():
        configured.watching.label_selectors[group_version, plural] = CHILDREN_SELECTOR
    configured.watching.label_selectors[SURROUNDINGS[ENDPOINT_SLICE]] = API_SERVICE_SELECTOR
    return configured


async def _connection(kube: Kube) -> kopf.ConnectionInfo:
    """The very connection that everything else uses: its address (no DNS), its credentials. Asked anew after a 401."""
    known = kube.configuration
    token = (await known.auth_settings()).get("BearerToken", {}).get("value", "")
    return kopf.ConnectionInfo(
        server=known.host,
        ca_path=known.ssl_ca_cert,
        insecure=not known.verify_ssl,
        certificate_path=known.cert_file,
        private_key_path=known.key_file,
        token=token.rpartition(" ")[2] or None,  # "Bearer x" from a kubeconfig, "bearer x" in a pod
        proxy_url=known.proxy,
    )


def _matters(event_type: str | None, known: Object | None, body: Object) -> bool:
    """Whether an event can change anything: the echo of our own status write cannot."""
    if event_type in {None, "DELETED"} or known is None:
        return True
    return any(known["metadata"].get(key) != body["metadata"].get(key) for key in _TELLING) or (
        known.get("status") != body.get("status")
    )


_TELLING = ("uid", "generation", "deletionTimestamp")


def _follow_children(
    handlers: kopf.OperatorRegistry, state: ControllerContext, kind: str, group_version: str, plural: str
) -> None:
    @kopf.on.event(group_version, plural, registry=handlers, id=f"child-{plural}")
    async def child(event: Any, **_: Any) -> None:
        LAST_EVENT.set(time.time())
        if key := state.cache.observe_child(event["type"], dict(event["object"]), kind):
            state.queue.add(key)


def _follow_surroundings(
    handlers: kopf.OperatorRegistry, state: ControllerContext, kind: str, group_version: str, plural: str
) -> None:
    @kopf.on.event(group_version, plural, registry=handlers, id=f"world-{plural}")
    async def change(event: Any, **_: Any) -> None:
        LAST_EVENT.set(time.time())
        body = event["object"]
        moved = False
        if kind == ENDPOINT_SLICE and body["metadata"]["namespace"] == "default":
            moved = state.cache.observe_api_server(event["type"], body)
        before = state.world.version
        state.world.observe(kind, event["type"], body)
        if moved or state.world.version != before:
            state.enqueue(body["metadata"]["name"] if kind == NAMESPACE else None)
