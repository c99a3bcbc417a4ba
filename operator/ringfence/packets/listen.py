"""The canary: it answers everybody who asks, so that whoever gets no answer knows that the network denied it."""

from __future__ import annotations

import contextlib
import selectors
import socket

LINE = b"ringfence canary\n"
"""What each TCP connection gets before it is closed."""
ECHOED = 64
"""Bytes of a datagram that are sent back, at most: never more than came, so that nobody is flooded by our answers."""
WAITING = 128
"""Connections that the kernel holds for us, at most. One that is accepted is closed at once: there are never two."""


class Canary:
    """Listens on one port, TCP and UDP, IPv6 and IPv4 (`::`) unless told otherwise. Says nothing about who asked."""

    def __init__(self, port: int, address: str = "::") -> None:
        """Port 0: one that is free, for both. OSError when it is taken."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            self.tcp = socket.socket(family, socket.SOCK_STREAM)
        except OSError:  # a kernel without IPv6
            family, address = socket.AF_INET, "0.0.0.0"  # noqa: S104 - it is there to be reached
            self.tcp = socket.socket(family, socket.SOCK_STREAM)
        self.udp = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            for each in (self.tcp, self.udp):
                if family == socket.AF_INET6:
                    each.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                each.setblocking(False)
            self.tcp.bind((address, port))
            self.port = int(self.tcp.getsockname()[1])
            self.udp.bind((address, self.port))
            self.tcp.listen(WAITING)
        except OSError:
            self.close()
            raise

    def __enter__(self) -> Canary:  # noqa: PYI034 - typing takes as long to load as all else here
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.tcp.close()
        self.udp.close()

    def serve(self, seconds: float | None = None) -> None:
        """Answers for ever, or once to whoever asks within so many seconds."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.tcp, selectors.EVENT_READ, self._greet)
            selector.register(self.udp, selectors.EVENT_READ, self._echo)
            while True:
                for ready, _ in selector.select(seconds):
                    with contextlib.suppress(OSError):  # who asked is gone, or no descriptor is free: the next one
                        ready.data()
                if seconds is not None:
                    return

    def _greet(self) -> None:
        connection, _ = self.tcp.accept()
        with connection:
            connection.setblocking(False)
            connection.send(LINE)

    def _echo(self) -> None:
        data, sender = self.udp.recvfrom(ECHOED)
        self.udp.sendto(data, sender)
