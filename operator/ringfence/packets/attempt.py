"""Attempts to reach a place on the network, and what came back: many at once, in one loop, with one deadline."""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
import time
from enum import StrEnum

TYPE_CHECKING = False
"""As in `typing`, which takes as long to load as all else here; so does `dataclasses`, thrice."""
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Literal

    Protocol = Literal["TCP", "UDP"]

PROTOCOLS = ("TCP", "UDP")
LAST_PORT = 65535
TOKEN_BYTES = 16
"""What a datagram carries: enough that nobody guesses it."""
TURNED_AWAY = frozenset({errno.ECONNREFUSED, errno.ECONNRESET, errno.EPERM, errno.EACCES})
"""RST, ICMP "port unreachable"; the pod's own packet filter (EPERM) and ICMPv6 "prohibited" (EACCES)."""
UNREACHABLE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH})
"""At once: no route. Later: an ICMP message from the network, by which some plugins refuse ("prohibited")."""


class Outcome(StrEnum):
    """What one attempt came to."""

    ANSWERED = "Answered"
    REFUSED = "Refused"
    SILENT = "Silent"
    FAILED = "Failed"


class Target:
    """A place: IP address (IPv4 or IPv6, never a name: nothing here asks a DNS server), protocol and port.

    Not to be changed; two of the same place are equal.
    """

    __slots__ = ("address", "port", "protocol")

    def __init__(self, protocol: Protocol, address: str, port: int) -> None:
        """ValueError, in words, where it is none."""
        self.protocol, self.address, self.port = protocol, address, port
        if protocol not in PROTOCOLS:
            raise ValueError(f"{protocol!r} is no protocol: TCP or UDP")
        try:
            socket.inet_pton(self.family, address)
        except (OSError, ValueError):
            raise ValueError(f"{address!r} is no IP address") from None
        if not 1 <= port <= LAST_PORT:
            raise ValueError(f"{port} is no port: 1 to {LAST_PORT}")

    @classmethod
    def parse(cls, text: str) -> Target:
        """`TCP:10.0.0.1:443` or `UDP:[fd00::1]:53`. ValueError, in words, for anything else."""
        protocol, _, place = text.partition(":")
        address, _, port = place.rpartition(":")
        if address.startswith("[") and address.endswith("]"):
            address = address[1:-1]
        if not (address and port.isascii() and port.isdecimal()):
            raise ValueError(f"{text!r} is not PROTOCOL:ADDRESS:PORT, as in TCP:10.0.0.1:443")
        return cls(protocol, address, int(port))  # type: ignore[arg-type] # looked at when it is made

    @property
    def family(self) -> socket.AddressFamily:
        """IPv6 where there is a colon."""
        return socket.AF_INET6 if ":" in self.address else socket.AF_INET

    def __str__(self) -> str:
        """As `parse` reads it."""
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.protocol}:{address}:{self.port}"

    def __repr__(self) -> str:
        return f"Target({self})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Target) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


class Attempt:
    """One attempt: `detail` says what came back (an errno's name, or nothing), `seconds` how long it took."""

    __slots__ = ("detail", "outcome", "seconds", "target")

    def __init__(self, target: Target, outcome: Outcome, detail: str, seconds: float) -> None:
        self.target, self.outcome, self.detail, self.seconds = target, outcome, detail, seconds

    def __repr__(self) -> str:
        return f"Attempt({self.target}, {self.outcome}, {self.detail!r}, {self.seconds:.3f})"


def attempt(target: Target, *, seconds: float) -> Attempt:
    """Tries one place for so many seconds at most. Raises nothing: what goes wrong is the attempt's outcome."""
    return attempts([target], seconds=seconds)[0]


def attempts(targets: Iterable[Target], *, seconds: float) -> list[Attempt]:
    """Tries all places at once, for so many seconds at most in all: one attempt for each, in the order given.

    TCP has ANSWERED when it connected; nothing is sent. UDP sends one datagram with a random token, and has ANSWERED
    when the token came back. REFUSED: a reset, an ICMP message, or a packet filter said no. SILENT: nothing came in
    time. FAILED: it could not be tried (no route, no descriptors, no buffers).
    """
    trials = [_Trial(target) for target in targets]
    with contextlib.ExitStack() as opened:
        selector = opened.enter_context(selectors.DefaultSelector())
        ends = time.monotonic() + seconds
        for trial in trials:
            opened.callback(trial.close)
            trial.begin(selector)
        left = 1.0
        while selector.get_map() and left > 0:
            left = max(0.0, ends - time.monotonic())  # 0: a last look, for who got no CPU meanwhile was answered too
            for ready, _ in selector.select(left):
                ready.data.proceed(selector)
        for trial in trials:
            trial.end(Outcome.SILENT)
    return [trial.told for trial in trials if trial.told]


class _Trial:
    """One attempt under way: a socket that does not block."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.told: Attempt | None = None
        self.token = os.urandom(TOKEN_BYTES)
        self.started = time.monotonic()
        self.socket: socket.socket | None = None

    def begin(self, selector: selectors.BaseSelector) -> None:
        self.started = time.monotonic()
        kind = socket.SOCK_STREAM if self.target.protocol == "TCP" else socket.SOCK_DGRAM
        try:
            self.socket = socket.socket(self.target.family, kind)
            self.socket.setblocking(False)
            with contextlib.suppress(BlockingIOError):  # TCP: under way
                self.socket.connect((self.target.address, self.target.port))
            if kind == socket.SOCK_DGRAM:
                self.socket.send(self.token)
            selector.register(
                self.socket,
                selectors.EVENT_WRITE if kind == socket.SOCK_STREAM else selectors.EVENT_READ,
                self,
            )
        except OSError as problem:
            self.fail(problem.errno or 0, refused=TURNED_AWAY)

    def proceed(self, selector: selectors.BaseSelector) -> None:
        """Called when the socket is ready: connected or not (TCP), with a datagram or an ICMP message (UDP)."""
        if self.socket is None or self.told:
            return
        if self.target.protocol == "TCP":
            problem = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        else:
            try:
                if self.socket.recv(2 * TOKEN_BYTES) != self.token:
                    return  # not ours: the place itself may send what it likes
                problem = 0
            except BlockingIOError:  # a damaged datagram, dropped by the kernel
                return
            except OSError as failure:
                problem = failure.errno or 0
        selector.unregister(self.socket)
        if problem:
            self.fail(problem, refused=TURNED_AWAY | UNREACHABLE)
        else:
            self.end(Outcome.ANSWERED)

    def fail(self, problem: int, *, refused: frozenset[int]) -> None:
        name = errno.errorcode.get(problem, f"errno {problem}")
        self.end(Outcome.REFUSED if problem in refused else Outcome.FAILED, name)

    def end(self, outcome: Outcome, detail: str = "") -> None:
        """Only the first end counts."""
        if self.told is None:
            self.told = Attempt(self.target, outcome, detail, time.monotonic() - self.started)

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
