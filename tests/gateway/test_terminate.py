"""TLS ends at the gateway: each request is decided by host, method and path."""

import re
import subprocess

import pytest

from cluster.shell import wait_for
from gateway.conftest import Starter
from gateway.declared import gateway
from harness.gateway.client import Client, Reset, read
from harness.gateway.running import Running
from harness.gateway.world import World
from ringfence.gateway.model import Host, Rule


def seen(internet: World, name: str = "api.llm.test", port: int = 443) -> int:
    return len(internet.account(internet.site(name, port), "request"))


def test_a_declared_request_reaches_the_host_and_comes_back(agent: Client, internet: World) -> None:
    answer = agent.ask("api.llm.test/v1/messages?beta=true", "POST", body=b"hello")
    assert answer.status == 200
    told = answer.told
    assert (told["method"], told["target"], told["host"]) == ("POST", "/v1/messages?beta=true", "api.llm.test")
    assert (told["sni"], told["tls"], told["protocol"]) == ("api.llm.test", "TLS 1.3", "HTTP/2.0")
    assert told["bytes"] == 5
    assert [name for name in told["headers"] if name.lower().startswith("x-")] == []


def test_a_host_at_another_port_keeps_its_port(agent: Client) -> None:
    answer = agent.ask("api.llm.test:8443/any/x")
    assert answer.status == 200
    assert answer.told["host"] == "api.llm.test:8443"


def test_a_host_that_speaks_http1_alone(agent: Client) -> None:
    answer = agent.ask("h1.test/x", "DELETE")
    assert (answer.status, answer.told["protocol"]) == (200, "HTTP/1.1")


def test_plain_http_where_port_80_is_declared(agent: Client) -> None:
    answer = agent.ask("plain.test:80/x")
    assert (answer.status, answer.told["tls"]) == (200, "")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/messages"),
        ("POST", "/v1/messages/"),
        ("POST", "/v1/messages/batches"),
        ("POST", "/v1/message"),
        ("POST", "/v1/messagesx"),
        ("POST", "/V1/messages"),
        ("POST", "/v1/models"),
        ("GET", "/v1/modelsx"),
        ("GET", "/"),
        ("PROPFIND", "/v1/models"),
    ],
)
def test_another_method_or_path_is_refused(agent: Client, internet: World, method: str, path: str) -> None:
    before = seen(internet)
    answer = agent.ask(f"api.llm.test{path}", method)
    assert answer.status == 403
    assert answer.headers["content-type"] == "application/json"
    assert answer.error["field"] == "network.egress[].rules"
    assert "POST on /v1/messages" in answer.error["message"]
    assert seen(internet) == before


def test_what_stands_before_the_star_is_not_below_it(agent: Client) -> None:
    assert agent.ask("api.llm.test/any").status == 403


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/", "/v1/models/a/b", "/v1/models?x=1", "/any/", "/any/%41"])
def test_a_path_below_the_declared_one(agent: Client, path: str) -> None:
    assert agent.ask(f"api.llm.test{path}").status == 200


@pytest.mark.parametrize(
    ("path", "reached"),
    [
        ("/v1/models/../messages", None),
        ("/v1/models/%2e%2e/messages", None),
        ("/v1/models/..\\messages", None),
        ("/v1//models", "/v1/models"),
        ("/v1/./models", "/v1/models"),
        ("/v1/other/../models", "/v1/models"),
    ],
)
def test_a_path_is_normalised_before_it_is_decided(agent: Client, path: str, reached: str | None) -> None:
    answer = agent.ask(f"api.llm.test{path}")
    assert answer.status == (200 if reached else 403)
    if reached:
        assert answer.told["target"] == reached


@pytest.mark.parametrize(
    "path",
    [
        "/any/%2f..%2fv1%2ffiles",
        "/any/%5c..%5cfiles",
        "/any/%00",
        "/any/#x",
        "/any/%252e%252e/files",
        "/any/%252f..%252ffiles",
        "/any/%25252e%25252e/x",
        "/any/..;/files",
        "/any/%2e%2e;x=y/files",
        "/any/..%3b/files",
    ],
)
def test_a_path_that_a_host_may_read_otherwise_is_refused(agent: Client, internet: World, path: str) -> None:
    before = seen(internet)
    assert agent.ask(f"api.llm.test{path}").status in {400, 403}
    assert seen(internet) == before


GIT = Host(
    "h1.test",
    rules=(Rule(("GET",), ("/team/repo.git/info/refs",)), Rule(("POST",), ("/team/repo.git/git-upload-pack",))),
)


def test_e22_e23_a_clone_of_one_repository_is_no_push_and_no_other_repository(start: Starter) -> None:
    client = start(gateway(GIT)).client
    refs = "h1.test/team/repo.git/info/refs?service=git-upload-pack"
    wait_for("the host", lambda: client.ask(refs).status == 200, timeout=60)
    assert client.ask("h1.test/team/repo.git/git-upload-pack", "POST", body=b"x").status == 200
    for path in ("/team/repo.git/git-receive-pack", "/team/other.git/git-upload-pack", "/gists", "/graphql"):
        assert client.ask(f"h1.test{path}", "POST", body=b"x").status == 403
    assert client.ask("h1.test/team/other.git/info/refs?service=git-upload-pack").status == 403


def test_trace_is_refused(agent: Client) -> None:
    assert agent.ask("h1.test/x", "TRACE").status == 403


@pytest.mark.parametrize("name", ["other.test", "api.llm.test.evil.test", "llm.test", "x.api.llm.test", "10.96.0.10"])
def test_e1_another_name_is_reset(agent: Client, internet: World, name: str) -> None:
    with pytest.raises(Reset):
        agent.tls(name)
    assert internet.account(internet.site("other.test"), "connection") == []


def test_e4_no_name_is_reset(agent: Client) -> None:
    with pytest.raises(Reset):
        agent.tls(None)


def test_e2_plain_http_to_the_tls_port_is_reset(agent: Client) -> None:
    with agent.dial() as connection:
        connection.sendall(b"GET http://api.llm.test/any/x HTTP/1.1\r\nhost: api.llm.test\r\n\r\n")
        with pytest.raises(Reset):
            read(connection)


def authorities() -> list[bytes]:
    """Spellings of another host, or of this one, that no virtual host may take for a declared one."""
    return [
        b"other.test",
        b"other.test:443",
        b"api.llm.test.",
        b"[api.llm.test]",
        b"api.llm.test:8443",
        b"api.llm.test:443:443",
        b"api.llm.test@other.test",
        b"other.test@api.llm.test",
        b"api.llm.test%00.other.test",
        b"api.llm.test%2eother.test",
        b"203.0.113.11",
        b"[::ffff:203.0.113.11]",
        b"0xcb.0x0.0x71.0xb",
        b"3405803787",
        b"api.llm.test/other.test",
        "\u0430pi.llm.test".encode(),
        b"xn--pi-7kc.llm.test",
        b"api.llm.test, other.test",
        b"",
    ]


@pytest.mark.parametrize("authority", authorities(), ids=lambda one: one.decode())
def test_e5_e7_to_e11_another_host_header_is_refused(agent: Client, internet: World, authority: bytes) -> None:
    before = seen(internet)
    request = b"GET /any/x HTTP/1.1\r\nhost: " + authority + b"\r\n\r\n"
    assert agent.raw("api.llm.test", request).status in {400, 403}
    assert seen(internet) == before
    assert internet.account(internet.site("other.test"), "connection") == []


@pytest.mark.parametrize("authority", [b"api.llm.test", b"API.LLM.test", b"api.llm.test:443"])
def test_spellings_of_the_declared_host_reach_it_in_one_form(agent: Client, authority: bytes) -> None:
    answer = agent.raw("api.llm.test", b"GET /any/x HTTP/1.1\r\nhost: " + authority + b"\r\n\r\n")
    assert (answer.status, answer.told["host"]) == (200, "api.llm.test")


@pytest.mark.parametrize(
    ("request_", "statuses"),
    [
        (b"GET https://other.test/any/x HTTP/1.1\r\nhost: api.llm.test\r\n\r\n", {403}),
        (b"GET /any/x HTTP/1.1\r\nhost: api.llm.test\r\nhost: other.test\r\n\r\n", {400, 403}),
        (b"GET /any/x HTTP/1.1\r\nhost: api.llm.test\x00.other.test\r\n\r\n", {400}),
        (b"GET /any/x HTTP/1.1\r\n\r\n", {400}),
        (b"GET /any/x HTTP/1.0\r\nhost: api.llm.test\r\n\r\n", {426}),
        (b"GET /any/x HTTP/1.1\r\nhost : api.llm.test\r\n\r\n", {400}),
        (b"GET /any/\x00x HTTP/1.1\r\nhost: api.llm.test\r\n\r\n", {400}),
        (b"GET /any/x y HTTP/1.1\r\nhost: api.llm.test\r\n\r\n", {400}),
        (b"post /v1/messages HTTP/1.1\r\nhost: api.llm.test\r\n\r\n", {400}),
        (b"CONNECT other.test:443 HTTP/1.1\r\nhost: other.test:443\r\n\r\n", {403, 404}),
        (b"CONNECT api.llm.test:443 HTTP/1.1\r\nhost: api.llm.test:443\r\n\r\n", {403, 404}),
        (b"GET /any/x HTTP/1.1\r\nhost: api.llm.test\r\nx_under: 1\r\n\r\n", {400}),
    ],
)
def test_requests_of_odd_form_are_refused(agent: Client, internet: World, request_: bytes, statuses: set[int]) -> None:
    before = seen(internet)
    assert agent.raw("api.llm.test", request_).status in statuses
    assert seen(internet) == before


@pytest.mark.parametrize(
    "headers",
    [
        b"content-length: 5\r\ntransfer-encoding: chunked\r\n",
        b"content-length: 5\r\ncontent-length: 6\r\n",
        b"transfer-encoding: chunked, identity\r\n",
        b"transfer-encoding: xchunked\r\n",
        b"transfer-encoding: \x0bchunked\r\n",
        b"content-length: +5\r\n",
        b"content-length: 5 \x00\r\n",
        b"content-length\x00: 5\r\n",
        b" content-length: 5\r\n",
    ],
)
def test_no_request_is_smuggled(agent: Client, internet: World, headers: bytes) -> None:
    before = seen(internet)
    request = (
        b"POST /any/x HTTP/1.1\r\nhost: api.llm.test\r\n" + headers + b"\r\n0\r\n\r\nGET /any/smuggled HTTP/1.1\r\n"
    )
    assert agent.raw("api.llm.test", request).status in {400, 501}
    assert seen(internet) == before


def curl(internet: World, everything: Running, *words: str) -> list[int]:
    """Statuses of all requests, over one HTTP/2 connection where curl keeps it."""
    internet.place.say_hosts(everything.address, "api.llm.test")
    argv = [
        "curl",
        "--silent",
        "--cacert",
        str(everything.bundle),
        "--write-out",
        "\nstatus=%{http_code} new=%{num_connects}\n",
    ]
    whole = internet.place.client([*argv, *words])
    done = subprocess.run(whole, capture_output=True, text=True, check=True, timeout=60)
    found = re.findall(r"status=(\d+) new=(\d+)", done.stdout)
    assert [new for _, new in found] == ["1"] + ["0"] * (len(found) - 1)
    return [int(status) for status, _ in found]


def test_e5_a_later_stream_with_another_authority_is_refused_and_the_connection_lives(
    internet: World, everything: Running
) -> None:
    again = [
        "--next",
        "--silent",
        "--cacert",
        str(everything.bundle),
        "--write-out",
        "\nstatus=%{http_code} new=%{num_connects}\n",
    ]
    url = "https://api.llm.test/any/x"
    statuses = curl(internet, everything, url, *again, "-H", "host: other.test", url, *again, url)
    assert statuses == [200, 403, 200]
    assert internet.account(internet.site("other.test"), "connection") == []


def test_headers_that_steer_a_gateway_do_not_leave(agent: Client) -> None:
    sent = {
        "x-forwarded-for": "10.0.0.1",
        "x-forwarded-host": "other.test",
        "x-envoy-upstream-rq-timeout-ms": "1",
        "x-envoy-retry-on": "5xx",
        "x-envoy-max-retries": "9",
        "x-envoy-original-path": "/x",
        "x-envoy-internal": "true",
        "x-envoy-upstream-alt-stat-name": "x",
        "x-envoy-original-dst-host": "10.0.0.9:443",
        "proxy-authorization": "Basic eDp5",
        "x-request-id": "mine",
    }
    told = agent.ask("api.llm.test/any/x", headers=sent).told
    left = {name.lower(): value for name, value in told["headers"].items() if name.lower().startswith(("x-", "proxy"))}
    assert left == {"x-request-id": ["mine"]}


def test_what_went_out_and_what_was_refused_is_told(agent: Client, everything: Running) -> None:
    agent.ask("api.llm.test/any/told?token=never-logged", headers={"authorization": "Bearer never-logged"})
    agent.ask("api.llm.test/nothing?token=never-logged", "PUT")
    with pytest.raises(Reset):
        agent.tls("told.other.test")

    def lines() -> list[dict[str, object]]:
        found = [
            line
            for line in everything.log()
            if line.get("path") in {"/any/told", "/nothing"} or line["sni"] == "told.other.test"
        ]
        return found if len(found) == 3 else []

    allowed, refused, reset = wait_for("the record", lines, timeout=60)
    assert (allowed["verdict"], allowed["rule"], allowed["site"], allowed["status"]) == (
        "allowed",
        "api.llm.test:443/rules[2]",
        "api.llm.test:443",
        200,
    )
    assert (refused["verdict"], refused["method"], refused["field"]) == ("refused", "PUT", "network.egress[].rules")
    assert (reset["what"], reset["verdict"]) == ("connection", "refused")
    assert "never-logged" not in (everything.place.folder / "everything.out").read_text()
