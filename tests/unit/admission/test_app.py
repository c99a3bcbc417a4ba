"""The application over ASGI: status codes, bounds, metrics, log lines."""

import asyncio
import gzip
from typing import Any

import pytest
from structlog.testing import capture_logs

from ringfence.admission import app as app_module
from ringfence.admission.app import Admission
from ringfence.store.context import PolicyContext
from ringfence.telemetry.metrics import REGISTRY
from unit.admission.exchange import BAD, Exchange, sample, send
from unit.admission.make import UID, agent, encoded, review, world


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


async def test_the_log_names_who_and_what_but_no_value() -> None:
    spec = {**BAD, "env": [{"name": "TOKEN", "value": "hunter2"}]}
    with capture_logs() as logs:
        await send(Admission(world()), encoded(review(agent(spec))))
    (entry,) = [one for one in logs if one["event"] == "refused"]
    assert (entry["user"], entry["namespace"], entry["name"]) == ("dev", "team", "researcher")
    assert entry["rules"] == ["ImageNoDigest"]
    assert "hunter2" not in str(logs)
