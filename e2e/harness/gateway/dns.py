"""An authoritative DNS server for a handful of names, which remembers what it was asked."""

from __future__ import annotations

import ipaddress
import socket
import struct
import threading
from collections.abc import Iterable

__all__ = ["Names"]

A, AAAA = 1, 28
_NO_SUCH_NAME = 3


class Names:
    """Serves UDP. `answers`: name -> addresses, to be changed at any time; `silent`: names that get no answer.

    Only inside of a room's namespace: it listens where `address` says.
    """

    def __init__(self, address: str, *, ttl: int = 1) -> None:
        self.answers: dict[str, tuple[str, ...]] = {}
        self.silent: set[str] = set()
        self.asked: list[str] = []
        self.ttl = ttl
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def set(self, name: str, *addresses: str) -> None:
        """From now on, `name` has these addresses."""
        self.answers[name] = addresses

    def queries(self, names: Iterable[str]) -> list[str]:
        """Those names that were asked for, or names below them."""
        wanted = list(names)
        return [one for one in self.asked if any(one == name or one.endswith(f".{name}") for name in wanted)]

    def close(self) -> None:
        """No more answers."""
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                query, client = self._socket.recvfrom(2048)
            except OSError:
                return
            name, kind, end = _question(query)
            self.asked.append(name)
            if name in self.silent:
                continue
            found = self.answers.get(name)
            wanted = [address for address in found or () if _kind(address) == kind]
            flags = 0x8400 | (0 if found is not None else _NO_SUCH_NAME)
            head = query[:2] + struct.pack(">HHHHH", flags, 1, len(wanted), 0, 0)
            records = b"".join(_record(kind, self.ttl, address) for address in wanted)
            try:
                self._socket.sendto(head + query[12:end] + records, client)
            except OSError:
                return


def _question(query: bytes) -> tuple[str, int, int]:
    """The name asked for, in lower case; the type; where the question ends."""
    labels, at = [], 12
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode("latin-1").lower())
        at += 1 + length
    return ".".join(labels), struct.unpack(">H", query[at + 1 : at + 3])[0], at + 5


def _kind(address: str) -> int:
    return A if ipaddress.ip_address(address).version == 4 else AAAA


def _record(kind: int, ttl: int, address: str) -> bytes:
    data = ipaddress.ip_address(address).packed
    return b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, ttl, len(data)) + data
