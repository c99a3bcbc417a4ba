"""The application over ASGI: status codes, bounds, metrics, log lines."""

import asyncio
import gzip
import json
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from structlog.testing import capture_logs

from ringfence.admission import app as app_module
from ringfence.admission import body as body_module
from ringfence.admission.app import Admission
from ringfence.admission.body import MAX_REVIEW, ByteBudget, announced
from ringfence.store.context import PolicyContext, View
from ringfence.store.sources import NAMESPACE
from ringfence.telemetry.metrics import REGISTRY
from unit.admission.make import IMAGE, UID, agent, encoded, policy, review, world

BAD = {"image": "registry.example/x:1"}


@dataclass
class Exchange:
    """One request and what came back."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""

    @property
    def response(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)["response"]
        return found


async def send(
    app: Admission,
    chunks: bytes | Sequence[bytes],
    *,
    path: str = "/validate",
    method: str = "POST",
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> Exchange:
    parts = iter([chunks] if isinstance(chunks, bytes) else list(chunks))
    exchange = Exchange()

    async def receive() -> dict[str, Any]:
        part = next(parts, None)
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": bool(part) and not isinstance(chunks, bytes)}

    async def take(message: Any) -> None:
        if message["type"] == "http.response.start":
            exchange.status, exchange.headers = message["status"], dict(message["headers"])
        else:
            exchange.body += message["body"]

    await app({"type": "http", "path": path, "method": method, "headers": headers}, receive, take)
    return exchange


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_a_good_review() -> None:
    found = await send(Admission(world()), encoded(review(agent())))
    assert found.status == 200
    assert found.headers[b"content-type"] == b"application/json"
    assert found.headers[b"content-length"] == str(len(found.body)).encode()
    assert b"connection" not in found.headers
    assert found.response == {"uid": UID, "allowed": True}


async def test_a_bad_review() -> None:
    found = await send(Admission(world()), encoded(review(agent(BAD))))
    assert found.status == 200
    assert found.response["allowed"] is False


@pytest.mark.parametrize("data", [b"", b"{", b"[" * 100_000, b'{"request":{"uid":"x","uid":"x"}}', b"\xff", b"null"])
async def test_what_is_not_a_review_is_a_400(data: bytes) -> None:
    found = await send(Admission(world()), data)
    assert found.status == 400
    assert found.headers[b"connection"] == b"close"
    assert b"Traceback" not in found.body


@pytest.mark.parametrize(
    ("path", "method", "status"), [("/", "POST", 404), ("/metrics", "GET", 404), ("/validate", "GET", 405)]
)
async def test_other_requests_get_a_4xx(path: str, method: str, status: int) -> None:
    assert (await send(Admission(world()), b"", path=path, method=method)).status == status


@pytest.mark.parametrize(
    "header",
    [
        (b"content-type", b"text/plain"),
        (b"content-type", b"application/yaml"),
        (b"content-type", b"application/json-patch+json"),
        (b"content-type", b"application/vnd.kubernetes.protobuf"),
        (b"content-type", b"multipart/form-data; boundary=application/json"),
        (b"content-type", b""),
        (b"content-encoding", b"gzip"),
        (b"content-encoding", b"identity, br"),
    ],
)
async def test_a_good_review_that_is_said_to_be_something_else_is_a_415(header: tuple[bytes, bytes]) -> None:
    found = await send(Admission(world()), encoded(review(agent())), headers=[header])
    assert (found.status, found.headers[b"connection"]) == (415, b"close")
    assert found.body.startswith(b"reviews ")


@pytest.mark.parametrize("kind", [b"application/json", b"application/json; charset=utf-8", b"Application/JSON"])
async def test_json_is_json(kind: bytes) -> None:
    headers = [(b"content-type", kind), (b"content-encoding", b"identity")]
    assert (await send(Admission(world()), encoded(review(agent())), headers=headers)).response["allowed"] is True


async def test_a_compressed_review_is_never_unpacked() -> None:
    """Neither with the header nor without: a few kilobytes would become gigabytes."""
    packed = gzip.compress(encoded(review(agent())))
    assert (await send(Admission(world()), packed)).status == 400
    assert (await send(Admission(world()), packed, headers=[(b"content-encoding", b"gzip")])).status == 415


async def test_a_review_in_many_pieces() -> None:
    data = encoded(review(agent()))
    pieces = [data[at : at + 7] for at in range(0, len(data), 7)]
    assert (await send(Admission(world()), [*pieces, b""])).response["allowed"] is True


async def test_a_review_of_six_mebibytes_is_decided() -> None:
    old = agent(annotations={"a": "x" * 3 * 2**20})
    found = await send(Admission(world()), encoded(review(agent(BAD, annotations={"a": "y" * 3 * 2**20}), old)))
    assert "ImageNoDigest" in found.response["status"]["message"]
    assert (await send(Admission(world()), encoded(review(old, old)))).response["allowed"] is True


async def test_a_review_beyond_the_bound_is_refused_by_its_uid() -> None:
    start = b'{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"' + UID.encode() + b'"'
    found = await send(Admission(world()), [start, *[b"x" * 2**20] * 9, b""])
    assert found.status == 200
    assert (found.response["uid"], found.response["allowed"]) == (UID, False)
    assert found.response["status"]["code"] == 413


async def test_endless_nonsense_is_a_400() -> None:
    assert (await send(Admission(world()), [b"x" * 2**20] * 100)).status == 400


async def test_a_client_that_goes_away_gets_no_answer() -> None:
    assert (await send(Admission(world()), [b"{"])).status == 0


async def test_a_client_that_is_too_slow_gets_a_408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "READ_SECONDS", 0.05)
    exchange = Exchange()

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(5)
        raise AssertionError

    async def take(message: Any) -> None:
        exchange.status = message.get("status", exchange.status)

    scope = {"type": "http", "path": "/validate", "method": "POST", "headers": []}
    await Admission(world())(scope, receive, take)
    assert exchange.status == 408


async def test_a_mistake_of_ours_refuses_in_a_plain_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise KeyError("secret-of-the-implementation")

    monkeypatch.setattr(app_module, "judge", broken)
    with capture_logs() as logs:
        found = await send(Admission(world()), encoded(review(agent())))
    assert found.status == 200
    assert found.response["allowed"] is False
    assert found.response["status"]["code"] == 500
    assert b"secret-of" not in found.body
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("a review could not be decided", "error"),
        ("refused", "info"),
    ]


async def test_the_answer_does_not_wait_for_what_is_told_of_it() -> None:
    order: list[str] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": encoded(review(agent())), "more_body": False}

    async def take(message: Any) -> None:
        order.append(message["type"])

    scope = {"type": "http", "path": "/validate", "method": "POST", "headers": []}
    await Admission(world(), emit=lambda event: order.append(type(event).__name__))(scope, receive, take)
    assert order == ["http.response.start", "http.response.body", "ReviewDecided"]


async def test_a_decision_is_told_though_the_answer_cannot_be_sent() -> None:
    told: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": encoded(review(agent())), "more_body": False}

    async def take(_: Any) -> None:
        raise OSError("gone")

    scope = {"type": "http", "path": "/validate", "method": "POST", "headers": []}
    with pytest.raises(OSError, match="gone"):
        await Admission(world(), emit=told.append)(scope, receive, take)
    assert len(told) == 1


async def test_before_the_cluster_was_read_nothing_is_allowed() -> None:
    found = await send(Admission(PolicyContext()), encoded(review(agent())))
    assert found.response["allowed"] is False
    assert found.response["status"]["code"] == 503


async def test_draining_closes_connections_after_their_answer() -> None:
    app = Admission(world())
    app.drain()
    found = await send(app, encoded(review(agent())))
    assert found.response["allowed"] is True
    assert found.headers[b"connection"] == b"close"


class TestLargeReviews:
    """A review of some MiB is decoded and judged apart, so that small ones are answered meanwhile."""

    LARGE = encoded(review(agent(BAD, annotations={"a": "x" * app_module.LARGE})))

    @staticmethod
    def held(
        monkeypatch: pytest.MonkeyPatch, name: str, is_large: Callable[[Any], bool]
    ) -> tuple[threading.Event, threading.Event]:
        """Make a step of large reviews say that it has begun, and wait until it may go on: the two events."""
        begun, go, step = threading.Event(), threading.Event(), getattr(app_module, name)

        def wait_for_it(given: Any, *more: Any) -> Any:
            if is_large(given):
                begun.set()
                assert go.wait(30), "nobody let it go on"
            return step(given, *more)

        monkeypatch.setattr(app_module, name, wait_for_it)
        return begun, go

    @pytest.mark.parametrize("step", ["read", "judge"])
    async def test_small_ones_are_answered_while_a_large_one_is_worked_on(
        self, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        def is_large(given: Any) -> bool:
            return len(given) > app_module.LARGE if step == "read" else "annotations" in given.object["metadata"]

        begun, go = self.held(monkeypatch, step, is_large)
        app = Admission(world())
        large = asyncio.create_task(send(app, self.LARGE))
        try:
            assert await asyncio.to_thread(begun.wait, 30)
            for _ in range(3):
                assert (await self.small(app)).response["allowed"] is True
            assert not large.done()
        finally:
            go.set()
        assert "ImageNoDigest" in (await large).response["status"]["message"]

    @staticmethod
    async def small(app: Admission) -> Exchange:
        """One that says how long it is, as the API server does."""
        body = encoded(review(agent()))
        return await send(app, body, headers=[(b"content-length", str(len(body)).encode())])

    async def test_small_ones_do_not_wait_for_the_memory_that_large_ones_hold(self) -> None:
        app = Admission(world())
        async with app._budget.hold(body_module.BODY_BYTES):
            waiting = asyncio.create_task(send(app, self.LARGE))
            assert (await self.small(app)).response["allowed"] is True
            assert not waiting.done()
        assert (await waiting).response["allowed"] is False

    async def test_one_that_cannot_be_read_is_a_400(self) -> None:
        assert (await send(Admission(world()), b"[" + b"0," * app_module.LARGE)).status == 400

    async def test_the_live_reader_is_asked_about_large_ones_too(self) -> None:
        behind = world()
        behind.observe(NAMESPACE, "MODIFIED", {"metadata": {"name": "team"}})
        large = encoded(review(agent(annotations={"a": "x" * app_module.LARGE})))
        stored = TestLiveReader.Stored(world())
        assert (await send(Admission(behind, stored), large)).response["allowed"] is True


class TestMetrics:
    async def test_a_refusal_is_counted_by_rule_and_namespace(self) -> None:
        labels = {"source": "admission", "rule": "ImageNoDigest", "namespace": "team"}
        before = sample("ringfence_violations_total", **labels)
        asked = sample("ringfence_admission_requests_total", operation="CREATE", allowed="false")
        refused = sample("ringfence_admission_refusals_total", rule="ImageNoDigest")
        await send(Admission(world()), encoded(review(agent(BAD))))
        assert sample("ringfence_violations_total", **labels) == before + 1
        assert sample("ringfence_admission_requests_total", operation="CREATE", allowed="false") == asked + 1
        assert sample("ringfence_admission_refusals_total", rule="ImageNoDigest") == refused + 1

    async def test_a_dry_run_is_not_counted(self) -> None:
        def counted() -> dict[str, float]:
            return {
                f"{one.name}{one.labels}": one.value
                for metric in REGISTRY.collect()
                for one in metric.samples
                if one.name.startswith(("ringfence_violations", "ringfence_admission_re"))
            }

        before = counted()
        found = await send(Admission(world()), encoded(review(agent(BAD), dryRun=True)))
        assert found.response["allowed"] is False
        assert counted() == before

    async def test_namespaces_that_nobody_knows_mint_no_label(self) -> None:
        await send(Admission(world()), encoded(review(agent(namespace="made-up"), namespace="made-up")))
        assert (
            REGISTRY.get_sample_value(
                "ringfence_violations_total",
                {"source": "admission", "rule": "NamespaceNotOpened", "namespace": "made-up"},
            )
            is None
        )


class TestLiveReader:
    class Stored:
        def __init__(self, view: View | None) -> None:
            self.found = view
            self.asked: list[str] = []

        async def view(self, namespace: str, targets: Collection[str] = ()) -> View | None:
            self.asked.append(namespace)
            return self.found

        async def stored(self, namespace: str, name: str) -> Mapping[str, Any] | None:
            raise AssertionError("only of what is scaled")

    async def test_a_namespace_that_was_just_opened_counts(self) -> None:
        stored = self.Stored(world())
        behind = world()
        behind.observe(NAMESPACE, "MODIFIED", {"metadata": {"name": "team"}})
        assert (await send(Admission(behind, stored), encoded(review(agent())))).response["allowed"] is True
        assert stored.asked == ["team"]

    async def test_a_refusal_that_stands_is_a_refusal(self) -> None:
        stored = self.Stored(world())
        assert (await send(Admission(world(), stored), encoded(review(agent(BAD))))).response["allowed"] is False

    async def test_where_nothing_can_be_read_the_cache_decides(self) -> None:
        stored = self.Stored(None)
        assert (await send(Admission(world(), stored), encoded(review(agent(BAD))))).response["allowed"] is False

    async def test_a_yes_is_not_looked_at_twice(self) -> None:
        stored = self.Stored(world())
        await send(Admission(world(), stored), encoded(review(agent())))
        assert stored.asked == []


class TestScale:
    """The API server shows a Scale: the number of pods, and no word of what they are."""

    ALLOWED: ClassVar = policy({"limits": {"perAgent": {"replicas": 3, "cpu": "2"}}})

    @dataclass
    class Stored:
        found: Mapping[str, Any] | None

        async def view(self, namespace: str, targets: Collection[str] = ()) -> View | None:
            return None

        async def stored(self, namespace: str, name: str) -> Mapping[str, Any] | None:
            assert (namespace, name) == ("team", "researcher")
            return self.found

    async def scaled(self, stored: Mapping[str, Any] | None, spec: Mapping[str, Any]) -> dict[str, Any]:
        body = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "researcher"}, "spec": spec}
        asked = review(body, body, subResource="scale")
        return (await send(Admission(world(self.ALLOWED), self.Stored(stored)), encoded(asked))).response

    @pytest.mark.parametrize(
        ("spec", "said"),
        [
            ({"replicas": 2}, None),
            ({}, None),
            ({"replicas": 4}, "ReplicasAbovePolicy"),
            ({"replicas": 3}, "CpuAbovePolicy"),
            ({"replicas": "2"}, "InvalidField"),
            ({"replicas": 101}, "InvalidField"),
        ],
        ids=["within", "to zero", "too many", "too much together", "no number", "more than any has"],
    )
    async def test_it_is_decided_as_a_change_of_the_whole(self, spec: Mapping[str, Any], said: str | None) -> None:
        found = await self.scaled(agent(), spec)
        assert found["allowed"] is (said is None)
        assert (said or "") in found.get("status", {}).get("message", "")

    async def test_what_cannot_be_read_is_not_scaled(self) -> None:
        found = await self.scaled(None, {"replicas": 1})
        assert (found["allowed"], found["status"]["code"]) == (False, 503)

    async def test_without_a_reader_nothing_is_scaled(self) -> None:
        asked = review({"spec": {"replicas": 1}}, {}, subResource="scale")
        assert (await send(Admission(world()), encoded(asked))).response["allowed"] is False

    async def test_a_number_that_stays_locks_nobody_out(self) -> None:
        found = await self.scaled(agent({"image": IMAGE, "replicas": 9}), {"replicas": 9})
        assert found["allowed"] is True
        assert "no longer allowed" in found["warnings"][0]


class TestByteBudget:
    async def test_bodies_wait_for_their_turn_in_order(self) -> None:
        budget, order = ByteBudget(10), []

        async def use(name: str, size: int) -> None:
            async with budget.hold(size):
                order.append(name)
                await asyncio.sleep(0.01)

        await asyncio.gather(use("a", 8), use("b", 8), use("c", 2), use("d", 10))
        assert order == ["a", "b", "c", "d"]

    async def test_one_that_gives_up_lets_the_next_in(self) -> None:
        budget = ByteBudget(10)
        async with budget.hold(10):
            waiting = asyncio.create_task(self._hold(budget, 5))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        async with asyncio.timeout(150), budget.hold(10):
            pass

    async def test_one_that_is_cancelled_as_its_turn_comes_gives_it_back(self) -> None:
        budget = ByteBudget(10)
        async with budget.hold(10):
            waiting = asyncio.create_task(self._hold(budget, 10))
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        async with asyncio.timeout(150), budget.hold(10):
            pass

    @staticmethod
    async def _hold(budget: ByteBudget, size: int) -> None:
        async with budget.hold(size):
            await asyncio.sleep(0)

    async def test_the_budget_holds_at_least_one_review(self) -> None:
        assert body_module.BODY_BYTES >= MAX_REVIEW

    @pytest.mark.parametrize(
        ("length", "held"),
        [(b"17", 17), (b"99999999", MAX_REVIEW), (b"", MAX_REVIEW), (b"-1", MAX_REVIEW), (b"9" * 5000, MAX_REVIEW)],
    )
    def test_what_is_set_aside(self, length: bytes, held: int) -> None:
        assert announced({b"content-length": length}) == held


async def test_the_log_names_who_and_what_but_no_value() -> None:
    spec = {**BAD, "env": [{"name": "TOKEN", "value": "hunter2"}]}
    with capture_logs() as logs:
        await send(Admission(world()), encoded(review(agent(spec))))
    (entry,) = [one for one in logs if one["event"] == "refused"]
    assert (entry["user"], entry["namespace"], entry["name"]) == ("dev", "team", "researcher")
    assert entry["rules"] == ["ImageNoDigest"]
    assert "hunter2" not in str(logs)
