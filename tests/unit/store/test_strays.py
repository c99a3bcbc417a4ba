"""Where pods that lost their label are looked for: in namespaces of agents, when there is a reason."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from ringfence.kube import ApiError, Object, path_of
from ringfence.store import strays as module
from ringfence.store.context import PolicyContext
from ringfence.store.records import Key
from ringfence.store.store import Store
from ringfence.store.strays import StrayPods
from unit.fakes.kube import FakeKube
from unit.store.following import until
from unit.store.make import agent

A = Key("ns", "a")
LABELLED = {"ringfence.dev/agent": "a"}


class Place:
    def __init__(self) -> None:
        self.kube, self.store = FakeKube(), Store(PolicyContext())
        self.strays = StrayPods(self.kube, self.store)

    def put(
        self,
        name: str = "ringfence-a-1",
        labels: dict[str, str] | None = None,
        namespace: str = "ns",
        phase: str = "Running",
    ) -> Object:
        spec = {"serviceAccountName": "ringfence-a"}
        body = {"metadata": {"labels": labels or {}}, "spec": spec, "status": {"phase": phase}}
        return self.kube.cluster.put(path_of("v1", "pods", namespace, name), body)

    def remove(self, name: str = "ringfence-a-1") -> None:
        self.kube.cluster.remove(path_of("v1", "pods", "ns", name))

    def told(self) -> list[str]:
        return [one.told for one in self.store.widenings(A)]

    def lists(self) -> list[str]:
        return [one.path.split("/")[4] for one in self.kube.requests if one.verb == "list"]

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.strays.follow())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def turns() -> None:
    """Let all others have many turns."""
    for _ in range(50):
        await asyncio.sleep(0)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(module, "AGAIN", 0)
    monkeypatch.setattr(module, "SHARE", 0)
    monkeypatch.setattr(module, "RETRY_SECONDS", (0,))
    found = Place()
    found.store.agents.observe("ADDED", agent(name="a"))
    return found


async def test_it_begins_with_the_namespaces_of_agents(place: Place) -> None:
    place.store.agents.observe("ADDED", agent(uid="u-b", name="b"))
    place.put()
    place.put("other-1")
    place.put("ringfence-a-2", LABELLED)
    place.put("ringfence-a-3", namespace="elsewhere")
    await place.strays.look()
    assert place.told() == ["Pod ringfence-a-1"]
    assert place.lists() == ["ns"]
    await place.strays.look()
    assert place.lists() == ["ns"], "once"


async def test_what_leaves_the_labelled_ones_is_found_and_followed_to_its_end(place: Place) -> None:
    await place.strays.look()
    async with place.following():
        labelled = place.put(labels=LABELLED)
        place.store.pods.observe("ADDED", labelled)
        await turns()
        assert place.lists() == ["ns"], "nothing at rest"
        place.store.pods.observe("DELETED", labelled | {"metadata": place.put()["metadata"] | {"labels": LABELLED}})
        await until(lambda: place.told() == ["Pod ringfence-a-1"])
        place.remove()
        await until(lambda: place.told() == [])
        await until(lambda: not place.strays._with_strays())


@pytest.mark.parametrize("end", ["its label comes back", "it ends"])
async def test_it_is_not_looked_for_any_more(place: Place, end: str) -> None:
    place.put()
    await place.strays.look()
    async with place.following():
        if end == "it ends":
            place.put(phase="Failed")
        else:
            place.put(labels=LABELLED)
        await until(lambda: place.told() == [])
        await turns()
        before = len(place.lists())
        await turns()
        assert len(place.lists()) == before
    assert len(place.store.wider.unlabelled.items) == (end == "it ends")


async def test_a_comparison_looks_at_all_namespaces_of_agents_and_what_it_finds_is_followed(place: Place) -> None:
    await place.strays.look()
    async with place.following():
        await asyncio.sleep(0)
        place.put()
        await place.strays.look_everywhere()
        assert place.told() == ["Pod ringfence-a-1"]
        place.remove()
        await until(lambda: place.told() == [])


async def test_who_asks_during_a_comparison_is_not_forgotten(place: Place) -> None:
    await place.strays.look()
    async with place.following():
        place.kube.gate.clear()
        place.store.wider.look("one")
        await until(lambda: place.lists() == ["ns", "one"])
        place.store.wider.look("other")
        comparison = asyncio.create_task(place.strays.look_everywhere())
        await until(lambda: place.lists() == ["ns", "one", "ns"])
        place.kube.gate.set()
        await until(lambda: place.lists() == ["ns", "one", "ns", "other"])
        await comparison


async def test_what_fails_is_tried_again_and_told_once(place: Place) -> None:
    place.put()
    place.kube.refuse(ApiError(500, "InternalError", "no"), times=3)
    with pytest.raises(ApiError):
        await place.strays.look()
    with capture_logs() as said:
        async with place.following():
            await until(lambda: place.told() == ["Pod ringfence-a-1"])
    assert [one["event"] for one in said] == ["cannot look for relabelled pods: trying on"]


async def test_only_what_failed_is_asked_for_again(place: Place) -> None:
    """Else a busy API server, of which one answer in seven fails, would never have all namespaces looked at."""
    for number in range(20):
        body = agent(uid=f"u-{number}", name="a")
        body["metadata"]["namespace"] = f"ns-{number}"
        place.store.agents.observe("ADDED", body)
    place.kube.refuse(ApiError(429, "TooManyRequests", "busy"), path=path_of("v1", "pods", "ns-7"), times=1)
    with pytest.raises(ApiError):
        await place.strays.look()
    assert len(place.lists()) == 21
    await place.strays.look()
    assert place.lists()[21:] == ["ns-7"]


async def test_a_surprise_does_not_end_it(place: Place) -> None:
    place.put()
    place.kube.refuse(KeyError("x"), times=1)
    with capture_logs() as said:
        async with place.following():
            await until(lambda: place.told() == ["Pod ringfence-a-1"])
    assert [one["event"] for one in said] == ["a look for relabelled pods broke"]


async def test_many_namespaces_are_looked_at_some_at_a_time(place: Place) -> None:
    for number in range(20):
        body = agent(uid=f"u-{number}", name="a")
        body["metadata"]["namespace"] = f"ns-{number}"
        place.store.agents.observe("ADDED", body)
    place.kube.gate.clear()
    look = asyncio.create_task(place.strays.look())
    await until(lambda: len(place.lists()) == module.AT_ONCE)
    await turns()
    assert len(place.lists()) == module.AT_ONCE
    place.kube.gate.set()
    await look
    assert len(set(place.lists())) == 21


def test_the_first_agent_of_a_namespace_is_a_reason(place: Place) -> None:
    asked: list[str] = []
    place.store.wider.look = asked.append
    place.store.agents.observe("ADDED", agent(uid="u-b", name="b"))
    assert asked == []
    for name in "ab":
        place.store.agents.remove(Key("ns", name), 99)
    place.store.agents.observe("ADDED", agent(100, uid="u-c", name="c"))
    assert asked == ["ns"]
