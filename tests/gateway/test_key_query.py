"""A key in the query: it stands where the placeholder was, and no other byte of the path changes."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from cluster.shell import seconds_until, wait_for
from gateway.declared import UPGRADE, gateway
from gateway.keyed import PLACEHOLDER, RULES
from harness.gateway.client import Client
from harness.gateway.running import Running, swap
from harness.gateway.world import Site, World
from ringfence.gateway.credentials import CARRIER
from ringfence.gateway.model import Gateway, Host, HostSecret, Place

REAL = "sk/real key+98&76=54%32~1-2_3.4"
SENT = "sk%2Freal%20key%2B98%2676%3D54%2532~1-2_3.4"
"""The same with all but the unreserved characters escaped (RFC 3986 section 2.3)."""
KEY = HostSecret(
    "maps/token", PLACEHOLDER, (Place("x-goog-api-key"), Place(query="key"), Place("authorization", "Bearer"))
)
MAPS = Host("api.llm.test", rules=RULES, secret=KEY)
TWICE = Host("twice.test", secret=HostSecret("maps/token", PLACEHOLDER, (Place(query="api_key.v-2"),)))
DEAD = Host("dead.test", secret=HostSecret("maps/token", PLACEHOLDER, (Place(query="key"),)))
OTHERS = (Host("h1.test"), TWICE, DEAD)
SHOWN = f"key={PLACEHOLDER}"
NOBODY = "203.0.113.29"


def declared(host: Host = MAPS) -> Gateway:
    return gateway(host, *OTHERS)


@pytest.fixture(scope="module")
def running(internet: World) -> Iterator[Running]:
    internet.start(Site("twice.test", "203.0.113.25", certified="twice.test"))
    internet.names.set("twice.test", NOBODY, "203.0.113.25")
    internet.names.set("dead.test", NOBODY)
    found = Running(internet.place, "query", declared(), internet.authorities)
    found.key(KEY.file, REAL + "\n")
    found.start()
    wait_for("the host", lambda: found.client.ask(f"api.llm.test/any/x?{SHOWN}").status == 200, timeout=60)
    yield found
    found.stop()


@pytest.fixture
def client(running: Running) -> Client:
    return running.client


@pytest.mark.parametrize(
    "query",
    [
        SHOWN,
        f"alt=sse&{SHOWN}",
        f"{SHOWN}&alt=sse",
        f"a=%26key%3Dx%2f&b=c+d&{SHOWN}&&monkey=1&c=%c3%A9%41&d=?e&f==&g",
        f"{SHOWN}&a={PLACEHOLDER}",
    ],
)
def test_the_key_goes_where_the_placeholder_was_and_no_other_byte_changes(client: Client, query: str) -> None:
    answer = client.ask(f"api.llm.test/any/%41x?{query}")
    assert answer.status == 200, answer.body
    assert answer.told["target"] == f"/any/Ax?{query.replace(SHOWN, f'key={SENT}')}"
    assert not {name.lower() for name in answer.told["headers"]} & {CARRIER, "x-goog-api-key", "authorization"}


@pytest.mark.parametrize(
    "query",
    [
        "",
        "alt=sse",
        "key=attacker",
        f"{SHOWN}x",
        f"{SHOWN}%20",
        f"KEY={PLACEHOLDER}",
        f"k%65y={PLACEHOLDER}",
        f"{SHOWN}&{SHOWN}",
        f"{SHOWN}&key=attacker",
        f"Key=attacker&{SHOWN}",
        f"{SHOWN}&k%65y=attacker",
        f"{SHOWN}&key[0]=attacker",
        f"{SHOWN}&access_token=attacker",
        f"{SHOWN};a=1",
        f"a=1;{SHOWN}",
        f"{SHOWN}&a=%zz",
        f"{SHOWN}&a=%4",
    ],
)
def test_e24_e29_no_key_without_exactly_the_placeholder(client: Client, internet: World, query: str) -> None:
    site = internet.site("api.llm.test")
    before = len(internet.account(site, "request"))
    for more in ({}, {CARRIER: "attacker"}, {CARRIER: PLACEHOLDER}):
        answer = client.ask(f"api.llm.test/any/x?{query}", headers=more)
        assert (answer.status, answer.error["field"]) == (401, "secrets[].delivery.gateway"), answer.body
    assert len(internet.account(site, "request")) == before


@pytest.mark.parametrize("headers", [{"x-goog-api-key": "attacker"}, {"authorization": f"Bearer {PLACEHOLDER}"}])
def test_e24_beside_it_no_header_holds_another(client: Client, headers: dict[str, str]) -> None:
    assert client.ask(f"api.llm.test/any/x?{SHOWN}", headers=headers).status == 401


def test_e24_every_other_place_is_emptied(client: Client) -> None:
    others = {CARRIER: "attacker", "cookie": "attacker", "x-api-key": "attacker", "api-key": "attacker"}
    answer = client.ask(f"api.llm.test/any/x?{SHOWN}", headers=others)
    assert (answer.status, answer.told["target"]) == (200, f"/any/x?key={SENT}")
    assert "attacker" not in answer.body.decode()


def test_a_client_that_has_it_in_a_header_is_served_as_well(client: Client) -> None:
    answer = client.ask("api.llm.test/any/x?alt=sse", headers={"x-goog-api-key": PLACEHOLDER})
    assert (answer.status, answer.told["target"]) == (200, "/any/x?alt=sse")
    assert answer.told["headers"]["X-Goog-Api-Key"] == [REAL]


@pytest.mark.parametrize(
    ("path", "status"),
    [("/v1/files", 403), ("/any/../v1/files", 403), ("/any/x%2fy", 400), ("/v1/messages", 403), ("/anyx", 403)],
)
def test_rules_are_decided_on_the_path_that_the_host_gets(client: Client, path: str, status: int) -> None:
    assert client.ask(f"api.llm.test{path}?{SHOWN}").status == status


def test_the_placeholder_is_worthless_at_another_host(client: Client) -> None:
    assert client.ask(f"h1.test/x?{SHOWN}").told["target"] == f"/x?{SHOWN}"


def test_a_host_that_shows_the_key_in_headers_is_silenced(client: Client) -> None:
    answer = client.ask(f"api.llm.test/any/x?reflect=1&{SHOWN}")
    assert answer.status == 200
    shown = {name: answer.headers[name] for name in ("location", "content-location", "x-seen-key")}
    assert set(shown.values()) == {"[removed by the egress gateway]"}, shown
    assert not [text for text in (REAL, SENT, "98&76") if text in str(answer.headers)]


def test_a_websocket_gets_the_key(client: Client, internet: World) -> None:
    site = internet.site("api.llm.test")
    connection = client.tls("api.llm.test")
    connection.sendall(f"GET /ws?{SHOWN} HTTP/1.1\r\nhost: api.llm.test\r\n".encode() + UPGRADE)
    assert b" 101 " in connection.makefile("rb").readline()
    connection.close()
    assert internet.account(site, "websocket")[-1] == f"/ws?key={SENT}"


def test_what_is_tried_again_has_the_key_too(client: Client) -> None:
    """One of its two addresses answers nobody: half of the requests are tried a second time."""
    for _ in range(8):
        answer = client.ask(f"twice.test/x?a=1&api_key.v-2={PLACEHOLDER}&b=2")
        assert (answer.status, answer.told["target"]) == (200, f"/x?a=1&api_key.v-2={SENT}&b=2")


def test_a_host_that_does_not_answer_shows_nothing(running: Running, client: Client) -> None:
    answer = client.ask(f"dead.test/x?{SHOWN}")
    assert answer.status == 503
    told = f"{answer.headers} {answer.body.decode()}"
    assert not [text for text in (REAL, SENT, PLACEHOLDER) if text in told]


def test_a_rotated_key_is_used_at_once_and_no_request_is_lost(running: Running) -> None:
    client, statuses = running.client, list[int]()

    def arrived(value: str) -> bool:
        answer = client.ask(f"api.llm.test/any/x?{SHOWN}")
        statuses.append(answer.status)
        return answer.status == 200 and answer.told["target"] == f"/any/x?key={value}"

    try:
        running.key(KEY.file, "sk-rotated-1111")
        assert seconds_until("the new key", lambda: arrived("sk-rotated-1111"), every=0.01) < 5
        assert set(statuses) == {200}
    finally:
        running.key(KEY.file, REAL)
        wait_for("the old one", lambda: arrived(SENT), timeout=60)


def test_without_a_value_it_fails_closed(running: Running) -> None:
    client = running.client
    try:
        running.key(KEY.file, "")
        wait_for("a failure", lambda: client.ask(f"api.llm.test/any/x?{SHOWN}").status == 401, timeout=60)
    finally:
        running.key(KEY.file, REAL)
        wait_for("the key again", lambda: client.ask(f"api.llm.test/any/x?{SHOWN}").status == 200, timeout=60)


def test_a_key_taken_away_withdraws_the_route(running: Running) -> None:
    client = running.client
    try:
        swap(running.secrets / "maps", {})
        running.apply(declared(replace(MAPS, rules=())))
        wait_for("the refusal", lambda: client.ask(f"api.llm.test/any/x?{SHOWN}").status == 403, timeout=60)
    finally:
        running.key(KEY.file, REAL)
        running.apply(declared())
        wait_for("the key again", lambda: client.ask(f"api.llm.test/any/x?{SHOWN}").status == 200, timeout=60)


def test_the_key_is_in_no_file_no_record_and_no_dump(running: Running, client: Client) -> None:
    assert client.ask(f"api.llm.test/any/record?a=in-the-query&{SHOWN}").status == 200
    wait_for("the record", lambda: "/any/record" in str(running.log()), timeout=60)
    folder = running.place.folder
    record = (folder / "query.out").read_text() + (folder / "query.err").read_text()
    assert not [text for text in (REAL, SENT, PLACEHOLDER, "in-the-query") if text in record]
    dump = running.admin("/config_dump?include_eds") + running.admin("/stats")
    assert not [text for text in (REAL, SENT) if text in dump]
    for file in (running.config / "..data").iterdir():
        assert REAL not in file.read_text()
