"""What comes of the attempts of a table, against listeners of the loopback."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ringfence.gateway.certificates import authority, leaf
from ringfence.packets import trying
from ringfence.packets.listen import Canary
from ringfence.packets.trying import MOST_BYTES, Place, Result, Verdict, judged, message, try_all


def row(do: str, want: str = "open", **more: Any) -> dict[str, Any]:
    return {"id": f"{do} {want} {sorted(more.items())}", "want": want, "why": "a test asks", "do": do, **more}


def one(asked: dict[str, Any], place: Place | None = None, *, settle: float = 0) -> Result:
    (found,) = try_all([asked], place or Place(), seconds=1, settle=settle)
    return found


@pytest.fixture
def canary() -> Iterator[int]:
    with Canary(0, "127.0.0.1") as there:
        end = threading.Event()

        def serve() -> None:
            while not end.is_set():
                there.serve(0.05)

        serving = threading.Thread(target=serve)
        serving.start()
        yield there.port
        end.set()
        serving.join()


@pytest.fixture
def nobody() -> Iterator[int]:
    """A port that nobody listens at, and that nobody else gets meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.parametrize(
    ("want", "sure", "reached", "verdict"),
    [
        ("open", True, True, Verdict.HELD),
        ("open", True, False, Verdict.FAILED),
        ("open", False, False, Verdict.SILENT),
        ("closed", True, False, Verdict.HELD),
        ("closed", True, True, Verdict.FAILED),
        ("closed", False, True, Verdict.FAILED),
        ("closed", False, False, Verdict.SILENT),
        ("closed", True, None, Verdict.UNTRIED),
        ("open", True, None, Verdict.UNTRIED),
    ],
)
def test_what_an_attempt_proves(want: str, sure: bool, reached: bool | None, verdict: Verdict) -> None:
    assert judged(row("connect", want, sure=sure), reached, "").verdict is verdict


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
def test_a_place_that_answers_is_reached(canary: int, protocol: str) -> None:
    at: dict[str, Any] = {"address": "127.0.0.1", "port": canary, "protocol": protocol}
    assert one(row("connect", **at)).verdict is Verdict.HELD
    assert one(row("connect", "closed", **at)).verdict is Verdict.FAILED


def test_a_place_where_nobody_listens_is_not_reached(nobody: int) -> None:
    found = one(row("connect", address="127.0.0.1", port=nobody))
    assert (found.verdict, found.came) == (Verdict.FAILED, "Refused ECONNREFUSED")


def test_an_address_is_taken_from_the_environment(canary: int) -> None:
    asked = row("connect", address="$NODE_ADDRESS", port=canary)
    assert one(asked, Place({"NODE_ADDRESS": "127.0.0.1"})).verdict is Verdict.HELD
    assert one(asked, Place({})).verdict is Verdict.UNTRIED


def test_no_route_is_a_way_that_is_closed() -> None:
    found = one(row("connect", "closed", address="fd00:ec2::254", port=80))
    assert found.verdict is Verdict.HELD


def test_what_does_not_come_out_right_is_tried_again(nobody: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is late: the way is open in the second round."""
    rounds: list[int] = []

    def later(table: Any, place: Place, seconds: float) -> list[Result]:
        rounds.append(len(table))
        return [judged(row, len(rounds) > 1 or row["id"] == "first", "") for row in table]

    monkeypatch.setattr(trying, "_round", later)
    table = [{"id": name, "want": "open", "why": "", "do": "connect"} for name in ("first", "second")]
    found = try_all(table, Place(), seconds=1, settle=5)
    assert [result.verdict for result in found] == [Verdict.HELD, Verdict.HELD]
    assert rounds == [2, 1]


def test_a_file_that_is_there(tmp_path: Path) -> None:
    assert one(row("open", "closed", path=str(tmp_path / "token"))).verdict is Verdict.HELD
    (tmp_path / "token").write_text("x")
    assert one(row("open", "closed", path=str(tmp_path / "token"))).verdict is Verdict.FAILED


class Tls:
    """A server with a certificate for api.example.com."""

    def __init__(self, directory: Path) -> None:
        key, other, now = (
            ec.generate_private_key(ec.SECP256R1()),
            ec.generate_private_key(ec.SECP256R1()),
            datetime.now(UTC),
        )
        signer = authority(key, "team/a", ["api.example.com"], now)
        own = leaf(signer, other, ["api.example.com"], now)
        self.trust, pair = directory / "ca.crt", directory / "pair.pem"
        self.trust.write_bytes(signer.certificate)
        pair.write_bytes(own.certificate + own.key)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pair)


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    return Tls(tmp_path)


@pytest.fixture
def gateway(tls: Tls) -> Iterator[int]:
    class Quiet(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet, bind_and_activate=True) as server:
        server.socket = tls.context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        yield server.server_address[1]
        server.shutdown()
        serving.join()


def test_a_handshake_for_a_name_that_the_gateway_has(gateway: int, tls: Tls) -> None:
    place = Place(trust=tls.trust)
    at: dict[str, Any] = {"address": "127.0.0.1", "port": gateway}
    assert one(row("handshake", host="api.example.com", **at), place).verdict is Verdict.HELD
    stranger = one(row("handshake", "closed", host="not-declared.invalid", **at), place)
    assert (stranger.verdict, stranger.came) == (Verdict.HELD, "TLS: CERTIFICATE_VERIFY_FAILED")


class Api(BaseHTTPRequestHandler):
    """Allows what is about configmaps; has Secrets for whoever asks, if `leaks`."""

    protocol_version = "HTTP/1.1"
    leaks = False

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._say(200 if self.leaks else 403, {"items": []})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        about = asked["spec"]["resourceAttributes"]
        known = self.headers["Authorization"] == "Bearer the-token"
        self._say(201 if known else 401, {"status": {"allowed": about["resource"] == "configmaps"}})

    def _say(self, status: int, body: Any) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@pytest.fixture
def server(tls: Tls) -> Iterator[Place]:
    Api.leaks = False
    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as http:
        http.daemon_threads = True
        http.socket = tls.context.wrap_socket(http.socket, server_side=True, do_handshake_on_connect=False)
        serving = threading.Thread(target=http.serve_forever, args=(0.05,))
        serving.start()
        token = tls.trust.parent / "token"
        token.write_text("the-token\n")
        place = {"KUBERNETES_SERVICE_HOST": "api.example.com", "KUBERNETES_SERVICE_PORT": str(http.server_address[1])}
        yield Place(place, token, tls.trust)
        http.shutdown()
        serving.join()


@pytest.fixture
def by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """api.example.com is the loopback, as an entry of a hosts file would have it."""
    found = socket.create_connection

    def connect(at: tuple[str, int], *args: Any, **more: Any) -> socket.socket:
        return found(("127.0.0.1", at[1]), *args, **more)

    monkeypatch.setattr(socket, "create_connection", connect)


@pytest.mark.usefixtures("by_name")
def test_what_the_api_server_allows(server: Place) -> None:
    reads = {"verb": "list", "resource": "configmaps"}
    found = try_all(
        [
            row("ask", about=reads),
            row("ask", "closed", about=reads),
            row("ask", "closed", about={"verb": "list", "resource": "secrets"}),
            row("read", "closed", path="/api/v1/namespaces/team/secrets?limit=1"),
        ],
        server,
        seconds=5,
        settle=0,
    )
    assert [(one.verdict, one.came) for one in found] == [
        (Verdict.HELD, "allowed"),
        (Verdict.FAILED, "allowed"),
        (Verdict.HELD, "denied"),
        (Verdict.HELD, "403"),
    ]


@pytest.mark.usefixtures("by_name")
def test_secrets_that_are_answered_fail(server: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Api, "leaks", True)
    found = one(row("read", "closed", path="/api/v1/namespaces/team/secrets?limit=1"), server)
    assert (found.verdict, found.came) == (Verdict.FAILED, "200")


def test_without_a_token_nothing_is_said_of_permissions(tmp_path: Path) -> None:
    found = one(row("ask", "closed", about={"verb": "*", "resource": "*"}), Place({}, tmp_path / "none"))
    assert (found.verdict, found.came) == (Verdict.UNTRIED, "no token: ENOENT")


def test_an_api_server_that_does_not_answer_leaves_calls_untried(tls: Tls, nobody: int) -> None:
    token = tls.trust.parent / "token"
    token.write_text("x")
    place = Place({"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(nobody)}, token, tls.trust)
    found = one(row("ask", "closed", about={"verb": "*", "resource": "*"}), place)
    assert (found.verdict, found.came) == (Verdict.UNTRIED, "ECONNREFUSED")


class TestMessage:
    def test_it_says_all_where_it_fits(self) -> None:
        rows = [row("connect", "closed", address="10.0.0.1", port=port) for port in (1, 2)]
        found = [Result(rows[0], Verdict.FAILED, "Answered"), Result(rows[1], Verdict.HELD, "Silent")]
        told = json.loads(message(found, 1.26))
        assert told == {
            "tried": 2,
            "seconds": 1.3,
            "heldNumber": 1,
            "failedNumber": 1,
            "silentNumber": 0,
            "untriedNumber": 0,
            "failed": [[rows[0]["id"], "closed", "Answered", "a test asks"]],
            "untried": [],
            "silent": [],
            "held": [rows[1]["id"]],
        }

    def test_what_failed_stays_when_not_all_fits(self) -> None:
        rows = [row("connect", "closed", address="10.0.0.1", port=port) for port in range(1, 201)]
        found = [Result(one, Verdict.HELD, "Silent") for one in rows[:-1]]
        text = message([*found, Result(rows[-1], Verdict.FAILED, "Answered")], 1)
        told = json.loads(text)
        assert len(text.encode()) <= MOST_BYTES
        assert (told["cut"], told["tried"], told["heldNumber"]) == (True, 200, 199)
        assert [name for name, *_ in told["failed"]] == [rows[-1]["id"]]
