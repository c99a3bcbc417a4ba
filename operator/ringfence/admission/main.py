"""The admission process: follow the cluster, serve reviews, swap certificates, leave without breaking anything."""

import asyncio
import contextlib
import gc
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from ringfence.kube import Kube
from ringfence.kube.own_token import api_audiences
from ringfence.policy.model import Network
from ringfence.serving.sockets import listen
from ringfence.store.context import PolicyContext
from ringfence.store.prover import Prover, by_certificate
from ringfence.telemetry.health import Health, HealthServer
from ringfence.telemetry.looplag import probe
from ringfence.telemetry.metrics import ADMISSION_CERTIFICATE_EXPIRY, kube_request, registry_of

from .app import Admission
from .feed import feed
from .fresh import LiveReader
from .requester import Requester
from .server import BACKLOG, Server
from .tls import Certificate, Files

log = structlog.get_logger(__name__)

CERTIFICATE_LOOK_SECONDS: Final = 1.0
"""Between two looks at the files. The kubelet itself takes up to a minute or so to renew them."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the command line says; see cli/admission.py."""

    certificate_directory: Path
    client_ca: Path | None = None
    client_names: frozenset[str] = frozenset()
    host: str = "0.0.0.0"  # noqa: S104 - a pod's own address is not known beforehand
    https_port: int = 8443
    http_host: str = ""
    http_port: int = 8080
    drain_seconds: float = 8.0
    cluster_networks: tuple[Network, ...] = ()
    api_server_networks: tuple[Network, ...] = ()
    kubeconfig: str | None = None


async def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises OSError when a port is taken."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with await Kube.connect(settings.kubeconfig, observe=kube_request) as kube:
        await _serve(settings, kube, stop)


async def _serve(settings: Settings, kube: Kube, stop: asyncio.Event) -> None:
    context = PolicyContext(
        settings.cluster_networks,
        api_server_networks=settings.api_server_networks,
        api_audiences=api_audiences(),
    )
    prover = Prover(context=context, prove=by_certificate(kube))
    directory = settings.certificate_directory
    certificate = Certificate(Files(directory / "tls.crt", directory / "tls.key", settings.client_ca))
    app = Admission(context, LiveReader(kube, context), Requester(kube))
    server = Server(app, certificate.base, client_names=settings.client_names)
    listener = listen(settings.host, settings.https_port, BACKLOG)
    health = Health("admission")
    health.require("cluster", lambda: _unread(context))
    health.require("certificate", certificate.missing)
    health.require("listener", lambda: None if server.started else "not listening yet")
    # Last: once it answers, every check is in place.
    with HealthServer(health, registry_of("admission"), host=settings.http_host, port=settings.http_port):
        tasks = {
            asyncio.create_task(feed(kube, context), name="feed"),
            asyncio.create_task(prover.follow(), name="addresses of the API server"),
            asyncio.create_task(_look_after(certificate, health), name="certificate"),
            asyncio.create_task(probe(), name="event loop lag"),
            asyncio.create_task(server.serve(sockets=[listener]), name="server"),
        }
        waiting = asyncio.create_task(stop.wait())
        # What was made until here lives as long as the process: the collector need not walk it at each turn.
        gc.freeze()
        try:
            done, _ = await asyncio.wait({*tasks, waiting}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {waiting}:
                task.result()  # none of them ends by itself: raise what ended it
            await _leave(settings, app, server, health, tasks)
        finally:
            for task in {*tasks, waiting}:
                task.cancel()
            await asyncio.gather(*tasks, waiting, return_exceptions=True)


async def _leave(
    settings: Settings, app: Admission, server: Server, health: Health, tasks: set[asyncio.Task[None]]
) -> None:
    """Not ready first, while still serving: for as long as it takes until no more requests are sent here."""
    log.info("stopping: serving on until the Service has taken this pod out", seconds=settings.drain_seconds)
    health.stop()
    app.drain()
    await asyncio.sleep(settings.drain_seconds)
    server.finish()
    await asyncio.wait({task for task in tasks if task.get_name() == "server"})
    log.info("stopped")


async def _look_after(certificate: Certificate, health: Health) -> None:
    """Take in new certificates, and show that the loop turns."""
    while True:
        health.beat()
        if certificate.refresh() and certificate.not_after:
            ADMISSION_CERTIFICATE_EXPIRY.set(certificate.not_after.timestamp())
        await asyncio.sleep(CERTIFICATE_LOOK_SECONDS)


def _unread(context: PolicyContext) -> str | None:
    return None if context.synced else f"not listed yet: {', '.join(context.missing)}"


def serve(settings: Settings) -> None:
    """Run the process until it is told to stop."""
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(settings))
