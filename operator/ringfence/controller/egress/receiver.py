"""Takes what gateways tell, over plain HTTP: it holds nothing secret, and nothing that an agent wrote.

Who tells is known by its address, which the API server says of each gateway's pod: a connection from any other one is
ended before a byte of it is read. Who could forge that could make refusals up, and nothing else.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from typing import Any, Final

import structlog

from ringfence.gateway.log import FIELDS, Reason
from ringfence.gateway.reports import NOT_IN_FORCE, PATH
from ringfence.serving.first_request import FirstRequestProtocol
from ringfence.serving.server import Server, configuration
from ringfence.serving.sockets import listen
from ringfence.telemetry.events import AgentName, Emit
from ringfence.telemetry.refusals import EgressRefused, EgressRefusedOften, EgressReported, GatewayUpdateRefused

from .bursts import Bursts
from .reading import MOST_BYTES, Unreadable, reasons

log = structlog.get_logger(__name__)

DEADLINE_SECONDS: Final = 5.0
"""For the first request of a connection, and for the rest of a message."""
KEEP_ALIVE_SECONDS: Final = 15
"""Longer than a gateway keeps an idle connection (10 s)."""
MAX_CONNECTIONS: Final = 256
"""At a time; more get 503, and a gateway tries again."""

Whose = Callable[[str], tuple[AgentName, str] | None]
"""The agent, and its uid, whose gateway has an address."""


class Receiver:
    """An ASGI application. `not_in_force`: learns whose gateway goes by an older configuration."""

    def __init__(
        self,
        whose: Whose,
        emit: Emit,
        clock: Callable[[], float] = time.monotonic,
        not_in_force: Callable[[AgentName], None] = lambda _: None,
    ) -> None:
        self._whose, self._emit, self._clock, self._not_in_force = whose, emit, clock, not_in_force
        self._bursts = Bursts()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request, without a body."""
        status = await self._answered(scope, receive)
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    def knows(self, address: str) -> bool:
        """Whether a gateway has this address."""
        if self._whose(plain(address)) is not None:
            return True
        self._emit(EgressReported("unknown"))
        return False

    async def _answered(self, scope: Any, receive: Any) -> HTTPStatus:
        if (scope["method"], scope["path"]) != ("POST", PATH):
            return HTTPStatus.NOT_FOUND
        agent = self._whose(plain(scope["client"][0]))
        if agent is None:  # it was one when it connected
            self._emit(EgressReported("unknown"))
            return HTTPStatus.FORBIDDEN
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                body = await _body(receive)
            found = reasons(body)
        except TimeoutError:
            self._emit(EgressReported("late"))
            return HTTPStatus.REQUEST_TIMEOUT
        except Unreadable:
            self._emit(EgressReported("unreadable"))
            return HTTPStatus.BAD_REQUEST
        self._emit(EgressReported("taken"))
        if found.pop(NOT_IN_FORCE, 0):
            self._emit(GatewayUpdateRefused(agent=agent[0], uid=agent[1]))
            self._not_in_force(agent[0])
        for word, count in found.items():
            self._tell(*agent, Reason(word), count)
        return HTTPStatus.OK

    def _tell(self, agent: AgentName, uid: str, reason: Reason, count: int) -> None:
        self._emit(EgressRefused(agent=agent, uid=uid, rule=str(reason), count=count))
        many = self._bursts.add(agent, reason, count, self._clock())
        if many is not None:
            field = FIELDS.get(reason)
            self._emit(EgressRefusedOften(agent=agent, uid=uid, rule=str(reason), count=many, field=field))


async def _body(receive: Any) -> bytes:
    """Raises Unreadable for one that is too long, or not whole."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Unreadable("the connection ended")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MOST_BYTES:
            raise Unreadable(f"longer than {MOST_BYTES} bytes")
        if not message.get("more_body"):
            return b"".join(parts)


def plain(address: str) -> str:
    """An address as the API server writes it: IPv4 that came to a socket of both families is IPv4."""
    with contextlib.suppress(ValueError):
        found = ip_address(address.partition("%")[0])
        return str((found.ipv4_mapped if isinstance(found, IPv6Address) else None) or found)
    return address


class _Protocol(FirstRequestProtocol):
    """One connection: of a gateway, and of one that asks soon."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        receiver: Any = self.config.app  # what `self.app` wraps, if anything
        if peer is None or not receiver.knows(peer[0]):
            transport.abort()
            return
        self.expect(DEADLINE_SECONDS)


async def serve(receiver: Receiver, port: int, *, host: str = "::") -> None:
    """Until it is cancelled. Where the port cannot be had, that is logged, and nobody is told anything."""
    config = configuration(
        receiver, http=_Protocol, connections=MAX_CONNECTIONS, keep_alive=KEEP_ALIVE_SECONDS, finish=1
    )
    try:
        listener = listen(host, port, MAX_CONNECTIONS)
    except OSError as failure:
        log.error("cannot listen for what egress gateways tell", port=port, error=str(failure))  # noqa: TRY400
        return
    server = Server(config)
    with listener:
        try:
            await server.serve(sockets=[listener])
        finally:
            for one in getattr(server, "servers", []):
                one.close()
