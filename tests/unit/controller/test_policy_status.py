"""The status of an AgentPolicy: how many agents it binds, how many do not fit, since when."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ringfence.controller.agent.errors import NotLeading
from ringfence.controller.policy.reconciler import SECONDS, PolicyReconciler
from ringfence.controller.runtime.loop import Look
from ringfence.kube import ApiError, Object, path_of
from ringfence.store.context import PolicyContext
from ringfence.store.records import Key
from ringfence.store.store import Store
from unit.fakes.kube import FakeKube

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
PATH = path_of("ringfence.dev/v1alpha1", "agentpolicies", name="p")


class Place:
    """A reconciler of policies, and one policy."""

    def __init__(self) -> None:
        self.kube, self.store, self.now, self.leads = FakeKube(), Store(PolicyContext()), NOW, True
        self.reconciler = PolicyReconciler(self.kube, self.store, lambda: self.leads, lambda: self.now)
        self.store.policies.observe("ADDED", self.kube.cluster.put(PATH, {"metadata": {}, "spec": {}}))

    def fit(self, agent: str, *, fits: bool = True, bound: bool = True) -> None:
        names = frozenset({"p"} if bound else ())
        self.store.note_fit(Key("ns", agent), names, frozenset() if fits else names)

    async def one_pass(self) -> Look:
        return await self.reconciler.reconcile("p")

    async def reconcile(self) -> Look:
        """A pass; where something changed, the one that writes it, too."""
        look, now = await self.one_pass(), self.now
        if look != Look(after=SECONDS):
            return look
        self.now = now + timedelta(seconds=SECONDS)
        try:
            return await self.one_pass()
        finally:
            self.now = now

    @property
    def status(self) -> Object:
        found: Object = self.kube.objects[PATH].get("status", {})
        return found


@pytest.fixture
def place() -> Place:
    return Place()


async def test_it_counts(place: Place) -> None:
    assert await place.reconcile() == Look()
    assert place.status == {"observedGeneration": 1, "boundAgents": 0, "violatingAgents": 0}
    place.fit("a")
    place.fit("b", fits=False)
    place.now += timedelta(minutes=1)
    await place.reconcile()
    assert (place.status["boundAgents"], place.status["violatingAgents"]) == (2, 1)
    assert place.status["violatingSince"] == "2026-01-31T12:01:00Z"
    assert [str(one) for one in place.kube.requests] == ["json_patch agentpolicies/p/status"] * 2


async def test_the_time_is_that_of_the_first_until_the_last_is_gone(place: Place) -> None:
    times: list[Any] = []
    for agent, fits in (("a", False), ("b", False), ("a", True), ("b", True), ("b", False)):
        place.fit(agent, fits=fits)
        place.now += timedelta(minutes=1)
        await place.reconcile()
        times.append(place.status.get("violatingSince"))
    first = "2026-01-31T12:01:00Z"
    assert times == [first, first, first, None, "2026-01-31T12:05:00Z"]


async def test_without_news_nothing_is_written(place: Place) -> None:
    await place.reconcile()
    place.now += timedelta(minutes=1)
    assert await place.reconcile() == Look()
    assert len(place.kube.requests) == 1


async def test_a_burst_is_a_few_writes(place: Place) -> None:
    await place.reconcile()
    place.fit("a")
    assert await place.one_pass() == Look(after=SECONDS)
    place.fit("b")
    place.now += timedelta(seconds=1)
    assert await place.one_pass() == Look(after=SECONDS - 1)
    assert len(place.kube.writes) == 1
    place.now += timedelta(seconds=SECONDS - 1)
    assert await place.one_pass() == Look()
    assert place.status["boundAgents"] == 2


async def test_a_new_generation_is_said_to_be_seen(place: Place) -> None:
    await place.reconcile()
    place.store.policies.observe("MODIFIED", await place.kube.merge(PATH, {"spec": {"x": 1}}))
    place.now += timedelta(minutes=1)
    await place.reconcile()
    assert place.status["observedGeneration"] == 2


async def test_its_own_write_wakes_nobody(place: Place) -> None:
    woken: list[str] = []
    place.store.wake_policy = woken.append
    await place.reconcile()
    assert woken == []
    assert place.store.policies.items["p"].status == place.status


async def test_one_that_is_gone_is_forgotten(place: Place) -> None:
    await place.reconcile()
    place.store.policies.items.clear()
    assert await place.reconcile() == Look()
    assert place.reconciler._due == {}
    assert len(place.kube.requests) == 1


@pytest.mark.parametrize("end", ["gone", "another"])
async def test_a_policy_whose_end_was_not_told_yet(place: Place, end: str) -> None:
    if end == "gone":
        place.kube.cluster.remove(PATH)
    else:
        place.kube.objects[PATH]["metadata"]["uid"] = "another"
    assert await place.reconcile() == Look()
    assert place.kube.objects.get(PATH, {}).get("status") is None


async def test_another_failure_is_tried_again(place: Place) -> None:
    place.kube.refuse(ApiError(500, "InternalError", "etcd"), times=1)
    with pytest.raises(ApiError):
        await place.reconcile()
    place.now += timedelta(minutes=1)
    await place.reconcile()
    assert place.status["boundAgents"] == 0


async def test_without_the_lease_nothing_is_written(place: Place) -> None:
    place.leads = False
    with pytest.raises(NotLeading):
        await place.reconcile()
    assert place.kube.requests == []


async def test_a_mistake_is_for_the_log_alone(place: Place) -> None:
    await place.reconciler.failed("p", KeyError("x"))
    assert (place.reconciler.about("p"), place.kube.requests) == ({"policy": "p"}, [])
