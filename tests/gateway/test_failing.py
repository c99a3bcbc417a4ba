"""Hosts that break off, answer garbage, too much or nothing, and a gateway that is killed."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cluster.shell import wait_for
from gateway.conftest import Starter
from gateway.declared import gateway
from harness.gateway.client import Answer, Client, Reset, read
from harness.gateway.world import Site, World
from ringfence.gateway.model import Host, Limits

NAME, ADDRESS = "broken.test", "203.0.113.20"
GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
HALF = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"


class Broken(threading.Thread):
    """A host with a good certificate that answers each request with `says`, and ends the connection if it `ends`."""

    def __init__(self, certificate: Path, key: Path) -> None:
        super().__init__(daemon=True)
        self.says, self.ends, self.asked = GOOD, True, 0
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._listener = socket.create_server((ADDRESS, 443))
        self._held: list[socket.socket] = []

    def run(self) -> None:
        with suppress(OSError):
            while True:
                plain, _ = self._listener.accept()
                with suppress(OSError):
                    self._serve(self._context.wrap_socket(plain, server_side=True))

    def _serve(self, connection: ssl.SSLSocket) -> None:
        if not connection.recv(65536):
            return
        self.asked += 1
        connection.sendall(self.says)
        if self.ends:
            connection.close()
        else:
            self._held.append(connection)

    def close(self) -> None:
        # Only a shutdown wakes the thread that waits in accept().
        self._listener.shutdown(socket.SHUT_RDWR)
        for one in (self._listener, *self._held):
            one.close()
        self.join(60)


@pytest.fixture(scope="module")
def broken(internet: World) -> Iterator[Broken]:
    _, certificate, _, key = internet.pki.issue(Site(NAME, ADDRESS, certified=NAME))
    internet.names.set(NAME, ADDRESS)
    host = Broken(Path(certificate), Path(key))
    host.start()
    yield host
    host.close()


@pytest.fixture
def client(start: Starter, broken: Broken) -> Client:
    broken.says, broken.ends = GOOD, True
    found = start(gateway(Host(NAME), limits=Limits(idle_seconds=2))).client
    wait_for("the host", lambda: found.ask(f"{NAME}/x").status == 200, timeout=60)
    return found


@pytest.mark.parametrize(
    ("says", "status"),
    [
        pytest.param(b"", 503, id="no answer"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-le", 502, id="in the middle of the headers"),
        pytest.param(b"\x00\xff garbage, and no HTTP\r\n\r\n", 502, id="garbage"),
        pytest.param(b"HTTP/1.1 200 OK\r\nx: " + b"x" * 200_000 + b"\r\n\r\n", 502, id="one huge header"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"x: x\r\n" * 5000 + b"\r\n", 502, id="many headers"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            502,
            id="two lengths",
        ),
    ],
)
def test_a_host_that_answers_badly_is_a_failure_of_the_host(
    client: Client, broken: Broken, says: bytes, status: int
) -> None:
    broken.says = says
    answer = client.ask(f"{NAME}/x")
    assert answer.status == status
    assert b"x" * 1000 not in answer.body
    broken.says = GOOD
    assert wait_for("the host again", lambda: client.ask(f"{NAME}/x").body == b"ok", timeout=60)


def test_half_a_body_is_no_whole_answer(client: Client, broken: Broken) -> None:
    broken.says = HALF
    with client.tls(NAME) as connection:
        connection.sendall(f"GET /x HTTP/1.1\r\nhost: {NAME}\r\n\r\n".encode())
        with pytest.raises(Reset):
            _whole(connection)


def test_a_host_that_is_silent_is_given_up(client: Client, broken: Broken) -> None:
    broken.says, broken.ends = b"", False
    assert client.ask(f"{NAME}/x").status == 504


def test_a_host_that_stops_in_the_middle_is_given_up(client: Client, broken: Broken) -> None:
    broken.says, broken.ends = HALF, False
    with client.tls(NAME) as connection:
        connection.sendall(f"GET /x HTTP/1.1\r\nhost: {NAME}\r\n\r\n".encode())
        with pytest.raises(Reset):
            _whole(connection)


@pytest.mark.parametrize(("says", "status"), [(b"", 503), (b"HTTP/1.1 200 OK\r\ncontent-le", 502)])
def test_a_post_that_a_host_broke_off_is_not_sent_twice(
    client: Client, broken: Broken, says: bytes, status: int
) -> None:
    """It may have been paid for."""
    broken.says, before = says, broken.asked
    assert client.ask(f"{NAME}/x", "POST", body=b"{}").status == status
    assert broken.asked == before + 1


def test_a_gateway_that_is_killed_in_mid_request_serves_again(start: Starter, broken: Broken) -> None:
    broken.says, broken.ends = HALF, False
    running = start(gateway(Host(NAME)))
    with running.client.tls(NAME) as connection:
        connection.sendall(f"GET /x HTTP/1.1\r\nhost: {NAME}\r\n\r\n".encode())
        assert b"half" in _until(connection, b"half")
        running.stop()
        with pytest.raises((Reset, ConnectionError)):
            _whole(connection)
    with pytest.raises(ConnectionError):
        running.client.dial()
    broken.says, broken.ends = GOOD, True
    running.start()
    assert wait_for("the host", lambda: running.client.ask(f"{NAME}/x").body == b"ok", timeout=60)


def _whole(connection: socket.socket) -> Answer:
    """One answer that is as long as it says. Raises Reset for less."""
    answer = read(connection)
    if len(answer.body) < int(answer.headers.get("content-length", 0)):
        raise Reset
    return answer


def _until(connection: socket.socket, word: bytes) -> bytes:
    told = b""
    while word not in told and (more := connection.recv(4096)):
        told += more
    return told
