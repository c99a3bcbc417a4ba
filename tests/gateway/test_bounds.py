"""What one agent may spend: requests, bytes of a request, connections."""

import contextlib

from cluster.shell import wait_for
from gateway.conftest import Starter
from gateway.declared import gateway
from harness.gateway.client import Client, Reset
from ringfence.gateway.model import Host, Limits, Rule

MOST = 5
BOUNDED = Host("h1.test", requests_per_minute=MOST)
BODIES = Host("api.llm.test", max_body_bytes=1000, websocket=False)


def test_requests_of_a_minute_are_counted_whatever_becomes_of_the_routes(start: Starter) -> None:
    running = start(gateway(BOUNDED, Host("api.llm.test", rules=())))
    client = running.client
    passed = [wait_for("the host", lambda: _passed(client), timeout=60)]
    running.apply(gateway(BOUNDED, Host("api.llm.test")))
    wait_for("the change", lambda: client.ask("api.llm.test/x").status == 200, timeout=60)
    passed += [one for one in (_passed(client) for _ in range(20)) if one]
    assert len(passed) == MOST
    answer = client.ask("h1.test/x")
    assert (answer.status, answer.headers["retry-after"]) == (429, "60")
    assert "in a minute" in answer.error["message"]


def _passed(client: Client) -> bool:
    return client.ask("h1.test/x").status == 200


def test_a_body_is_bounded_whether_it_says_its_length_or_not(start: Starter) -> None:
    client = start(gateway(BODIES)).client
    wait_for("the host", lambda: client.ask("api.llm.test/x", "POST", body=b"x" * 1000).status == 200, timeout=60)
    assert client.ask("api.llm.test/x", "POST", body=b"x" * 1001).status == 413
    chunked = b"POST /x HTTP/1.1\r\nhost: api.llm.test\r\ntransfer-encoding: chunked\r\n\r\n"
    assert client.raw("api.llm.test", chunked + b"7d0\r\n" + b"x" * 2000 + b"\r\n0\r\n\r\n").status == 413


def test_headers_are_bounded(start: Starter) -> None:
    client = start(gateway(Host("h1.test", rules=(Rule(("GET",), ("/*",)),)))).client
    assert client.ask("h1.test/x", headers={"x-long": "x" * 70_000}).status == 431
    assert client.ask("h1.test/x", headers={f"x-{number}": "x" for number in range(120)}).status == 431


def test_connections_are_bounded_and_readiness_is_not(start: Starter) -> None:
    running = start(gateway(Host("h1.test"), limits=Limits(connections=10)))
    with contextlib.ExitStack() as held:
        for _ in range(10):
            held.enter_context(running.client.tls("h1.test"))

        def full() -> bool:
            with contextlib.suppress(Reset):
                running.client.tls("h1.test").close()
                return False
            return True

        wait_for("the bound", full, timeout=60)
        with running.client.dial(running.gateway.observe_port) as connection:
            connection.sendall(b"GET /ready HTTP/1.1\r\nhost: x\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
    wait_for("room again", lambda: not full(), timeout=60)
