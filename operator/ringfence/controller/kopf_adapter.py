"""kopf's part: the life of the operator, and the watch of its policies. Nothing is decided here.

An event costs kopf a millisecond, which is nothing for policies, and an eighth of all work for agents, of which there
are thousands: an informer follows those. kopf's watches tell of no deletion that happened in a gap, and of nothing that
happened while the CRD was away: an informer follows policies as well (reading.py).
"""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import kopf

from ringfence.api.names import GROUP, VERSION
from ringfence.kube import Kube
from ringfence.kube.client import WATCH_SILENCE
from ringfence.store.informer import Sink
from ringfence.telemetry.events import Emit, WatchHeard


class NoMemory(kopf.DiffBaseStorage):
    """kopf compares each object with its state before, for handlers that we have none of: two deep copies an event."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        """What is compared: nothing."""
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        """The state before: not known."""
        return None

    def store(self, **_: Any) -> None:
        """Nothing is kept."""


class Backoffs:
    """Pauses between kopf's tries, without an end: an API server that is away for long must not end the process."""

    def __iter__(self) -> Iterator[float]:
        yield 0.5
        while True:
            yield 1.0


async def operate(
    kube: Kube, sinks: Mapping[str, Sink], emit: Emit, *, started: asyncio.Event, stop: asyncio.Event
) -> None:
    """Have kopf watch until `stop`. Raises what ends a watch for good: a refusal, CRDs that are gone."""
    await kopf.operator(
        registry=registry(kube, sinks, emit),
        settings=settings(),
        clusterwide=True,
        standalone=True,
        ready_flag=started,
        stop_flag=stop,
    )


def registry(kube: Kube, sinks: Mapping[str, Sink], emit: Emit) -> kopf.OperatorRegistry:
    """All handlers, on a registry of their own: no import side effects. `sinks`: by the plural of the kind."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await _connection(kube)

    for plural, sink in sinks.items():
        _follow(handlers, plural, sink, emit)
    return handlers


def settings() -> kopf.OperatorSettings:
    """What differs from kopf's defaults. Low-level handlers keep no state, so no annotation is ever written."""
    configured = kopf.OperatorSettings()
    configured.posting.enabled = False
    configured.persistence.diffbase_storage = NoMemory()
    configured.networking.error_backoffs = Backoffs()
    configured.networking.connect_timeout = 10
    configured.watching.inactivity_timeout = WATCH_SILENCE
    configured.watching.chunk_size = 500
    configured.queueing.exit_timeout = 0.5  # its workers have nothing to finish: each only hands an event on
    configured.queueing.idle_timeout = 1  # an object's worker of kopf's holds memory as long as it idles
    configured.process.ultimate_exiting_timeout = 20  # below the pod's grace period of 30 seconds
    return configured


def _follow(handlers: kopf.OperatorRegistry, plural: str, sink: Sink, emit: Emit) -> None:
    @kopf.on.event(GROUP, VERSION, plural, registry=handlers, id=f"event-{plural}")
    async def event(event: Any, **_: Any) -> None:
        emit(WatchHeard())
        sink.observe(event["type"], dict(event["object"]))


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
