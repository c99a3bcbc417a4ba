"""A store that disagrees with the API server: a comparison notices it, counts it, and puts it right."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from api.controller.conftest import Shared
from api.controller.faults import Bench
from api.controller.place import FULL, Place
from api.server import Server
from cluster import Cluster
from ringfence.kube import Kube
from ringfence.resources import Ref
from ringfence.store.records import Key


@pytest.fixture
async def kube(cluster: Cluster, shared: Shared) -> AsyncIterator[Kube]:
    """The shared controller rests meanwhile: what is put right here is put right by the comparison."""
    shared.pause()
    user = cluster.user_kubeconfig("ringfence-comparing", ["system:masters"])
    async with await Kube.connect(str(user)) as found:
        yield found
    shared.resume()


async def test_what_no_watch_told_is_found(client: Server, kube: Kube) -> None:
    place, bench, woken = Place(client), Bench(kube), list[Key]()
    place.agent("a", FULL)
    place.agent("b", FULL)
    for name in ("a", "b"):
        await bench.settle(Key(place.name, name))
    store = bench.store
    before = {ref: child for ref, child in store.children.items.items() if ref.namespace == place.name}
    store.wake = lambda key, _: woken.append(key)

    role = Ref("Role", place.name, "ringfence-a")
    account = Ref("ServiceAccount", place.name, "ringfence-a")
    ghost = Ref("NetworkPolicy", place.name, "ringfence-gone-deny")
    store.children.items[role] = replace(before[role], version=1, digest="as it was once")
    del store.children.items[account]
    store.children.items[ghost] = replace(before[Ref("NetworkPolicy", place.name, "ringfence-a-deny")], ref=ghost)
    del store.agents.items[Key(place.name, "b")]

    found = await bench.reading.compare()  # of other kinds, and of other tests, there may be more: nobody watches here
    assert all(found[kind] >= 1 for kind in ("Role", "ServiceAccount", "NetworkPolicy", "AgentDeployment")), found
    assert {ref for ref in store.children.items if ref.namespace == place.name} == set(before)
    assert store.children.items[role].digest == before[role].digest
    assert Key(place.name, "b") in store.agents.items
    assert {Key(place.name, "a"), Key(place.name, "b")} <= set(woken), "whom it concerns is looked at"
    # Of other tests' namespaces, which the cluster empties, there may be news; of ours nothing differs any more.
    still = {"NetworkPolicy", "ServiceAccount", "Role", "RoleBinding"}  # to the others their own controllers write
    right = {ref: child for ref, child in store.children.items.items() if ref in before and ref.kind in still}
    agent = store.agents.items[Key(place.name, "b")]
    assert (await bench.reading.compare())["AgentPolicy"] == 0
    assert all(store.children.items[ref] is child for ref, child in right.items()), "not even read again"
    assert store.agents.items[Key(place.name, "b")] is agent
    place.remove()
