"""Keys as passwords, paths of presets, and a host whose key cannot be sent."""

import base64
from collections.abc import Iterator
from dataclasses import replace

import pytest

from cluster.shell import wait_for
from gateway.declared import gateway
from gateway.keyed import PLACEHOLDER, REAL
from harness.gateway.client import Client
from harness.gateway.running import Running
from harness.gateway.world import World
from ringfence.gateway.model import Gateway, Host, HostSecret, Place, Rule

USER = "x-access-token"
BASIC = Place("authorization", "Basic", USER)
KEY = HostSecret("git/token", PLACEHOLDER, (BASIC,))
PATTERNS = (
    Rule(("GET",), ("/any/{model}", "/any/models/{model}:generate", "/any/a/{first}/b/{second}")),
    Rule(("POST",), ("/v1/messages",)),
)
GIT = Host("api.llm.test", rules=(Rule(("GET",), ("/any/*",)),), secret=KEY)
CLOSED = "the gateway cannot send secret key: Secret llm is not there"


def declared(closed: str = "") -> Gateway:
    return gateway(replace(GIT, closed=closed), Host("h1.test", rules=PATTERNS))


@pytest.fixture(scope="module")
def running(internet: World) -> Iterator[Running]:
    found = Running(internet.place, "places", declared(), internet.authorities)
    found.key(KEY.file, REAL + "\n")
    found.start()
    wait_for("the host", lambda: found.client.ask("api.llm.test/any/x", headers=shown()).status == 200, timeout=60)
    yield found
    found.stop()


@pytest.fixture
def client(running: Running) -> Client:
    return running.client


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def shown(user: str = USER, password: str = PLACEHOLDER) -> dict[str, str]:
    return {"authorization": basic(user, password)}


def test_a_password_goes_where_the_placeholder_was(client: Client) -> None:
    told = client.ask("api.llm.test/any/x", headers=shown()).told["headers"]
    assert told["Authorization"] == [basic(USER, REAL)]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        shown("somebody"),
        shown(password="attacker"),
        shown(password=PLACEHOLDER + "x"),
        {"authorization": f"Bearer {PLACEHOLDER}"},
        {"authorization": f"Basic {PLACEHOLDER}"},
        {"x-api-key": PLACEHOLDER},
    ],
)
def test_no_password_without_exactly_the_placeholder(client: Client, headers: dict[str, str]) -> None:
    answer = client.ask("api.llm.test/any/x", headers=headers)
    assert (answer.status, answer.error["field"]) == (401, "secrets[].delivery.gateway")


def test_a_host_that_shows_the_password_in_headers_is_silenced(client: Client) -> None:
    answer = client.ask("api.llm.test/any/x?reflect=1", headers=shown())
    assert answer.status == 200
    assert REAL not in str(answer.headers)
    assert basic(USER, REAL).removeprefix("Basic ") not in str(answer.headers)


MATCHES = [
    ("/any/x", True),
    ("/any/x?beta=true", True),
    ("/any/models/gemini-2:generate", True),
    ("/any/a/1/b/2", True),
    ("/any/", False),
    ("/any/x/y", False),
    ("/any/models/gemini-2:other", False),
    ("/any/models/a:b:generate", False),
    ("/any/models/:generate", False),
    ("/any/a/1/b/", False),
    ("/any/a/1/2/b/3", False),
    ("/any/x%2fy", False),
    ("/any/../v1/files", False),
]


@pytest.mark.parametrize(("path", "passes"), MATCHES)
def test_a_word_in_a_path_is_text_within_one_segment(client: Client, path: str, passes: bool) -> None:
    assert (client.ask(f"h1.test{path}").status == 200) is passes


@pytest.mark.parametrize("value", ["sk-a\r\n", "sk-a\n\n", " sk-a", "sk-a "])
def test_a_value_that_the_controller_refuses_reaches_nobody_whole(running: Running, value: str) -> None:
    """What Envoy itself makes of it: at worst the host sees other blanks around it. The controller closes the host."""
    try:
        running.key(KEY.file, value)
        wait_for("another answer", lambda: _sent(running.client) != basic(USER, REAL), timeout=60)
    finally:
        running.key(KEY.file, REAL)
        wait_for("the key again", lambda: _sent(running.client) == basic(USER, REAL), timeout=60)


def _sent(client: Client) -> str | None:
    answer = client.ask("api.llm.test/any/x", headers=shown())
    return answer.told["headers"]["Authorization"][0] if answer.status == 200 else None


def test_a_closed_host_says_why_and_opens_again(running: Running, internet: World) -> None:
    client, site = running.client, internet.site("api.llm.test")
    try:
        running.apply(declared(closed=CLOSED))
        wait_for("the refusal", lambda: client.ask("api.llm.test/any/x", headers=shown()).status == 503, timeout=60)
        before = len(internet.account(site, "request"))
        answer = client.ask("api.llm.test/any/x", headers=shown())
        assert (answer.error["message"], answer.error["field"]) == (CLOSED, "secrets[].delivery.gateway")
        assert len(internet.account(site, "request")) == before
        assert client.ask("h1.test/any/x").status == 200, "the other hosts are served"
    finally:
        running.apply(declared())
        wait_for("the key again", lambda: _sent(client) == basic(USER, REAL), timeout=60)
