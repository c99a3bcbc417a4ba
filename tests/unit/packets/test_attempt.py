"""Attempts on loopback: what answers, refuses, is silent, or cannot be tried."""

import errno
import re
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import pytest

from ringfence.packets.attempt import Outcome, Target, attempt, attempts
from ringfence.packets.listen import ECHOED, LINE, Canary

Protocol = Literal["TCP", "UDP"]
PROTOCOLS: tuple[Protocol, Protocol] = ("TCP", "UDP")
PATIENCE = 60.0
"""Seconds for what comes at once on an idle machine."""


@contextmanager
def canary(address: str = "127.0.0.1") -> Iterator[int]:
    """A canary that serves in a thread: its port."""
    stop = threading.Event()

    def serve(one: Canary) -> None:
        while not stop.is_set():
            one.serve(0.05)

    with Canary(0, address) as one:
        thread = threading.Thread(target=serve, args=(one,))
        thread.start()
        try:
            yield one.port
        finally:
            stop.set()
            thread.join()


@contextmanager
def mute(protocol: Protocol) -> Iterator[int]:
    """A port of 127.0.0.1 that says nothing: a full queue of connections (TCP), a socket that nobody reads (UDP)."""
    if protocol == "UDP":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
            listener.bind(("127.0.0.1", 0))
            yield listener.getsockname()[1]
        return
    with socket.socket() as listener, socket.socket() as first:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        first.connect(listener.getsockname())
        yield listener.getsockname()[1]


def free() -> int:
    """A port of 127.0.0.1 where nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_canary_answers(protocol: Protocol, address: str) -> None:
    with canary(address) as port:
        target = Target(protocol, address, port)
        told = attempt(target, seconds=PATIENCE)
    assert (told.target, told.outcome, told.detail) == (target, Outcome.ANSWERED, "")
    assert 0 < told.seconds < PATIENCE


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_closed_port_refuses(protocol: Protocol) -> None:
    told = attempt(Target(protocol, "127.0.0.1", free()), seconds=PATIENCE)
    assert (told.outcome, told.detail) == (Outcome.REFUSED, "ECONNREFUSED")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_says_nothing_is_silent(protocol: Protocol) -> None:
    with mute(protocol) as port:
        told = attempt(Target(protocol, "127.0.0.1", port), seconds=0.2)
    assert told.outcome is Outcome.SILENT
    assert told.seconds >= 0.2


def test_a_datagram_that_is_not_ours_is_no_answer() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))

        def lie() -> None:
            token, sender = other.recvfrom(100)
            other.sendto(b"x" * len(token), sender)
            other.sendto(token + token, sender)

        thread = threading.Thread(target=lie)
        thread.start()
        told = attempt(Target("UDP", "127.0.0.1", other.getsockname()[1]), seconds=0.3)
        thread.join()
    assert told.outcome is Outcome.SILENT


def test_all_are_tried_at_once_and_told_in_their_order() -> None:
    with canary() as port, mute("TCP") as silent:
        targets = [Target("TCP", "127.0.0.1", silent) for _ in range(20)]
        targets += [Target("UDP", "127.0.0.1", port), Target("TCP", "127.0.0.1", port)]
        told = attempts(targets, seconds=1)
    assert [each.target for each in told] == targets
    assert [each.outcome for each in told] == [Outcome.SILENT] * 20 + [Outcome.ANSWERED] * 2
    assert sum(each.seconds for each in told[:20]) > 10 > max(each.seconds for each in told)  # not one after the other


def test_an_answer_that_waited_while_we_got_no_time_counts() -> None:
    """Who is not scheduled until the deadline is past looks once more."""
    with canary() as port:
        assert attempt(Target("TCP", "127.0.0.1", port), seconds=0).outcome is Outcome.ANSWERED


def test_nothing_to_try() -> None:
    assert attempts([], seconds=PATIENCE) == []


def test_no_descriptors_is_a_failure_and_no_exception() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = [socket.socket() for _ in range(3)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(one.fileno() for one in taken) + 2, hard))
    try:
        told = attempts([Target("TCP", "127.0.0.1", free())] * 40, seconds=1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for one in taken:
            one.close()
    assert (told[-1].outcome, told[-1].detail) == (Outcome.FAILED, "EMFILE")


@pytest.mark.parametrize(
    ("number", "later", "outcome"),
    [
        (errno.ENETUNREACH, False, Outcome.FAILED),
        (errno.EHOSTUNREACH, False, Outcome.FAILED),
        (errno.EHOSTUNREACH, True, Outcome.REFUSED),
        (errno.EPERM, False, Outcome.REFUSED),
        (errno.ENOBUFS, False, Outcome.FAILED),
        (errno.ETIMEDOUT, True, Outcome.FAILED),
    ],
)
def test_no_route_is_a_failure_and_a_message_of_the_network_a_refusal(
    monkeypatch: pytest.MonkeyPatch, number: int, later: bool, outcome: Outcome
) -> None:
    class Unreachable(socket.socket):
        def connect(self, address: object, /) -> None:
            if later:
                return super().connect(("127.0.0.1", port))
            raise OSError(number, "no")

        def getsockopt(self, *_args: object) -> int:  # type: ignore[override]
            return number

    monkeypatch.setattr(socket, "socket", Unreachable)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        told = attempt(Target("TCP", "192.0.2.1", 9), seconds=PATIENCE)
    assert (told.outcome, told.detail) == (outcome, errno.errorcode[number])


def test_no_descriptor_is_left_open() -> None:
    with mute("TCP") as silent, canary() as port:
        before = socket.socket()
        number = before.fileno()
        before.close()
        attempts([Target("TCP", "127.0.0.1", each) for each in (silent, port, free())], seconds=0.1)
        with socket.socket() as after:
            assert after.fileno() == number


@pytest.mark.parametrize("text", ["TCP:10.0.0.1:443", "UDP:[fd00::1]:53"])
def test_a_target_is_read_as_it_is_written(text: str) -> None:
    assert str(Target.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("SCTP:10.0.0.1:443", "'SCTP' is no protocol: TCP or UDP"),
        ("TCP:example.com:443", "'example.com' is no IP address"),
        ("TCP:10.0.0.1:0", "0 is no port: 1 to 65535"),
        ("TCP:10.0.0.1:65536", "65536 is no port: 1 to 65535"),
        ("TCP:10.0.0.1", "'TCP:10.0.0.1' is not PROTOCOL:ADDRESS:PORT, as in TCP:10.0.0.1:443"),
        ("TCP:10.0.0.1:x", "'TCP:10.0.0.1:x' is not PROTOCOL:ADDRESS:PORT, as in TCP:10.0.0.1:443"),
        ("", "'' is not PROTOCOL:ADDRESS:PORT, as in TCP:10.0.0.1:443"),
        ("TCP:10.0.0.1\0:1", "'10.0.0.1\\x00' is no IP address"),
    ],
)
def test_anything_else_is_no_target(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(why)}$"):
        Target.parse(text)


def test_the_canary_says_one_line_and_closes() -> None:
    with canary() as port, socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        assert connection.makefile("rb").read() == LINE


def test_the_canary_echoes_never_more_than_a_little() -> None:
    with canary() as port, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(PATIENCE)
        asking.sendto(b"x" * 1000, ("127.0.0.1", port))
        assert asking.recv(2000) == b"x" * ECHOED


def test_the_canary_takes_ipv4_on_its_socket_for_ipv6() -> None:
    with canary("::") as port:
        told = attempts([Target(each, "127.0.0.1", port) for each in PROTOCOLS], seconds=PATIENCE)
    assert [each.outcome for each in told] == [Outcome.ANSWERED] * 2


def test_the_canary_survives_who_left_before_it_was_greeted() -> None:
    with Canary(0, "127.0.0.1") as one:
        gone = socket.create_connection(("127.0.0.1", one.port), timeout=PATIENCE)
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        gone.close()
        one.serve(0.05)
        with socket.create_connection(("127.0.0.1", one.port), timeout=PATIENCE) as connection:
            one.serve(PATIENCE)
            assert connection.makefile("rb").read() == LINE


def test_a_port_that_is_taken_is_said() -> None:
    with Canary(0, "127.0.0.1") as one, pytest.raises(OSError, match="in use"):
        Canary(one.port, "127.0.0.1")


def test_two_targets_of_one_place_are_the_same() -> None:
    one, same, other = (Target.parse(text) for text in ("TCP:10.0.0.1:1", "TCP:10.0.0.1:1", "UDP:10.0.0.1:1"))
    assert (one, hash(one)) == (same, hash(same))
    assert one != other
    assert repr(one) == "Target(TCP:10.0.0.1:1)"
