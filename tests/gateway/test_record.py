"""The record of what went out and what was refused, and the figures: what each says became of a request."""

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from cluster.shell import wait_for
from gateway.declared import gateway
from gateway.keyed import HOST as KEYED
from gateway.keyed import KEY, PLACEHOLDER, REAL
from harness.gateway.client import Client, Reset
from harness.gateway.running import Running
from harness.gateway.world import World
from ringfence.gateway.model import Host, Mode

HOST = "network.egress[].host"
RULES = "network.egress[].rules"
SECRET = "secrets[].delivery.gateway"
PROXY = 3128
HIDDEN = "what-no-record-may-hold"
FIGURE = re.compile(r'envoy_ringfence_egress_requests_total\{host="([^"]*)",verdict="([^"]*)"\} (\d+)')


@pytest.fixture(scope="module")
def running(internet: World) -> Iterator[Running]:
    hosts = (
        Host("h1.test", requests_per_minute=50),
        Host("plain.test", (80,)),
        Host("private.test"),
        Host("expired.test"),
        Host("nowhere.test"),
        Host("other.test", mode=Mode.TUNNEL),
        Host("metadata.test", max_body_bytes=10, websocket=False),
        KEYED,
    )
    made = Running(internet.place, "record", gateway(*hosts, proxy_port=PROXY), internet.authorities)
    made.key(KEY.file, REAL)
    made.start()
    wait_for("a host", lambda: made.client.ask("h1.test/first").status == 200, timeout=60)
    yield made
    made.stop()


def figures(running: Running) -> dict[tuple[str, str], int]:
    """How many of each host and verdict there have been, as a scraper gets it."""
    with running.client.dial(running.gateway.observe_port) as connection:
        connection.sendall(b"GET /stats/prometheus HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        text = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    return {(host, verdict): int(count) for host, verdict, count in FIGURE.findall(text)}


def line(running: Running, path: str) -> dict[str, Any]:
    """The record of the last request with this path."""
    return wait_for(path, lambda: [one for one in running.log() if one.get("path") == path], timeout=60)[-1]


ANSWERED = [
    ("h1.test/yes", {}, 200, {"site": "h1.test:443", "verdict": "allowed", "reason": None, "field": None}),
    ("plain.test:80/plain", {}, 200, {"site": "plain.test:80", "verdict": "allowed"}),
    (
        "api.llm.test/v1/files",
        {},
        403,
        {"site": "api.llm.test:443", "verdict": "refused", "reason": "RequestNotAllowed", "field": RULES},
    ),
    (
        "api.llm.test/any/x",
        {},
        401,
        {"site": "api.llm.test:443", "verdict": "refused", "reason": "KeyNotAllowed", "field": SECRET},
    ),
    ("api.llm.test/any/y", {"headers": {"x-api-key": PLACEHOLDER}}, 200, {"verdict": "allowed"}),
    (
        "private.test/inside",
        {},
        403,
        {"site": "private.test:443", "verdict": "refused", "reason": "AddressNotAllowed", "field": None},
    ),
    ("expired.test/late", {}, 503, {"site": "expired.test:443", "verdict": "failed", "reason": None}),
    ("nowhere.test/where", {}, 503, {"site": "nowhere.test:443", "verdict": "failed"}),
    ("metadata.test/long", {"method": "POST", "body": b"x" * 20}, 413, {"verdict": "limited", "reason": None}),
]


@pytest.mark.parametrize(("url", "more", "status", "told"), ANSWERED, ids=[url for url, *_ in ANSWERED])
def test_the_record_says_what_became_of_a_request_and_what_would_allow_it(
    running: Running, url: str, more: dict[str, Any], status: int, told: dict[str, Any]
) -> None:
    host = url.partition("/")[0].partition(":")[0]
    before = figures(running)
    query = {"expired.test": "", "nowhere.test": ""}.get(host, f"?q={HIDDEN}")
    assert running.client.ask(url + query, **more).status == status
    found = line(running, "/" + url.partition("/")[2])
    assert {key: found[key] for key in told} == told
    assert found["status"] == status
    key = (host, found["verdict"])
    wait_for("the figure", lambda: figures(running).get(key, 0) == before.get(key, 0) + 1, timeout=60)


def test_what_asks_too_often_is_limited(running: Running) -> None:
    wait_for("the bound", lambda: running.client.ask("h1.test/often").status == 429, timeout=60)
    assert wait_for("the record", lambda: line(running, "/often")["status"] == 429, timeout=60)
    assert line(running, "/often")["verdict"] == "limited"


MALFORMED = [
    b"GET /any/%2fx HTTP/1.1\r\nhost: api.llm.test\r\n\r\n",
    b"GET /\x01 HTTP/1.1\r\nhost: api.llm.test\r\n\r\n",
]


@pytest.mark.parametrize("request_", MALFORMED, ids=["escaped slash", "control character"])
def test_what_cannot_be_decided_is_refused(running: Running, request_: bytes) -> None:
    before = len([one for one in running.log() if one.get("reason") == "RequestMalformed"])
    with contextlib.suppress(Reset):
        assert running.client.raw("api.llm.test", request_).status == 400

    def told() -> bool:
        found = [one for one in running.log() if one.get("reason") == "RequestMalformed"]
        return len(found) > before and {one["verdict"] for one in found} == {"refused"}

    wait_for("the record", told, timeout=60)


def test_names_that_are_not_declared_are_one_in_the_figures(running: Running) -> None:
    before = figures(running).get(("undeclared", "refused"), 0)
    for number in range(5):
        with pytest.raises(Reset):
            running.client.tls(f"evil-{number}.test")
        answer = running.client.raw("h1.test", f"GET /u HTTP/1.1\r\nhost: evil-{number}.test\r\n\r\n".encode())
        assert answer.status == 403
    wait_for("the figures", lambda: figures(running)["undeclared", "refused"] == before + 10, timeout=60)
    assert not [host for host, _ in figures(running) if "evil" in host]
    found = [one for one in running.log() if (one.get("sni") or "").startswith("evil-")]
    assert {(one["what"], one["verdict"], one["reason"], one["field"]) for one in found} == {
        ("connection", "refused", "HostNotDeclared", HOST)
    }


def test_a_tunnel_is_one_request_also_through_the_proxy(running: Running, internet: World) -> None:
    far = Client(internet.authorities, running.address)
    before = figures(running).get(("other.test", "allowed"), 0)
    assert far.ask("other.test/x").status == 200
    wait_for("the figure", lambda: figures(running).get(("other.test", "allowed")) == before + 1, timeout=60)
    for authority, status in (("other.test:443", b"200"), ("evil.test:443", b"403")):
        connection = far.dial(PROXY)
        connection.sendall(f"CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n\r\n".encode())
        assert connection.recv(12).endswith(status)
        if status == b"200":
            while not connection.recv(4096).endswith(b"\r\n\r\n"):
                pass
            connection = far.tls("other.test", over=connection)
        connection.close()
    wait_for("the figure", lambda: figures(running).get(("other.test", "allowed")) == before + 2, timeout=60)
    wait_for("the record", lambda: [one for one in running.log() if one.get("host") == "evil.test:443"], timeout=60)
    assert figures(running)["undeclared", "refused"] >= 1


def test_no_credential_and_no_query_is_in_the_record(running: Running) -> None:
    client = running.client
    held = {"authorization": f"Bearer {HIDDEN}", "cookie": HIDDEN, "x-api-key": HIDDEN, "referer": f"http://x/{HIDDEN}"}
    for url in ("h1.test/held", "api.llm.test/any/held", "private.test/held"):
        client.ask(f"{url}?key={HIDDEN}", headers=held)
    line(running, "/any/held")
    wait_for("all three", lambda: len([1 for one in running.log() if one.get("path") == "/held"]) == 2, timeout=60)
    assert HIDDEN not in json.dumps(running.log())
    assert REAL not in json.dumps(running.log())


def test_every_figure_is_of_a_declared_host_and_a_known_verdict(running: Running) -> None:
    declared = {host.name for host in running.gateway.hosts} | {"undeclared"}
    found = figures(running)
    assert {host for host, _ in found} <= declared
    assert {verdict for _, verdict in found} <= {"allowed", "refused", "limited", "failed"}
