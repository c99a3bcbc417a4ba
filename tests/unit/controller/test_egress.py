"""What gateways tell of refusals: read, bounded, counted; and who may tell."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from ringfence.controller.egress import bursts, receiver
from ringfence.controller.egress.bursts import MANY, QUIET, WITHIN, Bursts
from ringfence.controller.egress.reading import MOST_BYTES, Unreadable, reasons
from ringfence.controller.egress.receiver import Receiver, plain, serve
from ringfence.controller.egress.updates import STANDS, Refusing
from ringfence.gateway.log import Reason
from ringfence.gateway.reports import PATH
from ringfence.telemetry.events import AgentName
from ringfence.telemetry.refusals import EgressRefused, EgressRefusedOften, EgressReported, GatewayUpdateRefused

AGENT = AgentName("ns", "a")


def message(*words: str, key: str = "reason") -> bytes:
    told = ExportLogsServiceRequest()
    scope = told.resource_logs.add().scope_logs.add()
    for word in words:
        attribute = scope.log_records.add().attributes.add()
        attribute.key, attribute.value.string_value = key, word
    return told.SerializeToString()


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (message("HostNotDeclared"), {Reason.HOST: 1}),
        (message("HostNotDeclared", "KeyNotAllowed", "HostNotDeclared"), {Reason.HOST: 2, Reason.KEY: 1}),
        (message("Another", "", "-", "HostNotDeclared\n", "x" * 5000), {}),
        (message("HostNotDeclared", key="host"), {}),
        (b"", {}),
    ],
)
def test_reasons_are_of_a_closed_set(body: bytes, found: dict[Reason, int]) -> None:
    assert reasons(body) == found


@pytest.mark.parametrize("body", [b"\xff" * 20, message("HostNotDeclared")[:-3], b"{}", b"GET / HTTP/1.1\r\n\r\n"])
def test_what_is_no_message_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        reasons(body)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ([(0, MANY - 1)], [None]),
        ([(0, MANY)], [MANY]),
        ([(0, MANY - 1), (WITHIN - 1, 1)], [None, MANY]),
        ([(0, MANY - 1), (WITHIN, 1)], [None, None]),
        ([(0, MANY), (1, MANY), (QUIET - 1, MANY), (QUIET, MANY)], [MANY, None, None, 2 * MANY]),
        ([(number * WITHIN, MANY - 1) for number in range(50)], [None] * 50),
    ],
)
def test_a_burst_is_many_within_a_minute_and_said_once_in_an_hour(
    told: list[tuple[float, int]], said: list[int | None]
) -> None:
    found = Bursts()
    assert [found.add(AGENT, "HostNotDeclared", count, now) for now, count in told] == said


def test_bursts_are_counted_for_each_agent_and_reason() -> None:
    found = Bursts()
    assert found.add(AGENT, "HostNotDeclared", MANY - 1, 0) is None
    assert found.add(AGENT, "KeyNotAllowed", MANY - 1, 0) is None
    assert found.add(AgentName("ns", "b"), "HostNotDeclared", MANY - 1, 0) is None
    assert found.add(AGENT, "HostNotDeclared", 1, 0) == MANY


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bursts, "REMEMBERED", 3)
    found = Bursts()
    for number in range(10):
        found.add(AgentName("ns", str(number)), "HostNotDeclared", MANY - 1, 0)
    assert found.add(AgentName("ns", "9"), "HostNotDeclared", 1, 0) == MANY
    assert found.add(AgentName("ns", "0"), "HostNotDeclared", 1, 0) is None


@pytest.mark.parametrize(
    ("address", "found"),
    [("10.0.0.1", "10.0.0.1"), ("::ffff:10.0.0.1", "10.0.0.1"), ("fd00::1", "fd00::1"), ("fe80::1%eth0", "fe80::1")],
)
def test_addresses_are_as_the_api_server_writes_them(address: str, found: str) -> None:
    assert plain(address) == found


class Told(list[Any]):
    def of(self, kind: type) -> list[Any]:
        return [event for event in self if type(event) is kind]


@asynccontextmanager
async def listening(known: bool, told: Told, clock: Callable[[], float] = lambda: 0.0) -> AsyncIterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    made = Receiver(lambda address: (AGENT, "u") if known and address == "127.0.0.1" else None, told.append, clock)
    task = asyncio.create_task(serve(made, port, host="127.0.0.1"))
    async with asyncio.timeout(30):
        while True:
            with suppress(OSError):
                (await asyncio.open_connection("127.0.0.1", port))[1].close()
                break
            await asyncio.sleep(0.01)
    told.clear()
    try:
        yield port
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def post(port: int, body: bytes, *, method: str = "POST", path: str = PATH, length: int | None = None) -> int:
    """The status; 0: the connection was ended."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body) if length is None else length}\r\n\r\n"
    try:
        writer.write(head.encode() + body)
        line = await reader.readline()
        return int(line.split()[1]) if line else 0
    except ConnectionError:
        return 0
    finally:
        writer.close()


async def test_refusals_are_counted_and_a_burst_is_told() -> None:
    told = Told()
    async with listening(True, told) as port:
        assert await post(port, message("HostNotDeclared", "KeyNotAllowed")) == 200
        assert told.of(EgressRefused) == [
            EgressRefused(agent=AGENT, uid="u", rule="HostNotDeclared", count=1),
            EgressRefused(agent=AGENT, uid="u", rule="KeyNotAllowed", count=1),
        ]
        assert told.of(EgressRefusedOften) == []
        assert await post(port, message(*["HostNotDeclared"] * MANY)) == 200
    field = "network.egress[].host"
    assert told.of(EgressRefusedOften) == [
        EgressRefusedOften(agent=AGENT, uid="u", rule="HostNotDeclared", count=MANY + 1, field=field)
    ]
    assert told.of(EgressReported) == [EgressReported("taken")] * 2


async def test_that_a_file_is_not_in_force_is_no_violation_and_learned() -> None:
    told, learned = Told(), list[AgentName]()
    made = Receiver(lambda _: (AGENT, "u"), told.append, not_in_force=learned.append)
    parts: list[Any] = [{"type": "http.request", "body": message("NotInForce", "HostNotDeclared", "NotInForce")}]

    async def receive() -> Any:
        return parts.pop()

    async def send(_: Any) -> None:
        return None

    await made({"method": "POST", "path": PATH, "client": ("10.0.0.1", 1)}, receive, send)
    assert learned == [AGENT]
    assert told.of(GatewayUpdateRefused) == [GatewayUpdateRefused(agent=AGENT, uid="u")]
    assert [event.rule for event in told.of(EgressRefused)] == ["HostNotDeclared"]


def test_what_a_gateway_says_of_itself_stands_for_a_while() -> None:
    now = [0.0]
    refusing = Refusing[str](lambda: now[0])
    assert not refusing.stands("a")
    assert (refusing.say("a"), refusing.say("a")) == (True, False)
    assert (refusing.stands("a"), refusing.stands("b")) == (True, False)
    now[0] = STANDS - 1
    refusing.say("b")
    assert refusing.stands("a")
    now[0] = STANDS
    assert (refusing.stands("a"), refusing.stands("b")) == (False, True)
    assert refusing.say("a")


async def test_a_stranger_is_not_listened_to() -> None:
    told = Told()
    async with listening(False, told) as port:
        assert await post(port, message("HostNotDeclared")) == 0
    assert told == [EgressReported("unknown")]


@pytest.mark.parametrize(
    ("body", "more", "status"),
    [
        (b"\xff" * 20, {}, 400),
        (b"x" * (MOST_BYTES + 1), {}, 400),
        (b"", {"path": "/metrics"}, 404),
        (b"", {"method": "GET"}, 404),
    ],
)
async def test_other_requests_are_refused_and_change_nothing(body: bytes, more: dict[str, Any], status: int) -> None:
    told = Told()
    async with listening(True, told) as port:
        assert await post(port, body, **more) in {status, 0}
        assert await post(port, message("HostNotDeclared")) == 200
    assert len(told.of(EgressRefused)) == 1


async def test_who_sends_nothing_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver, "DEADLINE_SECONDS", 0.2)
    told = Told()
    async with listening(True, told) as port, asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()
        assert await post(port, b"x", length=100) == 408
    assert EgressReported("late") in told


async def test_a_port_that_is_taken_is_no_end(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        await serve(Receiver(lambda _: None, print), taken.getsockname()[1], host="127.0.0.1")
