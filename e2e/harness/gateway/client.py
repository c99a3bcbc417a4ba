"""An agent's connections to its gateway, byte by byte where it matters."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Answer", "Client", "Reset", "read"]


class Reset(Exception):
    """The connection was ended without an answer."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def told(self) -> dict[str, Any]:
        """The body, which is JSON."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def error(self) -> dict[str, Any]:
        """The gateway's own error."""
        found: dict[str, Any] = self.told["error"]
        return found


@dataclass(frozen=True)
class Client:
    """Of the gateway at `address`. Believes the authority in `bundle` (PEM), and speaks HTTP/1.1."""

    bundle: Path
    address: str

    def dial(self, port: int = 443) -> socket.socket:
        """A connection to the gateway."""
        return socket.create_connection((self.address, port), timeout=60)

    def tls(self, sni: str | None, port: int = 443, *, over: socket.socket | None = None) -> ssl.SSLSocket:
        """A connection with this name in its first message. Raises Reset when the gateway ends it."""
        context = ssl.create_default_context(cafile=str(self.bundle))
        if sni is None:
            context.check_hostname = False
        context.set_alpn_protocols(["http/1.1"])
        connection = over or self.dial(port)
        try:
            return context.wrap_socket(connection, server_hostname=sni)
        except (ssl.SSLEOFError, ConnectionError) as error:
            raise Reset from error

    def ask(
        self,
        url: str,
        method: str = "GET",
        *,
        sni: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """One request to `HOST[:PORT]/PATH`. `sni`: another name for TLS than the URL's."""
        site, slash, path = url.partition("/")
        name, _, port = site.partition(":")
        number = int(port or 443)
        connection = http.client.HTTPConnection(name, number, timeout=60)
        connection.sock = self.dial(80) if number == 80 else self.tls(sni or name, number)
        connection.request(method, slash + path or "/", body, dict(headers or {}))
        return _answer(connection)

    def raw(self, sni: str, request: bytes, port: int = 443) -> Answer:
        """These bytes, as they are."""
        with self.tls(sni, port) as connection:
            connection.sendall(request)
            return read(connection)


def read(connection: socket.socket) -> Answer:
    """One answer."""
    response = http.client.HTTPResponse(connection)
    try:
        response.begin()
        body = response.read()
    except (http.client.HTTPException, ConnectionError) as error:
        raise Reset from error
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)


def _answer(connection: http.client.HTTPConnection) -> Answer:
    try:
        response = connection.getresponse()
        body = response.read()
    except (http.client.RemoteDisconnected, ConnectionError) as error:
        raise Reset from error
    finally:
        connection.close()
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)
