"""Every write fails once, in every way: the same end state, in the same order, nothing twice, nobody accused."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from api.controller.faults import Bench, FaultyKube, connect
from api.controller.place import CHILDREN, FULL, Place
from api.controller.process import Record
from api.server import Server
from cluster import Cluster
from ringfence.store.records import Key
from ringfence.telemetry.events import DELETED, EDITED
from ringfence.telemetry.metrics import VIOLATIONS

WRITER = "ringfence-faulty"
FAULTS: list[str | int] = ["lost", "killed", 409]
CREATES = 10
"""Writes of a first pass: seven children, an Event or two, the status."""
FENCES = ("networkpolicies/ringfence-a-deny", "networkpolicies/ringfence-a-allow")

pytestmark = pytest.mark.usefixtures("nobody_else")


@pytest.fixture
async def kube(cluster: Cluster) -> AsyncIterator[FaultyKube]:
    async with await connect(cluster.user_kubeconfig(WRITER, ["system:masters"])) as found:
        assert isinstance(found, FaultyKube)
        yield found


def _drift(namespace: str) -> float:
    return float(sum(VIOLATIONS.labels("drift", rule, namespace)._value.get() for rule in (DELETED, EDITED)))


def _assert_history(record: Record, namespace: str) -> None:
    """From the API server's record: each child was made once, and the fence before the workload."""
    made = [
        f"{entry['objectRef']['resource']}/{entry['objectRef']['name']}"
        for entry in record.writes(namespace, user=WRITER)
        if entry["responseStatus"]["code"] == 201 and entry["objectRef"]["resource"] != "events"
    ]
    assert len(made) == len(set(made)) == 8, made
    assert made[:2] == list(FENCES), made
    assert made[-1] == "deployments/ringfence-a", made


@pytest.mark.parametrize("how", FAULTS)
async def test_at_every_write_of_a_creation(client: Server, cluster: Cluster, how: str | int) -> None:
    record = Record(cluster)
    places = [Place(client) for _ in range(CREATES)]
    await asyncio.gather(*(_creation(cluster, place, at, how) for at, place in enumerate(places, start=1)))
    for at, place in enumerate(places, start=1):
        assert place.right(), f"after {how} at write {at}"
        assert place.status()["acceptedGeneration"] == 1
        assert _drift(place.name) == 0, f"{how} at write {at} is nobody's edit"
        _assert_history(record, place.name)
        place.remove()


async def _creation(cluster: Cluster, place: Place, at: int, how: str | int) -> None:
    """The write numbered `at` fails; then everything is tried again until it is well."""
    async with await connect(cluster.user_kubeconfig(WRITER, ["system:masters"])) as kube:
        place.agent("a", FULL)
        key, bench = Key(place.name, "a"), Bench(kube)
        kube.arm(at, how)
        await bench.settle(key)
        await bench.settle(key)  # the status comes with the second pass
        kube.arm(0, "")
        assert await bench.settle(key) == []
        before = children_of(place)
        assert await bench.settle(key) == []
        assert children_of(place) == before, "a pass over what is right writes no child"


def children_of(place: Place) -> dict[str, int]:
    """Generation of every child: what counts the changes of its content."""
    return {
        f"{kind}/{name}": place.get(kind, name.format("a"))["metadata"].get("generation", 0)
        for kind, name in CHILDREN.values()
    }


@pytest.mark.parametrize("how", FAULTS)
async def test_at_every_write_of_an_update(client: Server, cluster: Cluster, kube: FaultyKube, how: str | int) -> None:
    place = Place(client)
    place.agent("a", FULL)
    key, bench = Key(place.name, "a"), Bench(kube)
    await bench.settle(key)
    for at in range(1, 8):
        change = {"args": [f"{at}"], "replicas": 1} | (
            {"permissions": None, "network": None, "env": None}
            if at % 2
            else {key: FULL[key] for key in ("permissions", "network")} | {"env": [{"name": "A", "value": "1"}]}
        )
        place.change(**change)
        kube.arm(at, how)
        await bench.settle(key)
        await bench.settle(key)  # the status comes with the second pass
        kube.arm(0, "")
        assert await bench.settle(key) == []
        assert place.right(), f"after {how} at write {at}"
        if at % 2:
            assert place.child("role") is None
            assert place.child("binding") is None
    assert _drift(place.name) == 0
    place.remove()


async def test_nothing_is_written_without_the_lease(client: Server, cluster: Cluster, kube: FaultyKube) -> None:
    place, bench = Place(client), Bench(kube)
    place.agent("a", FULL)
    bench.leading = False
    with pytest.raises(AssertionError, match=r"never well: .*the lease is not held"):
        await bench.settle(Key(place.name, "a"), tries=2)
    assert place.child("deny") is None
    place.remove()
