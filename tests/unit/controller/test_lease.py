"""The election: never two leaders, whatever happens and in whatever order. Each replica has a clock of its own."""

import asyncio
import random
from typing import Any

import pytest
from structlog.testing import capture_logs

from ringfence.controller.runtime import lease as module
from ringfence.controller.runtime.lease import DURATION, NOBODY_AFTER, RENEW_DEADLINE, RETRY, Lease
from ringfence.kube import ApiError
from ringfence.telemetry.events import LeaderSeen
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


async def wait(seconds: float, replica: Replica) -> None:
    """Look every second, and get nothing."""
    for _ in range(int(seconds)):
        assert not await replica.look()
        await pass_time(1.0, replica)


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
    await pass_time(DURATION, one)
    assert not one.leading, "it stopped well before"
    await wait(DURATION, two)
    await pass_time(0.1, two)
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
    await wait(DURATION + 1, two)
    assert await two.look(), "but not for ever"


async def test_the_time_written_in_the_lease_means_nothing(pair: tuple[Replica, Replica], store: FakeCluster) -> None:
    one, two = pair
    await one.look()
    for stamp in ("1970-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z"):
        store.objects[PATH]["spec"]["renewTime"] = stamp
        assert not await two.look()
    await wait(DURATION + 1, two)
    assert await two.look()


ODD: list[Any] = [
    {"leaseDurationSeconds": 3600},
    {"leaseDurationSeconds": -1},
    {"leaseDurationSeconds": None},
    {"leaseDurationSeconds": "for ever"},
    {"leaseTransitions": 2**31 - 1},
    {"leaseTransitions": -5},
    {"leaseTransitions": "many"},
    {"renewTime": "2999-01-01T00:00:00.000000Z", "acquireTime": None},
    {"renewTime": 7, "strategy": "OldestEmulationVersion", "preferredHolder": "nobody"},
    {"holderIdentity": "two"},
    {"holderIdentity": None},
    {"holderIdentity": ["two"]},
    None,
    [],
]
"""What somebody writes into the spec, or in its place."""


@pytest.mark.parametrize("forged", ODD, ids=str)
async def test_nothing_in_the_lease_changes_how_long_is_waited(
    pair: tuple[Replica, Replica], store: FakeCluster, forged: Any
) -> None:
    one, two = pair
    await one.look()
    assert not await two.look()
    if isinstance(forged, dict):
        store.objects[PATH]["spec"] |= {"holderIdentity": "nobody"} | forged
    else:
        store.objects[PATH]["spec"] = forged
    await wait(DURATION, two)  # one may be writing still
    await pass_time(0.1, two)
    assert await two.look()
    spec = store.objects[PATH]["spec"]
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"]) == ("two", int(DURATION))
    assert 0 <= spec["leaseTransitions"] < 2**31, "the API server would refuse it"
    assert not {"strategy", "preferredHolder"} & set(spec)


async def test_edits_that_renew_nothing_are_no_sign_of_life(pair: tuple[Replica, Replica], store: FakeCluster) -> None:
    """The same forged Lease, written again and again, made anew each time, with other labels and another duration."""
    _, two = pair
    forged = {"holderIdentity": "nobody", "renewTime": "2999-01-01T00:00:00.000000Z"}
    for number in range(int(DURATION) + 1):
        metadata = {"name": "x", "resourceVersion": str(number), "uid": str(number), "labels": {"a": str(number)}}
        store.objects[PATH] = {"metadata": metadata, "spec": forged | {"leaseDurationSeconds": number + 1}}
        await wait(1, two)
    assert await two.look()


async def test_deleted_in_a_loop(pair: tuple[Replica, Replica], store: FakeCluster) -> None:
    one, two = pair
    await one.look()
    await two.look()
    for _ in range(20):
        store.remove(PATH)
        assert not await two.look()
        assert await one.look()
        assert not await two.look(), "its holder is seen to make it again"
        await pass_time(RETRY, one, two)
    assert one.leading


async def test_one_that_slept_knows_nothing(pair: tuple[Replica, Replica], store: FakeCluster) -> None:
    one, two = pair
    await one.look()
    await two.look()
    await pass_time(10 * DURATION, two)
    store.remove(PATH)
    assert not await two.look(), "one has renewed it a moment ago"


async def test_nobody_leads_is_told_once_and_until_somebody_does(
    pair: tuple[Replica, Replica],
) -> None:
    one, two = pair
    await one.look()
    await two.look()
    one.kube.refuse(ApiError(403, "Forbidden", "leases are not for you"))
    two.kube.refuse(ApiError(403, "Forbidden", "leases are not for you"))
    with capture_logs() as lines:
        for _ in range(int(NOBODY_AFTER)):
            await pass_time(1.0, one, two)
            for replica in pair:
                await replica.lease._look()
                assert replica.lease.nobody_leads() is None, "an ordinary takeover takes that long"
        for _ in range(5):
            await pass_time(1.0, one, two)
            for replica in pair:
                await replica.lease._look()
                assert "no leader has been seen" in str(replica.lease.nobody_leads())
                assert "leases are not for you" in str(replica.lease.nobody_leads())
    told = [line for line in lines if line["event"] == "nobody leads"]
    assert [(line["identity"], line["log_level"]) for line in told] == [("one", "error"), ("two", "error")]
    one.kube.allow()
    await one.lease._look()
    assert one.lease.nobody_leads() is None
    two.kube.allow()
    await two.lease._look()
    assert two.lease.nobody_leads() is None, "the other was seen"


async def test_beside_a_living_leader_all_is_well(pair: tuple[Replica, Replica]) -> None:
    one, two = pair
    for _ in range(100):
        await one.lease._look()
        one.lease._leads = True
        await two.lease._look()
        await pass_time(RETRY, one, two)
        assert one.lease.nobody_leads() is None
        assert two.lease.nobody_leads() is None
    await pass_time(NOBODY_AFTER, two)
    assert two.lease.nobody_leads(), "this can fail"


async def test_a_takeover_is_no_alarm(pair: tuple[Replica, Replica]) -> None:
    one, two = pair
    await one.look()
    while not two.leading:
        await two.look()
        assert two.lease.nobody_leads() is None
        await pass_time(1.0, two)


async def test_when_a_leader_was_seen_is_an_event(store: FakeCluster) -> None:
    seen: list[Any] = []
    one, two = Replica("one", store), Replica("two", store)
    two.lease._emit = seen.append
    await one.look()
    await two.look()
    await two.look()
    assert seen == [LeaderSeen()], "it was renewed once"
    await one.look()
    await two.look()
    assert seen == [LeaderSeen()] * 2
    await wait(DURATION + 1, two)
    await two.look()
    await two.look()
    assert seen == [LeaderSeen()] * 4, "its own renewals count"


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
    """Outages of each alone, pauses, releases, forged and deleted Leases; clocks that share nothing but their pace."""
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
            elif chance < 0.09 and PATH in store.objects:
                forged = {"holderIdentity": "nobody", "leaseDurationSeconds": 3600, "leaseTransitions": 2**31 - 1}
                store.objects[PATH]["spec"] = dice.choice([None, forged, {}])
                store.objects[PATH]["metadata"]["resourceVersion"] = str(dice.random())
            elif chance < 0.1:
                store.objects.pop(PATH, None)
            if not asleep[number]:
                await replica.look()
            assert sum(one.leading for one in replicas) <= 1
    assert RENEW_DEADLINE < DURATION


async def test_keep_ends_when_the_lease_is_lost_and_tells_when_it_is_back(
    pair: tuple[Replica, Replica], store: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY", 0.001)
    monkeypatch.setattr(module, "RETURN_RETRY", 0.001)
    one, _ = pair
    called: list[bool] = []
    one.lease.on_return.append(lambda: called.append(one.leading))
    assert await one.lease.acquire(asyncio.Event())
    keeper = asyncio.create_task(one.lease.keep(asyncio.Event()))
    one.kube.down = True
    await asyncio.sleep(0.02)
    assert not keeper.done(), "an outage is not the end"
    assert not one.lease.returned.is_set()
    one.kube.down = False
    async with asyncio.timeout(150):
        await one.lease.returned.wait()
    assert called == [True], "once, and by then it may write"
    store.objects[PATH]["spec"]["holderIdentity"] = "two"
    async with asyncio.timeout(150):
        assert await keeper is False
    assert not one.leading


async def test_keep_ends_when_told_to(pair: tuple[Replica, Replica], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY", 0.001)
    one, _ = pair
    stop = asyncio.Event()
    assert await one.lease.acquire(stop)
    keeper = asyncio.create_task(one.lease.keep(stop))
    stop.set()
    async with asyncio.timeout(150):
        assert await keeper is True
    assert one.leading, "what is held is given back by release, after the last write"
