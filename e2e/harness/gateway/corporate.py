"""A pretend corporate proxy: takes CONNECT with credentials, and remembers what it was asked."""

from __future__ import annotations

import base64
import http.client
import io
import socket
import threading
from dataclasses import dataclass, field

__all__ = ["Asked", "Corporate"]


@dataclass(frozen=True)
class Asked:
    """One CONNECT. `headers`: names in lower case."""

    line: str
    headers: dict[str, str] = field(repr=False)

    @property
    def target(self) -> str:
        """`ADDRESS:PORT`."""
        return self.line.split()[1]


class Corporate:
    """Listens at `address`; lets whoever knows `credentials` (USER:PASSWORD; "": anybody) through to any address.

    Only inside of a room's namespace. `answer`: a status that it gives instead of 200, to be changed at any time.
    """

    def __init__(self, address: str, port: int = 3128, credentials: str = "") -> None:
        self.address, self.port, self.credentials = address, port, credentials
        self.asked: list[Asked] = []
        self.answer = 200
        self._socket = socket.create_server((address, port), backlog=64)
        threading.Thread(target=self._serve, daemon=True).start()

    def targets(self) -> list[str]:
        """What it was asked for, in order."""
        return [one.target for one in self.asked]

    def close(self) -> None:
        """Listen no longer."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with client:
            head = b""
            while b"\r\n\r\n" not in head:
                if not (part := client.recv(1)):
                    return
                head += part
            line, _, rest = head.partition(b"\r\n")
            headers = {name.lower(): value for name, value in http.client.parse_headers(io.BytesIO(rest)).items()}
            asked = Asked(line.decode(), headers)
            self.asked.append(asked)
            status = self.answer if self._knows(headers) else 407
            if status != 200:
                client.sendall(b"HTTP/1.1 %d Refused\r\ncontent-length: 7\r\n\r\nrefused" % status)
                return
            address, _, port = asked.target.rpartition(":")
            try:
                host = socket.create_connection((address.strip("[]"), int(port)), timeout=10)
            except (OSError, ValueError):
                client.sendall(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")
                return
            with host:
                host.settimeout(None)
                # As proxies do: the older protocol, and more headers than a short head has.
                client.sendall(
                    b"HTTP/1.0 200 Connection established\r\nVia: 1.1 corporate\r\nX-Long: " + b"x" * 4000 + b"\r\n\r\n"
                )
                back = threading.Thread(target=_copy, args=(host, client), daemon=True)
                back.start()
                _copy(client, host)
                back.join()

    def _knows(self, headers: dict[str, str]) -> bool:
        expected = "Basic " + base64.b64encode(self.credentials.encode()).decode()
        return not self.credentials or headers.get("proxy-authorization") == expected


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while part := source.recv(65536):
            target.sendall(part)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for one in (source, target):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
