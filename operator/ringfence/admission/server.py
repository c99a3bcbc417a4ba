"""uvicorn, as the review server needs it: our TLS contexts, our signals, checked clients, bounded patience.

Why not granian: it reads the certificate when a worker starts, and replacing the worker lost between two and five
requests in each of four trials (new and kept connections under load); see tls.py for what is done instead.
"""

import asyncio
import ssl
from typing import Any, ClassVar, Final, cast

import structlog

from ringfence.serving import server as serving
from ringfence.serving.first_request import FirstRequestProtocol

from .app import Admission

log = structlog.get_logger(__name__)

BACKLOG: Final = 1024
"""Connections that wait for their handshake."""
FIRST_REQUEST_SECONDS: Final = 10.0
"""A connection that asks nothing for so long is closed; uvicorn itself would keep it for ever."""
KEEP_ALIVE_SECONDS: Final = 120
"""An idle connection is kept so long. Longer than the API server keeps it (90 s): then it is never we who close a
connection in the moment in which a request is under way."""
MAX_CONNECTIONS: Final = 512
"""More get 503. The API servers of a cluster together keep far fewer."""
FINISH_SECONDS: Final = 6
"""Reviews in flight may take so long at the end: more than the 5 s that the API server waits."""


class OneWrite:
    """A transport that gathers what is written until it is flushed: head and body cost one record and one send.

    What nobody flushes, such as `100 Continue`, goes out when the loop turns.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._gathered: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send `data` with what else is written until `flush`, or until the loop turns."""
        if not self._gathered:
            self._loop.call_soon(self.flush)
        self._gathered.append(data)

    def close(self) -> None:
        """Send what was gathered, then close."""
        self.flush()
        self._transport.close()

    def flush(self) -> None:
        """Send what was gathered."""
        if self._gathered:
            gathered, self._gathered = b"".join(self._gathered), []
            self._transport.write(gathered)


class Protocol(FirstRequestProtocol):
    """One connection."""

    client_names: ClassVar[frozenset[str]] = frozenset()
    _gathering: OneWrite

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Check the client's name, where names are asked for, and start the clock for the first request."""
        self._gathering = OneWrite(cast("asyncio.Transport", transport), self.loop)
        super().connection_made(cast("asyncio.Transport", self._gathering))
        if self.client_names and common_name(transport.get_extra_info("peercert")) not in self.client_names:
            log.warning("a client with a valid certificate but another name was turned away")
            self.transport.close()
            return
        self.expect(FIRST_REQUEST_SECONDS)

    def on_response_complete(self) -> None:
        """The answer is whole: it does not wait for what the application does after it."""
        self._gathering.flush()
        super().on_response_complete()


def common_name(certificate: dict[str, Any] | None) -> str:
    """The subject's common name in a certificate as `ssl` gives it; empty when there is none."""
    subject = (certificate or {}).get("subject", ())
    return next((value for part in subject for key, value in part if key == "commonName"), "")


class Server(serving.Server):
    """The listener. `finish()` ends it once the reviews in flight are answered."""

    def __init__(self, app: Admission, base: ssl.SSLContext, *, client_names: frozenset[str] = frozenset()) -> None:
        protocol = type("NamedProtocol", (Protocol,), {"client_names": client_names})
        config = serving.configuration(
            app,
            http=protocol,
            backlog=BACKLOG,
            connections=MAX_CONNECTIONS,
            keep_alive=KEEP_ALIVE_SECONDS,
            finish=FINISH_SECONDS,
        )
        config.load()
        config.ssl = base
        super().__init__(config)

    def finish(self) -> None:
        """Close the listener, let reviews in flight finish, return from `serve`."""
        self.should_exit = True
