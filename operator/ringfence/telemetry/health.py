"""`/healthz`, `/readyz` and `/metrics` over plain HTTP, from a thread of their own.

A thread, so that they answer while the event loop is busy or stuck: to tell that is what `/healthz` is for.
Nothing secret is served; who may reach the port is up to the NetworkPolicy of the pod.
"""

import socket
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Final, Self

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from ringfence.telemetry.metrics import READY

log = structlog.get_logger(__name__)

STUCK_SECONDS: Final = 30.0
"""Without a beat for so long the process counts as stuck, and the kubelet may restart it."""
MAX_CONNECTIONS: Final = 32
"""Connections at a time; more are closed at once, so that nobody can make threads without end."""
CONNECTION_SECONDS: Final = 5.0
"""A connection that sends nothing for so long is closed."""

Check = Callable[[], str | None]
"""None when all is well, else a sentence that says what is missing. Called from the probes' thread."""


class Health:
    """What the probes answer. Ready: there are checks, every one is content, and nothing was told to stop."""

    def __init__(self, component: str = "controller", *, clock: Callable[[], float] = time.monotonic) -> None:
        self.component = component
        self._clock = clock
        self._beat = clock()
        self._checks: dict[str, Check] = {}
        self._stopping = False

    def require(self, name: str, check: Check) -> None:
        """Not ready as long as `check` gives a sentence."""
        self._checks[name] = check

    def beat(self) -> None:
        """The event loop is alive. To be called at least every few seconds."""
        self._beat = self._clock()

    def stop(self) -> None:
        """Not ready from now on: the process is about to end and wants no new work."""
        self._stopping = True

    def alive(self) -> tuple[bool, str]:
        """Whether the process works at all, and a text for people."""
        silent = self._clock() - self._beat
        if silent > STUCK_SECONDS:
            return False, f"stuck: the event loop has not turned for {silent:.0f} s\n"
        return True, "ok\n"

    def ready(self) -> tuple[bool, str]:
        """Whether the process wants work, and a text for people: one line for each thing that is missing."""
        missing = [f"{name}: {found}\n" for name, check in tuple(self._checks.items()) if (found := check())]
        if not self._checks:
            missing.append("starting: nothing has been checked yet\n")
        if self._stopping:
            missing.append("stopping: it is shutting down\n")
        return not missing, "".join(missing) or "ok\n"


class HealthServer:
    """The listener. Use as a context manager, or call `close`. `port` 0 takes a free one."""

    def __init__(self, health: Health, registry: CollectorRegistry, *, host: str = "", port: int = 8080) -> None:
        handler = type("Handler", (_Handler,), {"health": health, "registry": registry})
        self._server = _Server((host, port), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(CONNECTION_SECONDS)


class _Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        if "." in address[0]:
            self.address_family = socket.AF_INET
        super().__init__(address, handler)

    def server_bind(self) -> None:
        if self.address_family is socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        log.debug("a connection to the health port broke", error=type(sys.exception()).__name__)


class _Handler(BaseHTTPRequestHandler):
    health: ClassVar[Health]
    registry: ClassVar[CollectorRegistry]
    protocol_version = "HTTP/1.1"
    timeout = CONNECTION_SECONDS
    disable_nagle_algorithm = True  # head and body are two writes: the second would wait for the client's delayed ACK
    server_version = "ringfence"
    sys_version = ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            READY.labels(self.health.component).set(self.health.ready()[0])
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(HTTPStatus.OK, encode(self.registry), content_type)
        elif path in {"/healthz", "/readyz"}:
            good, text = self.health.alive() if path == "/healthz" else self.health.ready()
            status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
            self._answer(status, text.encode(), "text/plain; charset=utf-8")
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"not found\n", "text/plain; charset=utf-8")

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        log.debug("health request", line=format % args)
