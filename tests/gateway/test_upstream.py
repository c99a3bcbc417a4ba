"""Behind a corporate proxy: CONNECT to the address that was checked, TLS with the host's name, own credentials."""

import base64
import json
from collections.abc import Iterator

import pytest

from cluster.shell import wait_for
from gateway.conftest import Starter
from gateway.declared import RULES, UPGRADE, gateway
from harness.gateway import room
from harness.gateway.client import Client, Reset
from harness.gateway.corporate import Corporate
from harness.gateway.running import Running
from harness.gateway.world import World
from ringfence.gateway.model import Host, Mode, Upstream

CREDENTIALS = "ringfence:pass word/of+the=proxy"
BASIC = base64.b64encode(CREDENTIALS.encode()).decode()
PORT = 3128
NOBODY = "203.0.113.28"
"""Where nothing listens."""


@pytest.fixture(scope="module")
def corporate(internet: World) -> Iterator[Corporate]:
    """It stands in a private network, as such proxies do."""
    made = Corporate(room.PRIVATE, PORT, CREDENTIALS)
    yield made
    made.close()


@pytest.fixture(scope="module")
def behind(internet: World, corporate: Corporate) -> Iterator[Running]:
    internet.names.set("a.behind.test", room.OTHER)
    internet.names.set("turns.test", room.THIRD)
    hosts = (
        Host("api.llm.test", (443, 8443), rules=RULES),
        Host("h1.test"),
        Host("plain.test", (80,)),
        Host("other.test", mode=Mode.TUNNEL),
        Host("private.test"),
        Host("misnamed.test"),
        Host("turns.test"),
        Host("*.behind.test"),
        Host("*.behind-tunnel.test", mode=Mode.TUNNEL),
    )
    internet.names.set("a.behind-tunnel.test", room.OTHER)
    declared = gateway(*hosts, proxy_port=PORT, upstream=Upstream((room.PRIVATE,), PORT, credentials=True))
    running = Running(internet.place, "behind", declared, internet.authorities)
    running.credentials(CREDENTIALS + "\n")
    running.start()
    wait_for("a host", lambda: running.client.ask("api.llm.test/any/x").status == 200, timeout=60)
    yield running
    running.stop()


@pytest.fixture
def client(behind: Running) -> Client:
    return behind.client


def refusals(running: Running) -> set[tuple[str, int]]:
    """Addresses that the proxy did not connect to, and what it answered, by the record."""
    return {(line["address"], line["status"]) for line in running.log() if line["what"] == "upstream-proxy"}


def test_a_host_is_reached_by_its_checked_address_and_its_name_is_for_tls(client: Client, corporate: Corporate) -> None:
    answer = client.ask("api.llm.test/v1/messages", "POST", body=b"{}")
    assert (answer.status, answer.told["sni"], answer.told["protocol"]) == (200, "api.llm.test", "HTTP/2.0")
    assert client.ask("api.llm.test:8443/any/x").told["host"] == "api.llm.test:8443"
    assert {f"{room.PUBLIC}:443", f"{room.PUBLIC}:8443"} <= set(corporate.targets())
    assert not [one for one in corporate.asked if "test" in one.line + str(one.headers)], "no name to resolve again"


def test_what_is_not_allowed_never_gets_to_the_proxy(client: Client, corporate: Corporate) -> None:
    before = len(corporate.asked)
    assert client.ask("api.llm.test/v1/files").status == 403
    with pytest.raises(Reset):
        client.tls("evil.test")
    assert len(corporate.asked) == before


def test_tunnels_and_hosts_without_tls_go_the_same_way(
    client: Client, behind: Running, internet: World, corporate: Corporate
) -> None:
    answer = client.ask("plain.test:80/x")
    assert (answer.status, answer.told["tls"]) == (200, "")
    assert client.ask("h1.test/x").told["protocol"] == "HTTP/1.1"
    assert Client(internet.authorities, behind.address).ask("other.test/x").told["sni"] == "other.test"
    assert {f"{room.PUBLIC}:80", f"{room.THIRD}:443", f"{room.OTHER}:443"} <= set(corporate.targets())


def test_a_websocket_echoes(client: Client, internet: World) -> None:
    with client.tls("api.llm.test") as connection, connection.makefile("rb") as file:
        connection.sendall(b"GET /ws HTTP/1.1\r\nhost: api.llm.test\r\n" + UPGRADE)
        assert b" 101 " in file.readline()
        while file.readline() != b"\r\n":
            pass
        connection.sendall(b"\x81\x85\x00\x00\x00\x00hello")
        assert file.read(7) == b"\x81\x05hello"


def test_names_below_a_wildcard_are_not_reached_and_the_proxy_is_not_asked(
    client: Client, behind: Running, internet: World, corporate: Corporate
) -> None:
    before = len(corporate.asked)
    answer = client.ask("a.behind.test/x")
    assert (answer.status, answer.error["field"]) == (503, "network.egress[].host")
    assert "declare each name" in answer.error["message"]
    with pytest.raises(Reset):
        Client(internet.authorities, behind.address).tls("a.behind-tunnel.test")

    def told() -> bool:
        return any(line.get("rule") == "*.behind-tunnel.test:443/closed" for line in behind.log())

    wait_for("the record", told, timeout=60)
    assert len(corporate.asked) == before


def test_the_proxy_is_given_the_credentials_and_hosts_are_not(client: Client, corporate: Corporate) -> None:
    answer = client.ask("api.llm.test/any/x", headers={"proxy-authorization": "Basic of-the-agents"})
    assert "roxy-" not in str(answer.told["headers"])
    assert {one.headers["proxy-authorization"] for one in corporate.asked} == {f"Basic {BASIC}"}
    assert {name for one in corporate.asked for name in one.headers} == {"host", "proxy-authorization"}


def test_e15_e16_an_address_inside_is_refused_before_the_proxy_is_asked(
    client: Client, internet: World, corporate: Corporate
) -> None:
    answer = client.ask("private.test/x")
    assert (answer.status, "does not dial" in answer.error["message"]) == (403, True)
    assert client.ask("turns.test/x").status == 503, "it is h1.test that answers there"
    internet.names.set("turns.test", room.METADATA)
    wait_for("a refusal", lambda: client.ask("turns.test/x").status == 403, timeout=60)
    assert not [one for one in corporate.targets() if not one.startswith("203.0.113.")]


def test_a_host_with_anothers_certificate_is_not_asked(client: Client, internet: World, corporate: Corporate) -> None:
    assert client.ask("misnamed.test/x").status == 503
    assert "203.0.113.14:443" in corporate.targets()
    assert internet.account(internet.site("misnamed.test"), "request") == []


@pytest.mark.parametrize("status", [302, 403, 502])
def test_what_the_proxy_refuses_fails_and_is_in_the_record(
    client: Client, behind: Running, internet: World, corporate: Corporate, status: int
) -> None:
    before = len(internet.account(internet.site("misnamed.test"), "connection"))
    corporate.answer = status
    try:
        assert client.ask("misnamed.test/x").status == 503
    finally:
        corporate.answer = 200
    wait_for("the record", lambda: ("203.0.113.14:443", status) in refusals(behind), timeout=60)
    assert len(internet.account(internet.site("misnamed.test"), "connection")) == before


def test_the_credentials_stand_in_no_file_log_or_dump(behind: Running) -> None:
    texts = [
        behind.admin("/config_dump?include_eds"),
        behind.admin("/stats"),
        behind.errors(),
        json.dumps(behind.log()),
    ]
    texts += [path.read_text() for path in behind.config.glob("*.json")]
    assert not [text for text in texts if CREDENTIALS in text or BASIC in text]


@pytest.mark.parametrize(("wrong", "status"), [("ringfence:of-last-month", 407), ("", 401)])
def test_wrong_credentials_fail_and_right_ones_are_taken_up(
    start: Starter, corporate: Corporate, wrong: str, status: int
) -> None:
    upstream = Upstream((room.PRIVATE,), PORT, credentials=True)
    running = start(gateway(Host("h1.test"), upstream=upstream), credentials=wrong)
    wait_for("the record", lambda: _asked(running) and (f"{room.THIRD}:443", status) in refusals(running), timeout=60)
    corporate.asked.clear()
    running.credentials(CREDENTIALS)
    wait_for("the host", lambda: running.client.ask("h1.test/x").status == 200, timeout=60)


def _asked(running: Running) -> bool:
    return running.client.ask("h1.test/x").status == 503


def test_without_the_proxy_nothing_is_reached_and_one_of_several_will_do(start: Starter, internet: World) -> None:
    before = len(internet.account(internet.site("other.test"), "connection"))
    running = start(gateway(Host("other.test"), Host("h1.test"), upstream=Upstream((NOBODY, room.PRIVATE), 3129)))
    tried = (f"{room.OTHER}:443", 503)
    wait_for("the record", lambda: running.client.ask("other.test/x").status and tried in refusals(running), timeout=60)
    assert running.client.ask("other.test/x").status == 503
    assert len(internet.account(internet.site("other.test"), "connection")) == before
    proxy = Corporate(room.PRIVATE, 3129)
    try:
        wait_for("the host", lambda: running.client.ask("other.test/x").status == 200, timeout=60)
        assert running.client.ask("h1.test/x").status == 200
    finally:
        proxy.close()
