"""A changed list is in force at once, and ends no connection."""

import json
import threading
import time
from dataclasses import replace

import pytest

from cluster.shell import seconds_until, wait_for
from gateway.conftest import Starter
from gateway.declared import UPGRADE, gateway
from harness.gateway.client import Client, Reset, read
from harness.gateway.running import Running, swap
from harness.gateway.world import World
from ringfence.gateway import envoy, wildcards
from ringfence.gateway.model import Host, Mode, Rule

SOON = 2.0
ONE = Host("api.llm.test", rules=(Rule(("GET",), ("/events",)),))
TWO = Host("api.llm.test", rules=(Rule(("GET",), ("/events", "/any/*")),))


class Stream(threading.Thread):
    """Events of the host, one each 20 ms, in a thread of their own."""

    def __init__(self, client: Client, count: int) -> None:
        super().__init__(daemon=True)
        self.client, self.count = client, count
        self.came: list[float] = []
        self.sent: list[float] = []
        self.ended = ""

    def run(self) -> None:
        connection = self.client.tls("api.llm.test")
        connection.sendall(f"GET /events?count={self.count}&every=20 HTTP/1.1\r\nhost: api.llm.test\r\n\r\n".encode())
        file = connection.makefile("rb")
        for line in file:
            if line.startswith(b"data: "):
                self.came.append(time.time())
                self.sent.append(json.loads(line[6:])["at"] / 1e6)
            if line == b"0\r\n":
                self.ended = "whole"
                break
        connection.close()


def test_a_changed_route_is_in_force_while_a_stream_lives_on(start: Starter) -> None:
    running = start(gateway(ONE))
    client = running.client
    wait_for("the host", lambda: client.ask("api.llm.test/events?count=1").status == 200, timeout=60)
    stream = Stream(client, 200)
    stream.start()
    wait_for("the stream", lambda: len(stream.came) > 5, timeout=60)
    kept = client.tls("api.llm.test")
    assert _kept(kept, "/any/x") == 403

    running.apply(gateway(TWO))
    assert seconds_until("the new route", lambda: client.ask("api.llm.test/any/x").status == 200, every=0.01) < SOON
    assert _kept(kept, "/any/x") == 200
    running.apply(gateway(ONE))
    assert seconds_until("the route gone", lambda: client.ask("api.llm.test/any/x").status == 403, every=0.01) < SOON
    assert _kept(kept, "/any/x") == 403

    running.apply(gateway(ONE, Host("h1.test")))
    assert seconds_until("the new host", lambda: _reached(running.client), every=0.01) < SOON
    running.apply(gateway(ONE))
    assert seconds_until("the host gone", lambda: _reset(client, "h1.test"), every=0.01) < SOON

    stream.join(30)
    assert (stream.ended, len(stream.came)) == ("whole", 200)
    kept.close()


def test_a_host_that_goes_and_comes_back_is_trusted_by_who_read_the_file_before(start: Starter) -> None:
    running = start(gateway(ONE, Host("h1.test")))
    before = running.folder / "before.pem"
    before.write_bytes(running.bundle.read_bytes())
    client = Client(before, running.address)
    wait_for("the host", lambda: _reached(client), timeout=60)
    running.apply(gateway(ONE))
    assert seconds_until("the host gone", lambda: _reset(client, "h1.test"), every=0.01) < SOON
    running.apply(gateway(ONE, Host("h1.test")))
    assert seconds_until("the host again", lambda: _reached(client), every=0.01) < SOON


def _kept(connection: object, path: str) -> int:
    connection.sendall(f"GET {path} HTTP/1.1\r\nhost: api.llm.test\r\n\r\n".encode())  # type: ignore[attr-defined]
    return read(connection).status  # type: ignore[arg-type]


def _reached(client: Client) -> bool:
    try:
        return client.ask("h1.test/x").status == 200
    except (Reset, OSError):
        return False


def _reset(client: Client, name: str) -> bool:
    try:
        client.tls(name).close()
    except Reset:
        return True
    except OSError:
        return False
    return False


def test_a_bad_update_leaves_the_old_one_in_force_and_is_told(start: Starter) -> None:
    running = start(gateway(ONE))
    client = running.client
    wait_for("the host", lambda: client.ask("api.llm.test/events?count=1").status == 200, timeout=60)
    assert _ready(running) == 200
    files = envoy.files(replace(running.gateway, hosts=(TWO,)))
    bad = json.loads(files["rds-443.json"])
    bad["resources"][0]["virtual_hosts"][0]["routes"].insert(0, {"match": {}, "direct_response": {"status": 99}})
    swap(running.config, files | {"rds-443.json": json.dumps(bad)})
    wait_for(
        "the rejection", lambda: "rejected" in running.errors() or "update_rejected" in running.errors(), timeout=60
    )
    wait_for(
        "the count",
        lambda: running.stats("http.port-443.rds.port-443.")["http.port-443.rds.port-443.update_rejected"] == 1,
        timeout=60,
    )
    wait_for("the answer that it is not ready", lambda: _ready(running) == 503, timeout=60)
    assert client.ask("api.llm.test/events?count=1").status == 200
    assert client.ask("api.llm.test/any/x").status == 403
    running.apply(gateway(TWO))
    assert seconds_until("the good one", lambda: client.ask("api.llm.test/any/x").status == 200) < 5
    assert _ready(running) == 200


@pytest.mark.parametrize("file", ["cds.json", "lds.json", "rds-443.json", "ecds-port-443.json", "ecds-addresses.json"])
def test_a_gateway_is_not_ready_while_a_file_is_not_in_force(start: Starter, file: str) -> None:
    """What is no JSON counts as missing, not as refused, and leaves the one before in force as well."""
    running = start(gateway(ONE))
    files = envoy.files(running.gateway)
    changed = envoy.files(replace(running.gateway, hosts=(TWO, Host("h1.test", tls_1_2=True)), denied=("10.0.0.0/8",)))
    swap(running.config, files | {file: "{", "versions.txt": changed["versions.txt"]})
    wait_for("the answer that it is not ready", lambda: _ready(running) == 503, timeout=60)
    running.apply(gateway(ONE))
    wait_for("the answer that it is ready", lambda: _ready(running) == 200, timeout=60)


def test_a_gateway_is_ready_whatever_it_is_made_of_and_a_port_that_goes_makes_no_difference(start: Starter) -> None:
    hosts = (ONE, Host("other.test", mode=Mode.TUNNEL), Host("plain.test", (80,)))
    running = start(gateway(*hosts, Host("pipe.test", (8444,), Mode.TUNNEL), Host("b.test", (8443,)), proxy_port=3128))
    assert [_ready(running) for _ in range(3)] == [200] * 3
    running.apply(gateway(*hosts, proxy_port=3128))
    wait_for("the change", lambda: running.stats("listener_manager.")["listener_manager.lds.update_success"] == 2)
    running.apply(gateway(ONE))
    wait_for("the change", lambda: running.stats("listener_manager.")["listener_manager.lds.update_success"] == 3)
    assert [_ready(running) for _ in range(3)] == [200] * 3


def _ready(running: Running) -> int:
    """What the kubelet is answered."""
    with running.client.dial(running.gateway.observe_port) as connection:
        connection.sendall(b"GET /ready HTTP/1.1\r\nhost: x\r\n\r\n")
        return read(connection).status


def test_what_is_forgotten_of_a_name_ends_no_stream(start: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wildcards, "_FORGOTTEN_SECONDS", 1)
    running = start(gateway(ONE))
    client = running.client
    wait_for("the host", lambda: client.ask("api.llm.test/events?count=1").status == 200, timeout=60)
    stream = Stream(client, 400)
    stream.start()
    wait_for("the stream", lambda: len(stream.came) > 5, timeout=60)

    def forgotten() -> bool:
        return running.stats("cluster_manager.")["cluster_manager.cluster_removed"] > 0

    wait_for("the name to be forgotten", forgotten, timeout=60)
    assert not stream.ended
    assert client.ask("api.llm.test/events?count=1").status == 200
    stream.join(60)
    assert (stream.ended, len(stream.came)) == ("whole", 400)


def test_events_are_not_held_back(start: Starter) -> None:
    running = start(gateway(ONE))
    client = running.client
    wait_for("the host", lambda: client.ask("api.llm.test/events?count=1").status == 200, timeout=60)
    stream = Stream(client, 50)
    stream.start()
    stream.join(30)
    assert (stream.ended, len(stream.came)) == ("whole", 50)
    assert stream.came[0] < stream.sent[-1]  # the first was here before the host had sent the last


@pytest.mark.parametrize(("name", "port"), [("api.llm.test", 443), ("api.llm.test", 8443), ("h1.test", 443)])
def test_a_websocket_echoes(agent: Client, internet: World, name: str, port: int) -> None:
    before = len(internet.account(internet.site(name, port), "websocket"))
    connection = agent.tls(name, port)
    connection.sendall(f"GET /ws HTTP/1.1\r\nhost: {name}\r\n".encode() + UPGRADE)
    file = connection.makefile("rb")
    assert b" 101 " in file.readline()
    while file.readline() != b"\r\n":
        pass
    connection.sendall(b"\x81\x85\x00\x00\x00\x00hello")
    assert file.read(7) == b"\x81\x05hello"
    connection.close()
    assert len(internet.account(internet.site(name, port), "websocket")) == before + 1


@pytest.mark.parametrize(
    ("name", "status"), [("private.test", 403), ("metadata.test", 403), ("expired.test", 503), ("misnamed.test", 503)]
)
def test_e15_e16_a_websocket_goes_nowhere_that_a_request_does_not(
    agent: Client, internet: World, name: str, status: int
) -> None:
    before = len(internet.account(internet.site(name), "connection"))
    answer = agent.raw(name, f"GET /ws HTTP/1.1\r\nhost: {name}\r\n".encode() + UPGRADE)
    assert answer.status == status
    assert internet.account(internet.site(name), "websocket") == []
    if status == 403:
        assert len(internet.account(internet.site(name), "connection")) == before


def test_a_websocket_on_a_path_that_is_not_declared(agent: Client) -> None:
    upgrade = {
        "upgrade": "websocket",
        "connection": "upgrade",
        "sec-websocket-version": "13",
        "sec-websocket-key": "eA==",
    }
    assert agent.ask("api.llm.test/wsx", headers=upgrade).status == 403
    assert agent.ask("api.llm.test/v1/messages", "POST", headers=upgrade).status == 403
