"""The probes and metrics over real sockets."""

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter

from ringfence.telemetry import health as health_module
from ringfence.telemetry.health import STUCK_SECONDS, Health, HealthServer
from unit.fakes.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(clock=clock)


@pytest.fixture
def server(health: Health) -> Iterator[HealthServer]:
    registry = CollectorRegistry()
    Counter("things", "Things.", registry=registry).inc(3)
    with HealthServer(health, registry, host="127.0.0.1", port=0) as found:
        yield found


def ask(server: HealthServer, path: str, method: str = "GET") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=150)
    connection.request(method, path)
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


def test_alive_as_long_as_the_loop_turns(health: Health, clock: Clock, server: HealthServer) -> None:
    assert ask(server, "/healthz") == (200, "ok\n")
    clock.now += STUCK_SECONDS + 1
    status, text = ask(server, "/healthz")
    assert status == 503
    assert "has not turned for 31 s" in text
    health.beat()
    assert ask(server, "/healthz")[0] == 200


def test_accepted_connections_do_not_hold_back_small_answers(
    server: HealthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TCP_NODELAY, looked at on the socket that answers: a listener may say another thing."""
    seen: list[int] = []
    answer = health_module._Handler.do_GET

    def look(handler: Any) -> None:
        seen.append(handler.connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        answer(handler)

    monkeypatch.setattr(health_module._Handler, "do_GET", look)
    assert ask(server, "/healthz")[0] == 200
    assert seen == [1]


def test_ready_when_every_check_is_content(health: Health, server: HealthServer) -> None:
    missing: list[str | None] = ["no list of Node yet"]
    health.require("cluster", lambda: missing[0])
    health.require("listener", lambda: None)
    assert ask(server, "/readyz") == (503, "cluster: no list of Node yet\n")
    missing[0] = None
    assert ask(server, "/readyz") == (200, "ok\n")


def test_not_ready_before_anything_was_checked(server: HealthServer) -> None:
    assert ask(server, "/readyz") == (503, "starting: nothing has been checked yet\n")


def test_not_ready_once_it_stops_but_still_alive(health: Health, server: HealthServer) -> None:
    health.require("all", lambda: None)
    health.stop()
    assert ask(server, "/readyz") == (503, "stopping: it is shutting down\n")
    assert ask(server, "/healthz")[0] == 200


def test_metrics(server: HealthServer) -> None:
    status, text = ask(server, "/metrics")
    assert status == 200
    assert "things_total 3.0" in text


@pytest.mark.parametrize("path", ["/", "/healthz/x", "/validate", "/%2e%2e/etc/passwd"])
def test_nothing_else_is_served(server: HealthServer, path: str) -> None:
    assert ask(server, path)[0] == 404


def test_a_query_is_ignored(server: HealthServer) -> None:
    assert ask(server, "/healthz?verbose")[0] == 200


def test_head_has_no_body(server: HealthServer) -> None:
    assert ask(server, "/healthz", "HEAD") == (200, "")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_written(server: HealthServer, method: str) -> None:
    assert ask(server, "/healthz", method)[0] == 501


def test_it_answers_while_the_main_thread_is_stuck(server: HealthServer) -> None:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(ask(server, "/healthz")[0]))
    thread.start()
    end = time.monotonic() + 0.3
    while time.monotonic() < end:  # busy, as a loop that computes
        pass
    thread.join(5)
    assert found == [200]


def test_idle_connections_do_not_keep_others_out(server: HealthServer, monkeypatch: pytest.MonkeyPatch) -> None:
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(health_module.MAX_CONNECTIONS - 1)]
    assert ask(server, "/healthz")[0] == 200
    for one in idle:
        one.close()


def test_beyond_the_bound_connections_are_closed_at_once(server: HealthServer) -> None:
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(health_module.MAX_CONNECTIONS)]
    with socket.create_connection(("127.0.0.1", server.port), timeout=150) as one:
        assert one.recv(1) == b""
    for other in idle:
        other.close()


def test_a_taken_port_is_an_error(server: HealthServer, health: Health) -> None:
    with pytest.raises(OSError, match="in use"):
        HealthServer(health, CollectorRegistry(), host="127.0.0.1", port=server.port)
