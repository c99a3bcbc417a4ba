"""The election: never two leaders, whatever happens and in whatever order. Each replica has a clock of its own."""

import asyncio
import random

import pytest

from ringfence.controller.runtime import lease as module
from ringfence.controller.runtime.lease import DURATION, RENEW_DEADLINE, RETRY, Lease
from ringfence.kube import ApiError
from unit.fakes.kube import FakeCluster, FakeKube

PATH = "/apis/coordination.k8s.io/v1/namespaces/ns/leases/x"


class Replica:
    """A candidate with its own clock and its own way to the API server."""

    def __init__(self, name: str, store: FakeCluster, skew: float = 0.0) -> None:
        self.now = skew
        self.kube = FakeKube(store)
        self.lease = Lease(self.kube, namespace="ns", name="x", identity=name, clock=lambda: self.now)

    async def look(self) -> bool:
        """One look, as `acquire` and `keep` do it every two seconds."""
        taken = await self.lease._try()
        if taken:
            self.lease._leads = True
        return taken

    @property
    def leading(self) -> bool:
        return self.lease.leading


@pytest.fixture
def store() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def pair(store: FakeCluster) -> tuple[Replica, Replica]:
    return Replica("one", store), Replica("two", store, skew=1e6)


async def pass_time(seconds: float, *replicas: Replica) -> None:
    for replica in replicas:
        replica.now += seconds


async def test_the_first_one_leads(pair: tuple[Replica, Replica]) -> None:
    one, two = pair
    assert await one.look()
    assert not await two.look()
    assert (one.leading, two.leading) == (True, False)


async def test_a_leader_that_renews_stays(pair: tuple[Replica, Replica]) -> None:
    one, two = pair
    await one.look()
    for _ in range(50):
        await pass_time(RETRY, one, two)
        assert await one.look()
        assert not await two.look()
    assert one.leading


async def test_a_leader_that_is_gone_is_followed_after_the_duration(pair: tuple[Replica, Replica]) -> None:
    one, two = pair
    await one.look()
    await two.look()
    await pass_time(DURATION - 0.1, one, two)
    assert not one.leading, "it stopped well before"
    assert not await two.look()
    await pass_time(0.2, one, two)
    assert await two.look()
    assert two.leading


async def test_a_leader_without_the_api_server_stops_before_another_may_begin(pair: tuple[Replica, Replica]) -> None:
    one, two = pair
    await one.look()
    await two.look()
    one.kube.down = True
    for _ in range(int(DURATION / 0.5) + 2):
        await pass_time(0.5, one, two)
        await one.look()
        await two.look()
        assert not (one.leading and two.leading)
    assert two.leading
    one.kube.down = False
    assert not await one.look()
    assert not one.lease._leads


async def test_an_outage_for_all_ends_with_the_same_leader(pair: tuple[Replica, Replica]) -> None:
    one, two = pair
    await one.look()
    one.kube.down = two.kube.down = True
    for _ in range(30):
        await pass_time(RETRY, one, two)
        assert not await one.look()
        assert not await two.look()
    assert not one.leading
    one.kube.down = two.kube.down = False
    assert await one.look()
    assert one.leading


async def test_a_released_lease_is_taken_at_once(pair: tuple[Replica, Replica]) -> None:
    one, two = pair
    await one.look()
    await two.look()
    await one.lease.release()
    assert not one.leading
    assert await two.look()


async def test_a_release_never_takes_anothers_lease_away(pair: tuple[Replica, Replica], store: FakeCluster) -> None:
    one, _ = pair
    await one.look()
    store.objects[PATH]["spec"]["holderIdentity"] = "two"
    await one.lease.release()
    assert store.objects[PATH]["spec"]["holderIdentity"] == "two"


async def test_a_lease_that_somebody_gave_away_is_lost_at_once(
    pair: tuple[Replica, Replica], store: FakeCluster
) -> None:
    one, _ = pair
    await one.look()
    store.objects[PATH]["spec"]["holderIdentity"] = "two"
    assert not await one.look()
    assert not one.leading


async def test_a_deleted_lease_is_made_again_by_its_holder_only(
    pair: tuple[Replica, Replica], store: FakeCluster
) -> None:
    one, two = pair
    await one.look()
    await two.look()
    store.remove(PATH)
    assert not await two.look(), "its holder may be writing still"
    assert await one.look()
    assert one.leading
    store.remove(PATH)
    await pass_time(DURATION + 1, one, two)
    assert await two.look(), "but not for ever"


async def test_the_time_written_in_the_lease_means_nothing(pair: tuple[Replica, Replica], store: FakeCluster) -> None:
    one, two = pair
    await one.look()
    for stamp in ("1970-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z"):
        store.objects[PATH]["spec"]["renewTime"] = stamp
        assert not await two.look()
    await pass_time(DURATION + 1, two)
    assert await two.look()


async def test_a_holder_that_asks_for_more_time_gets_it(pair: tuple[Replica, Replica], store: FakeCluster) -> None:
    one, two = pair
    await one.look()
    store.objects[PATH]["spec"]["leaseDurationSeconds"] = 60
    assert not await two.look()
    await pass_time(DURATION + 1, two)
    assert not await two.look()
    await pass_time(45, two)
    assert await two.look()


async def test_a_lost_race_is_no_leadership(pair: tuple[Replica, Replica], store: FakeCluster) -> None:
    one, two = pair
    assert sorted(await asyncio.gather(one.look(), two.look())) == [False, True]
    holder = store.objects[PATH]["spec"]["holderIdentity"]
    assert (one.leading, two.leading) == (holder == "one", holder == "two")


async def test_a_refusal_is_survived(pair: tuple[Replica, Replica]) -> None:
    one, _ = pair
    one.kube.refuse(ApiError(403, "Forbidden", "no"))
    assert not await one.look()
    one.kube.allow()
    assert await one.look()


async def test_a_look_does_not_hang(pair: tuple[Replica, Replica], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RENEW_DEADLINE", 0.02)
    one, _ = pair
    one.kube.gate.clear()
    assert not await one.look()


async def test_the_same_identity_takes_its_own_lease(store: FakeCluster) -> None:
    """A container that was restarted in its pod."""
    assert await Replica("one", store).look()
    assert await Replica("one", store).look()


async def test_transitions_are_counted(pair: tuple[Replica, Replica], store: FakeCluster) -> None:
    one, two = pair
    await one.look()
    await one.look()
    await one.lease.release()
    await two.look()
    spec = store.objects[PATH]["spec"]
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("two", 1)


@pytest.mark.parametrize("seed", range(20))
async def test_never_two_whatever_happens(seed: int, store: FakeCluster) -> None:
    """Outages of each alone, pauses of a process, releases, in any order; clocks that share nothing but their pace."""
    dice = random.Random(seed)
    replicas = [Replica(f"r{number}", store, skew=dice.uniform(-1e6, 1e6)) for number in range(3)]
    asleep = dict.fromkeys(range(3), 0.0)
    for _ in range(400):
        step = dice.uniform(0.1, 3.0)
        await pass_time(step, *replicas)
        for number, replica in enumerate(replicas):
            asleep[number] = max(0.0, asleep[number] - step)
            chance = dice.random()
            if chance < 0.02:
                asleep[number] = dice.uniform(1, 40)
            elif chance < 0.06:
                replica.kube.down = not replica.kube.down
            elif chance < 0.07 and not asleep[number]:
                await replica.lease.release()
            if not asleep[number]:
                await replica.look()
            assert sum(one.leading for one in replicas) <= 1
    assert RENEW_DEADLINE < DURATION


async def test_keep_ends_when_the_lease_is_lost_and_tells_when_it_is_back(
    pair: tuple[Replica, Replica], store: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY", 0.001)
    one, _ = pair
    assert await one.lease.acquire(asyncio.Event())
    keeper = asyncio.create_task(one.lease.keep(asyncio.Event()))
    one.kube.down = True
    await asyncio.sleep(0.02)
    assert not keeper.done(), "an outage is not the end"
    assert not one.lease.returned.is_set()
    one.kube.down = False
    async with asyncio.timeout(5):
        await one.lease.returned.wait()
    store.objects[PATH]["spec"]["holderIdentity"] = "two"
    async with asyncio.timeout(5):
        assert await keeper is False
    assert not one.leading


async def test_keep_ends_when_told_to(pair: tuple[Replica, Replica], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY", 0.001)
    one, _ = pair
    stop = asyncio.Event()
    assert await one.lease.acquire(stop)
    keeper = asyncio.create_task(one.lease.keep(stop))
    stop.set()
    async with asyncio.timeout(5):
        assert await keeper is True
    assert one.leading, "what is held is given back by release, after the last write"
