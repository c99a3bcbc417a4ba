"""Refusals are told to a receiver: what of them, how often, and what becomes of requests while nobody listens."""

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from cluster.shell import wait_for
from gateway.declared import gateway
from harness.gateway.client import Reset, read
from harness.gateway.running import Running, swap
from harness.gateway.world import World
from ringfence.controller.egress.reading import MOST_BYTES, reasons
from ringfence.gateway import envoy
from ringfence.gateway.log import Reason
from ringfence.gateway.model import Host, Rule
from ringfence.gateway.reports import MOST_A_MINUTE, NOT_IN_FORCE, PATH

PLACE = "203.0.113.28"
PORT = 4318
HIDDEN = "what-nobody-may-be-told"
FIRST = Host("h1.test", rules=(Rule(("GET",), ("/yes",)),))


class Listening:
    """A receiver, in the room: a replica of the controller."""

    def __init__(self, internet: World) -> None:
        self.bodies: list[bytes] = []
        self.asked: list[str] = []
        self.busy = 0
        self.connections: list[socket.socket] = []
        listening = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                listening.connections.append(self.connection)

            def do_POST(self) -> None:
                body, size = b"", -1
                while size:
                    size = int(self.rfile.readline(), 16)
                    body += self.rfile.read(size)
                    self.rfile.readline()
                listening.asked.append(self.path)
                busy = listening.busy > 0
                listening.busy -= busy
                if not busy:
                    listening.bodies.append(body)
                self.send_response(503 if busy else 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        with internet.place.entered():
            self.server = ThreadingHTTPServer((PLACE, PORT), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def told(self) -> Counter[str]:
        return sum((reasons(body) for body in self.bodies), Counter())

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
        for connection in self.connections:  # a gateway keeps it, and would go on telling this one
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def running(internet: World) -> Iterator[Running]:
    made = Running(
        internet.place,
        "telling",
        replace(gateway(FIRST, Host("private.test")), reports_to=f"{PLACE}:{PORT}"),
        internet.authorities,
    )
    made.start()
    wait_for("a host", lambda: made.client.ask("h1.test/yes").status == 200, timeout=60)
    yield made
    made.stop()


@pytest.fixture
def listening(internet: World) -> Iterator[Listening]:
    made = Listening(internet)
    yield made
    made.close()


def refuse(running: Running) -> None:
    """One request for each reason."""
    client = running.client
    client.ask(f"h1.test/{HIDDEN}?key={HIDDEN}", headers={"authorization": HIDDEN})
    client.raw("h1.test", f"GET /yes HTTP/1.1\r\nhost: {HIDDEN}.test\r\n\r\n".encode())
    client.raw("h1.test", b"GET /%2fx HTTP/1.1\r\nhost: h1.test\r\n\r\n")
    wait_for("an address", lambda: client.ask("private.test/x").status == 403, timeout=60)
    with pytest.raises(Reset):
        client.tls(f"{HIDDEN}.test")


def test_that_a_file_is_not_in_force_is_told(running: Running, listening: Listening) -> None:
    files = envoy.files(running.gateway)
    swap(running.config, files | {"versions.txt": files["versions.txt"].replace("lds", "another")})
    try:
        for _ in range(3):
            with running.client.dial(running.gateway.observe_port) as connection:
                connection.sendall(b"GET /ready HTTP/1.1\r\nhost: x\r\n\r\n")
                status = read(connection).status
        assert status == 503
        wait_for("the word", lambda: listening.told()[NOT_IN_FORCE] == 2, timeout=60)
    finally:
        swap(running.config, files)


def test_reasons_are_told_and_nothing_that_the_agent_wrote(running: Running, listening: Listening) -> None:
    assert running.client.ask("h1.test/yes").status == 200
    refuse(running)
    wait_for("all", lambda: listening.told().total() >= 5, timeout=60)
    assert listening.told() == {Reason.REQUEST: 1, Reason.HOST: 2, Reason.MALFORMED: 1, Reason.ADDRESS: 1}
    assert set(listening.asked) == {PATH}
    for body in listening.bodies:
        assert HIDDEN.encode() not in body
        message = ExportLogsServiceRequest.FromString(body)
        records = [one for told in message.resource_logs for scope in told.scope_logs for one in scope.log_records]
        assert {attribute.key for record in records for attribute in record.attributes} == {"reason"}
        assert not any(record.HasField("body") for record in records)


def test_one_that_is_not_ready_is_asked_again(running: Running, listening: Listening) -> None:
    listening.busy = 2
    running.client.ask("h1.test/no")
    wait_for("it", lambda: listening.told() == {Reason.REQUEST: 1}, timeout=60)
    assert len(listening.asked) == 3


def test_nobody_waits_for_a_receiver_that_is_away_and_it_is_told_when_it_is_back(
    running: Running, internet: World
) -> None:
    began = monotonic()
    for _ in range(50):
        assert running.client.ask("h1.test/away").status == 403
        assert running.client.ask("h1.test/yes").status == 200
    assert monotonic() - began < 30  # 100 connections on a busy machine; one try to tell takes as long
    wait_for("tries", lambda: _tries(running) > 0, timeout=60)
    late = Listening(internet)
    try:
        wait_for("all", lambda: late.told()[Reason.REQUEST] == 50, timeout=60)
    finally:
        late.close()


def _tries(running: Running) -> int:
    lines = running.admin("/clusters").splitlines()
    found = [line for line in lines if line.startswith("controller::") and "cx_connect_fail" in line]
    return sum(int(line.rpartition("::")[2]) for line in found)


FULL = 400
"""Refusals whose records fill a buffer: some 16 KiB."""


def flood(running: Running) -> None:
    """As many requests that are refused, one after another."""
    with running.client.tls("h1.test") as connection:
        for _ in range(FULL):
            connection.sendall(b"GET /no HTTP/1.1\r\nhost: h1.test\r\n\r\n")
            assert read(connection).status == 403


def test_a_flood_is_bounded_here(running: Running, listening: Listening) -> None:
    began, floods = monotonic(), 0

    def most() -> int:
        """Messages: all that could be sent when it began, and what each minute adds, also one that has just begun."""
        return MOST_A_MINUTE * (2 + int((monotonic() - began) // 60))

    while floods < most() + 10:
        flood(running)
        floods += 1
    wait_for("the first", lambda: listening.told().total() > 2 * FULL, timeout=60)
    assert running.client.ask("h1.test/yes").status == 200
    assert len(listening.asked) <= most()
    assert listening.told().total() < floods * FULL
    assert max(map(len, listening.bodies)) < MOST_BYTES / 2
