"""Events: said once, in bounds, and never in the way."""

import pytest
from ringfence.controller.agent.event_recorder import MAX_NOTE, QUIET_SECONDS, Events

from ringfence.api.status import Reason
from ringfence.controller.agent import event_recorder as module
from ringfence.kube import ApiError
from unit.fakes.kube import FakeKube

AGENT = {"metadata": {"name": "a" * 63, "namespace": "ns", "uid": "u"}}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def kube() -> FakeKube:
    return FakeKube()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def events(kube: FakeKube, clock: Clock) -> Events:
    return Events(kube, instance="i" * 300, clock=clock)


async def test_the_same_sentence_is_said_once_in_a_while(events: Events, kube: FakeKube, clock: Clock) -> None:
    for _ in range(3):
        await events.say(AGENT, "Normal", Reason.ACCEPTED, "fine")
    assert len(kube.objects) == 1
    clock.now = QUIET_SECONDS + 1
    await events.say(AGENT, "Normal", Reason.ACCEPTED, "fine")
    assert len(kube.objects) == 2


async def test_other_sentences_and_other_agents_are_said(events: Events, kube: FakeKube) -> None:
    await events.say(AGENT, "Normal", Reason.ACCEPTED, "fine")
    await events.say(AGENT, "Normal", Reason.ACCEPTED, "finer")
    await events.say(AGENT, "Warning", Reason.REFUSED, "fine")
    await events.say({"metadata": AGENT["metadata"] | {"uid": "v"}}, "Normal", Reason.ACCEPTED, "fine")
    assert len(kube.objects) == 4


async def test_an_event_keeps_the_api_servers_bounds(events: Events, kube: FakeKube) -> None:
    await events.say(AGENT, "Warning", Reason.REFUSED, "ä" * 5000)
    (event,) = kube.objects.values()
    assert len(event["note"].encode()) <= MAX_NOTE
    assert len(event["metadata"]["name"]) <= 253
    assert len(event["reportingInstance"]) <= 128
    assert event["regarding"]["uid"] == "u"


async def test_memory_has_a_bound(events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 10)
    for number in range(50):
        await events.say(AGENT, "Normal", Reason.ACCEPTED, str(number))
    assert len(events._said) == 10


async def test_a_failure_is_logged_and_nothing_else(
    events: Events, kube: FakeKube, capsys: pytest.CaptureFixture[str]
) -> None:
    kube.down = True
    await events.say(AGENT, "Normal", Reason.ACCEPTED, "one")
    assert "could not write an Event" in capsys.readouterr().out
    kube.down = False
    kube.refuse(ApiError(403, "Forbidden", "unable to create new content because it is being terminated"))
    await events.say(AGENT, "Normal", Reason.ACCEPTED, "two")
    assert capsys.readouterr().out == "", "a namespace that ends is no trouble"


async def test_a_replica_that_does_not_lead_says_nothing(kube: FakeKube) -> None:
    await Events(kube, instance="i", leading=lambda: False).say(AGENT, "Normal", Reason.ACCEPTED, "fine")
    assert kube.objects == {}
