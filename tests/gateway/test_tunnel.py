"""Tunnels, and the proxy listener: names are bound, addresses checked, and nothing undeclared is asked for."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress

import pytest

from cluster.shell import wait_for
from gateway.conftest import Starter
from gateway.declared import API, UPGRADE, gateway
from harness.gateway import room
from harness.gateway.client import Answer, Client, Reset, read
from harness.gateway.running import Running
from harness.gateway.world import Site, World
from ringfence.gateway.model import Host, Mode

PROXY = 3128
WILD = (
    Site("a.wild.test", "203.0.113.20", certified="*.wild.test"),
    Site("b.wild.test", "203.0.113.21", certified="other.test"),
)


@pytest.fixture(scope="module")
def tunnels(internet: World) -> Iterator[Running]:
    internet.start(*WILD)
    internet.names.set("in.wild.test", room.PRIVATE)
    internet.names.set("both.wild.test", "203.0.113.29", room.PRIVATE)
    internet.names.set("in.pipe.test", room.PRIVATE)
    internet.names.set("a.pipe.test", room.OTHER)
    hosts = (
        API,
        Host("other.test", mode=Mode.TUNNEL),
        Host("private.test", mode=Mode.TUNNEL),
        Host("*.wild.test"),
        Host("*.pipe.test", mode=Mode.TUNNEL),
    )
    running = Running(internet.place, "tunnels", gateway(*hosts, proxy_port=PROXY), internet.authorities)
    running.start()
    wait_for("a host", lambda: running.client.ask("api.llm.test/any/x").status == 200, timeout=60)
    yield running
    running.stop()


@pytest.fixture
def client(tunnels: Running) -> Client:
    return tunnels.client


@pytest.fixture
def far(internet: World, tunnels: Running) -> Client:
    """An agent that believes the host itself, not the gateway."""
    return Client(internet.authorities, tunnels.address)


def connect(client: Client, authority: str, version: str = "1.1", more: bytes = b"") -> tuple[socket.socket, int]:
    """The connection after CONNECT, and the status."""
    connection = client.dial(PROXY)
    connection.sendall(f"CONNECT {authority} HTTP/{version}\r\nhost: {authority}\r\n\r\n".encode() + more)
    head = b""
    while b"\r\n\r\n" not in head:
        if not (part := connection.recv(1)):
            raise Reset
        head += part
    return connection, int(head.split()[1])


def through(client: Client, authority: str, sni: str, path: str) -> Answer:
    connection, status = connect(client, authority)
    assert status == 200
    with client.tls(sni, over=connection) as inside:
        inside.sendall(f"GET {path} HTTP/1.1\r\nhost: {sni}\r\n\r\n".encode())
        return read(inside)


def test_tls_goes_through_to_the_host(far: Client, internet: World) -> None:
    answer = far.ask("other.test/x")
    assert (answer.status, answer.told["sni"]) == (200, "other.test")


def test_the_gateways_leaf_is_not_for_a_tunnelled_name(client: Client) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        client.tls("other.test")


def test_e15_e16_a_tunnel_to_an_address_inside_is_not_dialled(far: Client, internet: World, tunnels: Running) -> None:
    before = len(internet.account(internet.site("private.test"), "connection"))
    for name in ("private.test", "in.pipe.test"):
        with pytest.raises(Reset):
            far.tls(name)
    assert len(internet.account(internet.site("private.test"), "connection")) == before

    def told() -> bool:
        lines = [line for line in tunnels.log() if "rbac_access_denied" in (line["details"] or "")]
        return {"private.test:443", "in.pipe.test:443"} <= {line["host"] for line in lines}

    wait_for("the record", told, timeout=60)


def test_connect_leads_to_the_same_decisions(client: Client, far: Client) -> None:
    assert through(client, "api.llm.test:443", "api.llm.test", "/any/x").status == 200
    assert through(client, "api.llm.test:443", "api.llm.test", "/nothing").status == 403
    assert through(far, "other.test:443", "other.test", "/x").status == 200


def test_connect_as_python_3_11_sends_it(client: Client) -> None:
    connection, status = connect(client, "api.llm.test:443", "1.0")
    connection.close()
    assert status == 200


@pytest.mark.parametrize("sni", ["evil.test", "x.api.llm.test", None])
def test_e3_e4_e6_another_name_inside_of_connect_is_reset(client: Client, sni: str | None) -> None:
    connection, status = connect(client, "api.llm.test:443")
    assert status == 200
    with connection, pytest.raises(Reset):
        client.tls(sni, over=connection)


@pytest.mark.parametrize(
    "authority",
    [
        "evil.test:443",
        "api.llm.test:8080",
        "api.llm.test:22",
        "api.llm.test",
        "api.llm.test.:443",
        "[api.llm.test]:443",
        "x@api.llm.test:443",
        "api.llm.test%00.evil.test:443",
        "api.llm.test%2eevil.test:443",
        "203.0.113.11:443",
        "[::ffff:203.0.113.11]:443",
        "0xcb007119:443",
        "wild.test:443",
        "a.wild.test:8443",
        "data.evil.test:443",
    ],
)
def test_e7_to_e12_connect_to_anything_else_is_refused_and_not_asked_for(
    client: Client, internet: World, authority: str
) -> None:
    asked = len(internet.names.queries(["evil.test", "wild.test"]))
    connection, status = connect(client, authority)
    connection.close()
    assert status in {400, 403}
    assert len(internet.names.queries(["evil.test", "wild.test"])) == asked


def test_a_refused_connect_says_what_would_allow_it(client: Client) -> None:
    connection = client.dial(PROXY)
    connection.sendall(b"CONNECT evil.test:443 HTTP/1.1\r\nhost: evil.test:443\r\n\r\n")
    assert read(connection).error["field"] == "network.egress[].host"
    connection.close()


def test_e2_plain_http_through_the_proxy_port_is_refused(client: Client) -> None:
    for url in (b"http://api.llm.test/any/x", b"http://evil.test/", b"https://api.llm.test/any/x"):
        with client.dial(PROXY) as connection:
            connection.sendall(b"GET " + url + b" HTTP/1.1\r\nhost: api.llm.test\r\n\r\n")
            assert read(connection).status == 403


def test_e25_early_data_after_connect_is_refused(client: Client) -> None:
    with client.dial(PROXY) as connection:
        connection.sendall(b"CONNECT api.llm.test:443 HTTP/1.1\r\nhost: api.llm.test:443\r\n\r\nGET / HTTP/1.1\r\n\r\n")
        answer = read(connection)
    assert (answer.status, answer.error["details"]) == (400, "early_connect_data")


def test_a_name_below_a_wildcard(client: Client) -> None:
    answer = wait_for("an answer", lambda: _ok(client, "a.wild.test/x"), timeout=60)
    assert (answer.told["host"], answer.told["sni"]) == ("a.wild.test", "a.wild.test")
    assert through(client, "a.wild.test:443", "a.wild.test", "/x").status == 200


def _ok(client: Client, url: str) -> Answer | None:
    answer = client.ask(url)
    return answer if answer.status == 200 else None


def _soon(client: Client, url: str) -> Answer | None:
    """The same, while the declaration is changed."""
    with suppress(Reset):
        return _ok(client, url)
    return None


def test_a_tunnel_below_a_wildcard(far: Client) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):  # it is other.test that answers there
        far.tls("a.pipe.test")


def test_a_name_below_a_wildcard_with_the_certificate_of_another(client: Client, internet: World) -> None:
    assert client.ask("b.wild.test/x").status == 503
    assert internet.account(WILD[1], "request") == []


def test_e15_e16_a_name_below_a_wildcard_with_an_address_inside(client: Client, internet: World) -> None:
    before = len(internet.account(internet.site("private.test"), "connection"))
    assert client.ask("in.wild.test/x").status == 403
    assert {client.ask("both.wild.test/x").status for _ in range(20)} <= {403, 503}
    assert len(internet.account(internet.site("private.test"), "connection")) == before


def test_names_behind_one_address_share_no_connection(start: Starter, internet: World, tunnels: Running) -> None:
    """Though they share a cluster, and the certificate there is for both."""
    names = ("one.wild.test", "two.wild.test")
    for name in names:
        internet.names.set(name, WILD[0].address)
    client = start(gateway(*map(Host, names))).client
    for name in names * 2:
        answer = wait_for("an answer", lambda: _ok(client, f"{name}/x"), timeout=60)  # noqa: B023
        assert (answer.told["host"], answer.told["sni"]) == (name, name)


def test_a_name_moves_between_a_wildcard_and_a_declaration_of_its_own(
    start: Starter, internet: World, tunnels: Running
) -> None:
    running = start(gateway(Host("*.wild.test")))
    for host in (Host("*.wild.test"), Host("a.wild.test"), Host("a.wild.test", tls_1_2=True)):
        running.apply(gateway(host))
        wait_for("an answer", lambda: _soon(running.client, "a.wild.test/x"), timeout=60)
        websocket = running.client.tls("a.wild.test")
        websocket.sendall(b"GET /ws HTTP/1.1\r\nhost: a.wild.test\r\n" + UPGRADE)
        assert b" 101 " in websocket.makefile("rb").readline()
        websocket.close()


@pytest.mark.parametrize(
    "authority", ["x.y.wild.test", "a.wild.test.evil.test", "a_b.wild.test", "wild.test", "a%2e.wild.test"]
)
def test_e13_a_wildcard_is_for_one_label(client: Client, internet: World, authority: str) -> None:
    asked = set(internet.names.queries(["wild.test"]))
    answer = client.raw("a.wild.test", f"GET /x HTTP/1.1\r\nhost: {authority}\r\n\r\n".encode())
    assert answer.status in {400, 403}
    assert set(internet.names.queries(["wild.test"])) == asked
