"""Events: said once, in bounds, and never in the way."""

import asyncio

import pytest

from ringfence.api.status import Reason
from ringfence.kube import ApiError, Conflict, Unreachable
from ringfence.telemetry.events import (
    AgentName,
    ApiServerDoubted,
    ChildRepaired,
    ConditionChanged,
    FinalizersRemoved,
    OverlapEnded,
    PodEnded,
    ServiceRedirected,
)
from ringfence.telemetry.metrics import EVENTS_DROPPED
from ringfence.telemetry.sinks import kubernetes as module
from ringfence.telemetry.sinks.kubernetes import MAX_NOTE, QUIET_SECONDS, KubernetesEventSink
from unit.fakes.clock import Clock
from unit.fakes.kube import FakeKube

AGENT = AgentName("ns", "a" * 63)


def changed(status: str, reason: Reason, message: str, *, uid: str = "u", told: bool = True) -> ConditionChanged:
    about = {"type": "Accepted", "status": status, "previous": None, "reason": str(reason), "message": message}
    return ConditionChanged(agent=AGENT, uid=uid, generation=1, told=told, **about)  # type: ignore[arg-type]


ACCEPTED = changed("True", Reason.ACCEPTED, "fine")


@pytest.fixture
def kube() -> FakeKube:
    return FakeKube()


@pytest.fixture
def clock() -> Clock:
    return Clock(0.0)


@pytest.fixture
def sink(kube: FakeKube, clock: Clock) -> KubernetesEventSink:
    return KubernetesEventSink(kube, instance="i" * 300, clock=clock)


async def say(sink: KubernetesEventSink, *told: object) -> None:
    for event in told:
        sink(event)
    await sink.flush(5)


def dropped() -> float:
    return float(EVENTS_DROPPED._value.get())


async def test_the_same_sentence_is_said_once_in_a_while(
    sink: KubernetesEventSink, kube: FakeKube, clock: Clock
) -> None:
    await say(sink, ACCEPTED, ACCEPTED, ACCEPTED)
    assert len(kube.objects) == 1
    clock.now = QUIET_SECONDS + 1
    await say(sink, ACCEPTED)
    assert len(kube.objects) == 2


async def test_other_sentences_and_other_agents_are_said(sink: KubernetesEventSink, kube: FakeKube) -> None:
    await say(
        sink,
        ACCEPTED,
        changed("True", Reason.ACCEPTED, "finer"),
        changed("False", Reason.REFUSED, "fine"),
        changed("True", Reason.ACCEPTED, "fine", uid="v"),
    )
    assert [(one["type"], one["reason"], one["note"]) for one in kube.objects.values()].count(
        ("Normal", "Accepted", "fine")
    ) == 2
    assert len(kube.objects) == 4
    assert [one["type"] for one in kube.objects.values() if one["reason"] == "Refused"] == ["Warning"]


async def test_only_what_a_person_should_hear_of_is_said(sink: KubernetesEventSink, kube: FakeKube) -> None:
    await say(sink, changed("False", Reason.PROGRESSING, "x", told=False), OverlapEnded(agent=AGENT, secret="s"))
    assert kube.objects == {}


@pytest.mark.parametrize(("rule", "says"), [("ChildEdited", "was edited"), ("ChildDeleted", "was deleted")])
async def test_a_repair_is_said(sink: KubernetesEventSink, kube: FakeKube, rule: str, says: str) -> None:
    await say(sink, ChildRepaired(agent=AGENT, uid="u", kind="Role", name="ringfence-a", rule=rule))
    (event,) = kube.objects.values()
    assert (event["type"], event["reason"]) == ("Warning", "DriftRepaired")
    assert event["note"].startswith(f"Role ringfence-a {says}")


@pytest.mark.parametrize(("finalizers", "says"), [(("a/b",), "finalizer a/b"), (("a/b", "c/d"), "finalizers a/b, c/d")])
async def test_who_kept_a_child_is_said(
    sink: KubernetesEventSink, kube: FakeKube, finalizers: tuple[str, ...], says: str
) -> None:
    await say(
        sink, FinalizersRemoved(agent=AGENT, kind="Role", name="ringfence-a", rule="ChildHeld", finalizers=finalizers)
    )
    (event,) = kube.objects.values()
    assert (event["type"], event["reason"]) == ("Warning", "FinalizerRemoved")
    assert f"{says}: taken off" in event["note"]


async def test_a_pod_that_was_ended_is_said(sink: KubernetesEventSink, kube: FakeKube) -> None:
    for name in ("p", "q"):
        await say(sink, PodEnded(agent=AGENT, uid="u", name=name))
    (event,) = kube.objects.values()
    assert (event["regarding"]["name"], event["type"], event["reason"]) == (AGENT.name, "Warning", "PodEnded")
    assert "an edit of the Deployment" in event["note"]


async def test_a_service_that_leads_elsewhere_is_said(sink: KubernetesEventSink, kube: FakeKube) -> None:
    about = {"service": "tools/search:80", "previous": "app=search:80", "leads_to": "app=ledger:80"}
    await say(sink, ServiceRedirected(agent=AGENT, uid="u", **about))
    (event,) = kube.objects.values()
    assert (event["regarding"]["name"], event["type"], event["reason"]) == (AGENT.name, "Warning", "ServiceRedirected")
    assert "tools/search:80 led to app=search:80, and now leads to app=ledger:80" in event["note"]


async def test_an_address_that_is_not_believed_is_said_of_its_slice(sink: KubernetesEventSink, kube: FakeKube) -> None:
    addresses = tuple(f"192.0.2.{number}:443" for number in range(9))
    await say(sink, ApiServerDoubted(slice="default/kubernetes-x", uid="u", addresses=addresses, why="another"))
    (event,) = kube.objects.values()
    assert event["regarding"] == {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "name": "kubernetes-x",
        "namespace": "default",
        "uid": "u",
    }
    assert (event["metadata"]["namespace"], event["type"], event["reason"]) == ("default", "Warning", "AddressDoubted")
    assert "192.0.2.3:443 and more: another" in event["note"]
    assert "192.0.2.4" not in event["note"]


async def test_what_happens_again_is_counted_in_the_event(sink: KubernetesEventSink, kube: FakeKube) -> None:
    repair = ChildRepaired(agent=AGENT, uid="u", kind="Role", name="ringfence-a", rule="ChildEdited")
    await say(sink, repair)
    for _ in range(19):
        sink(repair)
    await sink.flush(30)
    (event,) = kube.objects.values()
    assert event["series"]["count"] == 20
    writes = len(kube.writes)
    await sink.flush(30)
    assert len(kube.writes) == writes == 2, "a count is written once"


async def test_a_count_of_an_event_that_is_gone_is_no_trouble(sink: KubernetesEventSink, kube: FakeKube) -> None:
    repair = ChildRepaired(agent=AGENT, uid="u", kind="Role", name="ringfence-a", rule="ChildEdited")
    await say(sink, repair)
    kube.cluster.remove(next(iter(kube.objects)))
    await say(sink, repair)
    assert kube.objects == {}


async def test_an_event_keeps_the_api_servers_bounds(sink: KubernetesEventSink, kube: FakeKube) -> None:
    await say(sink, changed("False", Reason.REFUSED, "ä" * 5000))
    (event,) = kube.objects.values()
    assert len(event["note"].encode()) <= MAX_NOTE
    assert len(event["metadata"]["name"]) <= 253
    assert len(event["reportingInstance"]) <= 128
    assert event["regarding"]["uid"] == "u"
    assert event["metadata"]["namespace"] == event["regarding"]["namespace"] == "ns"


async def test_nothing_in_an_event_steers_a_terminal(sink: KubernetesEventSink, kube: FakeKube) -> None:
    await say(sink, changed("False", Reason.REFUSED, "two rules:\n  a\x1b[2J\u202eb\rc\x00"))
    (event,) = kube.objects.values()
    assert event["note"] == "two rules:\n  a\ufffd[2J\ufffdb\ufffdc\ufffd"


async def test_memory_has_a_bound(sink: KubernetesEventSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 10)
    for number in range(50):
        sink(changed("True", Reason.ACCEPTED, str(number)))
    assert len(sink._said) == 10


async def test_what_does_not_fit_into_the_queue_is_dropped_and_counted(
    kube: FakeKube, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAITING", 3)
    before = dropped()
    await say(
        KubernetesEventSink(kube, instance="i"), *(changed("True", Reason.ACCEPTED, str(number)) for number in range(5))
    )
    assert len(kube.objects) == 3
    assert dropped() - before == 2


async def test_what_waits_is_written_in_the_background(sink: KubernetesEventSink, kube: FakeKube) -> None:
    written = asyncio.Event()
    kube.after.append(lambda _: written.set())
    task = asyncio.create_task(sink.run())
    sink(ACCEPTED)
    async with asyncio.timeout(60):
        await written.wait()
    assert len(kube.objects) == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


BUSY = ApiError(429, "TooManyRequests", "busy")
CONFLICT = Conflict(409, "Conflict", "busy")
EXISTS = Conflict(409, "AlreadyExists", "there already")
FORBIDDEN = ApiError(403, "Forbidden", "no")


@pytest.mark.parametrize(
    ("failures", "lost"),
    [([BUSY, CONFLICT], 0), ([Unreachable("away")], 0), ([EXISTS], 0), ([FORBIDDEN], 1), ([BUSY] * module.TRIES, 1)],
    ids=["busy", "away", "there already", "refused", "busy for too long"],
)
async def test_an_event_is_written_again_where_that_may_help(
    sink: KubernetesEventSink,
    kube: FakeKube,
    monkeypatch: pytest.MonkeyPatch,
    failures: list[Exception],
    lost: int,
) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.0)
    monkeypatch.setattr(module, "WRITERS", 1)
    before, left, written = dropped(), list(failures), asyncio.Event()

    def fail(_: object) -> None:
        if left:
            raise left.pop(0)

    kube.before.append(fail)
    kube.after.append(lambda request: written.set() if "next" in str(request.body) else None)
    task = asyncio.create_task(sink.run())
    sink(ACCEPTED)
    sink(changed("True", Reason.ACCEPTED, "next"))  # it is its turn when the first one is decided
    async with asyncio.timeout(150):
        await written.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (left, dropped() - before) == ([], lost)


async def test_what_was_to_be_written_again_is_written_at_the_end_of_the_process(
    sink: KubernetesEventSink, kube: FakeKube
) -> None:
    asked = asyncio.Event()

    def busy(_: object) -> None:
        asked.set()
        raise BUSY

    kube.before.append(busy)
    task = asyncio.create_task(sink.run())
    sink(ACCEPTED)
    async with asyncio.timeout(150):
        await asked.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    kube.allow()
    await sink.flush(5)
    assert len(kube.objects) == 1


async def test_the_end_of_the_process_does_not_wait_for_ever(sink: KubernetesEventSink, kube: FakeKube) -> None:
    kube.gate.clear()
    sink(ACCEPTED)
    await sink.flush(0.01)
    assert kube.objects == {}


async def test_a_failure_is_logged_and_nothing_else(
    sink: KubernetesEventSink, kube: FakeKube, capsys: pytest.CaptureFixture[str]
) -> None:
    before = dropped()
    kube.down = True
    await say(sink, changed("True", Reason.ACCEPTED, "one"))
    assert "could not write an Event" in capsys.readouterr().out
    kube.down = False
    kube.refuse(ApiError(403, "Forbidden", "unable to create new content because it is being terminated"))
    await say(sink, changed("True", Reason.ACCEPTED, "two"))
    assert capsys.readouterr().out == "", "a namespace that ends is no trouble"
    assert dropped() - before == 2


async def test_a_replica_that_does_not_lead_says_nothing(kube: FakeKube) -> None:
    await say(KubernetesEventSink(kube, instance="i", leading=lambda: False), ACCEPTED)
    assert kube.objects == {}
