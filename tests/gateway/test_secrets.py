"""The agent holds a placeholder; the host gets the key, and nothing else of the agent's that could be one."""

import base64
import json
import subprocess
from collections.abc import Iterator

import pytest

from cluster.shell import seconds_until, wait_for
from gateway.conftest import Starter
from gateway.declared import gateway
from gateway.keyed import HOST, KEY, PLACEHOLDER, REAL
from harness.gateway.client import Answer, Client
from harness.gateway.running import Running, swap
from harness.gateway.world import Site, World
from ringfence.gateway.model import Host

HERE = {"x-api-key": PLACEHOLDER}
OTHERS = (Host("h1.test"), Host("free.test"))
BEARER = {"authorization": f"Bearer {PLACEHOLDER}"}


@pytest.fixture(scope="module")
def keyed(internet: World) -> Iterator[Running]:
    internet.start(Site("free.test", "203.0.113.22", certified="free.test"))
    running = Running(internet.place, "keyed", gateway(HOST, *OTHERS), internet.authorities)
    running.key(KEY.file, REAL + "\n")
    running.start()
    wait_for("the host", lambda: running.client.ask("api.llm.test/any/x", headers=HERE).status == 200, timeout=60)
    yield running
    running.stop()


@pytest.fixture
def client(keyed: Running) -> Client:
    return keyed.client


def credentials(answer: Answer) -> dict[str, list[str]]:
    """Headers that the host got, and that could hold a key."""
    names = {"authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "x-auth-token", "proxy-authorization"}
    return {name.lower(): value for name, value in answer.told["headers"].items() if name.lower() in names}


def test_the_key_goes_where_the_placeholder_was(client: Client) -> None:
    answer = client.ask("api.llm.test/v1/messages", "POST", headers=HERE, body=b"{}")
    assert (answer.status, credentials(answer)) == (200, {"x-api-key": [REAL]})
    answer = client.ask("api.llm.test/v1/messages", "POST", headers=BEARER, body=b"{}")
    assert (answer.status, credentials(answer)) == (200, {"authorization": [f"Bearer {REAL}"]})


ATTACKER = "sk-attacker"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-api-key": ATTACKER},
        {"authorization": f"Bearer {ATTACKER}"},
        {"authorization": f"Basic {base64.b64encode(ATTACKER.encode()).decode()}"},
        {"x-api-key": PLACEHOLDER + "x"},
        {"x-api-key": PLACEHOLDER.upper()},
        {"x-api-key": f"{PLACEHOLDER}, {ATTACKER}"},
        {"authorization": f"bearer {PLACEHOLDER}"},
        {"authorization": PLACEHOLDER},
        {"authorization": f"Bearer  {PLACEHOLDER}"},
        {"api-key": PLACEHOLDER},
        {"x-api-key": PLACEHOLDER, "authorization": f"Bearer {ATTACKER}"},
        {"x-api-key": ATTACKER, "authorization": f"Bearer {PLACEHOLDER}"},
        {"x-api-key": PLACEHOLDER, "authorization": f"Bearer {PLACEHOLDER}"},
        {"x-api-key": PLACEHOLDER, "connection": "x-api-key"},
    ],
)
def test_e24_e29_no_key_without_exactly_the_placeholder(
    client: Client, internet: World, headers: dict[str, str]
) -> None:
    before = len(internet.account(internet.site("api.llm.test"), "request"))
    answer = client.ask("api.llm.test/v1/messages", "POST", headers=headers, body=b"{}")
    if answer.status == 200:  # `connection` names a header that is to go: the key is added after that
        assert headers.get("connection")
        assert credentials(answer) == {"x-api-key": [REAL]}
        return
    assert (answer.status, answer.error["field"]) == (401, "secrets[].delivery.gateway")
    assert len(internet.account(internet.site("api.llm.test"), "request")) == before


def test_e27_of_duplicates_only_the_key_arrives(client: Client) -> None:
    lines = f"x-api-key: {PLACEHOLDER}\r\nx-api-key: {ATTACKER}\r\n"
    answer = client.raw("api.llm.test", f"GET /any/x HTTP/1.1\r\nhost: api.llm.test\r\n{lines}\r\n".encode())
    assert answer.status == 401 or credentials(answer) == {"x-api-key": [REAL]}


def test_e24_every_other_place_is_emptied(client: Client) -> None:
    others = {
        "cookie": f"session={ATTACKER}",
        "api-key": ATTACKER,
        "x-goog-api-key": ATTACKER,
        "x-auth-token": ATTACKER,
        "x-amz-security-token": ATTACKER,
        "proxy-authorization": ATTACKER,
    }
    answer = client.ask("api.llm.test/any/x", headers=HERE | others)
    assert (answer.status, credentials(answer)) == (200, {"x-api-key": [REAL]})
    assert ATTACKER not in str(answer.told["headers"])


@pytest.mark.parametrize(
    "query",
    [
        "key=x",
        "KEY=x",
        "k%65y=x",
        "a=1&api_key=x",
        "a=1;key=x",
        "api-key",
        "access_token=x",
        "+key=x",
        "a&x-goog-api-key=1",
    ],
)
def test_e24_a_query_with_what_could_be_a_key_is_refused(client: Client, query: str) -> None:
    answer = client.ask(f"api.llm.test/any/x?{query}", headers=HERE)
    assert (answer.status, answer.error["field"]) == (401, "secrets[].delivery.gateway")


@pytest.mark.parametrize("query", ["beta=true", "after=a%20b&limit=3", "monkey=1", "a=key", "keys=1"])
def test_an_ordinary_query_arrives(client: Client, query: str) -> None:
    answer = client.ask(f"api.llm.test/any/x?{query}", headers=HERE)
    assert (answer.status, answer.told["target"]) == (200, f"/any/x?{query}")


def test_the_placeholder_is_worthless_at_another_host(client: Client) -> None:
    answer = client.ask("h1.test/x", headers=HERE)
    assert credentials(answer) == {"x-api-key": [PLACEHOLDER]}


def test_the_key_stays_out_of_paths_that_are_not_declared(client: Client) -> None:
    assert client.ask("api.llm.test/v1/files", "POST", headers=HERE, body=b"x").status == 403


@pytest.mark.parametrize("headers", [HERE, BEARER])
def test_a_host_that_shows_the_key_in_headers_is_silenced(client: Client, headers: dict[str, str]) -> None:
    answer = client.ask("api.llm.test/any/x?reflect=1", headers=headers)
    assert answer.status == 200
    assert REAL not in str(answer.headers)
    assert "removed by the egress gateway" in answer.headers["x-seen-inside"]


def test_a_trailer_does_not_arrive(client: Client) -> None:
    request = (
        b"GET /any/x HTTP/1.1\r\nhost: api.llm.test\r\nx-api-key: " + PLACEHOLDER.encode() + b"\r\n"
        b"transfer-encoding: chunked\r\ntrailer: api-key\r\n\r\n1\r\nx\r\n0\r\napi-key: attacker\r\n\r\n"
    )
    answer = client.raw("api.llm.test", request)
    assert (answer.status, answer.told["trailers"]) == (200, {"Api-Key": None})  # announced, and not there


TRAILING = """
const http2 = require("node:http2"), fs = require("node:fs");
const session = http2.connect("https://HOST", {ca: fs.readFileSync(process.argv[1])});
const headers = {":method": "POST", ":path": "/v1/messages", trailer: "api-key", ...HEADERS};
const stream = session.request(headers, {waitForTrailers: true});
stream.on("wantTrailers", () => stream.sendTrailers({"api-key": "attacker"}));
stream.on("data", (part) => process.stdout.write(part));
stream.on("end", () => session.close());
stream.end("{}");
"""


@pytest.mark.parametrize(("host", "arrives"), [("api.llm.test", False), ("free.test", True)])
def test_a_trailer_of_http2_does_not_arrive(keyed: Running, internet: World, host: str, arrives: bool) -> None:
    internet.place.say_hosts(keyed.address, host)
    script = TRAILING.replace("HOST", host).replace("HEADERS", json.dumps(HERE))
    argv = internet.place.client(["node", "-e", script, str(keyed.bundle)])
    told = json.loads(subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120).stdout)
    assert told["bytes"] == 2
    assert told["trailers"] == {"Api-Key": ["attacker"] if arrives else None}


def test_a_websocket_gets_the_key(client: Client, internet: World) -> None:
    connection = client.tls("api.llm.test")
    connection.sendall(
        b"GET /ws HTTP/1.1\r\nhost: api.llm.test\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"authorization: Bearer " + PLACEHOLDER.encode() + b"\r\n\r\n"
    )
    assert b" 101 " in connection.makefile("rb").readline()
    connection.close()


def test_a_rotated_key_is_used_at_once_and_no_request_is_lost(keyed: Running) -> None:
    client, wanted = keyed.client, "sk-rotated-1111111111"
    statuses: list[int] = []

    def arrived() -> bool:
        answer = client.ask("api.llm.test/any/x", headers=HERE)
        statuses.append(answer.status)
        return answer.status == 200 and credentials(answer) == {"x-api-key": [wanted]}

    try:
        keyed.key(KEY.file, wanted)
        assert seconds_until("the new key", arrived, every=0.01) < 5
        assert set(statuses) == {200}
    finally:
        keyed.key(KEY.file, REAL)
        wait_for("the old one", lambda: REAL in str(client.ask("api.llm.test/any/x", headers=HERE).told["headers"]))


@pytest.mark.parametrize("value", [b"", b"sk-a\r\nx-evil: 1", b"sk-a\x00b"])
def test_a_damaged_key_fails_closed_and_recovers(keyed: Running, value: bytes) -> None:
    client = keyed.client
    try:
        keyed.key(KEY.file, value)
        wait_for("a failure", lambda: client.ask("api.llm.test/any/x", headers=HERE).status in {401, 503}, timeout=60)
    finally:
        keyed.key(KEY.file, REAL)
        wait_for("the key again", lambda: client.ask("api.llm.test/any/x", headers=HERE).status == 200, timeout=60)


def test_the_key_is_in_no_file_no_record_and_no_dump(keyed: Running) -> None:
    dump = keyed.admin("/config_dump?include_eds")
    assert REAL not in dump
    assert PLACEHOLDER in dump
    folder = keyed.place.folder
    assert REAL not in (folder / "keyed.out").read_text() + (folder / "keyed.err").read_text()
    assert PLACEHOLDER not in (folder / "keyed.out").read_text()
    for file in (keyed.config / "..data").iterdir():
        assert REAL not in file.read_text()


def test_a_key_taken_away_withdraws_the_route(keyed: Running) -> None:
    """Envoy goes on using the last value of a file that is gone: the controller takes the host's rules away."""
    client = keyed.client
    try:
        swap(keyed.secrets / "llm", {})
        keyed.apply(gateway(Host("api.llm.test", rules=(), secret=KEY), *OTHERS))
        wait_for("the refusal", lambda: client.ask("api.llm.test/any/x", headers=HERE).status == 403, timeout=60)
    finally:
        keyed.key(KEY.file, REAL)
        keyed.apply(gateway(HOST, *OTHERS))
        wait_for("the key again", lambda: client.ask("api.llm.test/any/x", headers=HERE).status == 200, timeout=60)


def test_a_key_that_is_missing_at_the_start_keeps_no_other_host_from_being_served(start: Starter) -> None:
    """An empty folder is what a Secret that is not there (`optional`) leaves. Envoy hears of its first swap before the
    link of the file is there, and takes the key up at the next: the controller has to cause one.
    """
    running = start(gateway(HOST, *OTHERS), {KEY.file: None})
    client = running.client
    wait_for("the other host", lambda: client.ask("h1.test/x").status == 200, timeout=60)
    assert client.ask("api.llm.test/any/x", headers=HERE).status in {401, 503}
    running.key(KEY.file, REAL)
    running.key(KEY.file, REAL)
    for place in (HERE, BEARER):
        wait_for("the key", lambda: client.ask("api.llm.test/any/x", headers=place).status == 200, timeout=60)  # noqa: B023
