"""The comparison that finds what a watch missed: by versions, and then object by object."""

import pytest

from ringfence.kube import Unreachable
from ringfence.store import informer as module
from unit.fakes.kube import Request
from unit.store.following import Place, path
from unit.store.make import service


def make(place: Place) -> None:
    for name in ("same", "missing", "stale", "ghost"):
        place.put(name)


def disagree(place: Place) -> None:
    """Make the table another one than the cluster is."""
    table = place.table
    del table.items["ns", "missing"]
    place.kube.cluster.remove(path("ghost"))
    place.put("stale", selector={"x": "y"})


async def test_what_differs_is_counted_and_put_right(place: Place) -> None:
    make(place)
    await place.informer.sync()
    assert await place.informer.compare() == 0
    disagree(place)
    place.kube.requests.clear()
    assert await place.informer.compare() == 3
    assert place.names() == ["missing", "same", "stale"]
    assert [str(one) for one in place.kube.requests] == [
        "list services",
        "get services/missing",
        "get services/stale",
        "get services/ghost",
    ]
    assert place.kube.requests[0].options["metadata_only"]
    found = place.table.items["ns", "stale"].port(80)
    assert found is not None
    assert found.selector == {"x": "y"}
    assert await place.informer.compare() == 0


async def test_with_many_of_them_everything_is_listed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FETCHED_AT_MOST", 2)
    make(place)
    await place.informer.sync()
    disagree(place)
    place.kube.requests.clear()
    assert await place.informer.compare() == 3
    assert [str(one) for one in place.kube.requests] == ["list services", "list services"]
    assert place.names() == ["missing", "same", "stale"]


async def test_what_a_watch_told_meanwhile_is_not_counted(place: Place) -> None:
    make(place)
    await place.informer.sync()
    disagree(place)

    def faster(request: Request) -> None:
        if request.verb == "get":
            place.kube.after.clear()
            for name in ("missing", "stale"):
                place.table.observe("MODIFIED", place.kube.objects[path(name)])
            place.table.remove(("ns", "ghost"), place.kube.cluster.version)

    place.kube.after.append(faster)
    assert await place.informer.compare() == 0


async def test_what_is_made_while_it_is_listed_is_no_ghost(place: Place) -> None:
    await place.informer.sync()

    def make(request: Request) -> None:
        if request.verb == "list":
            place.table.observe("ADDED", place.put("new"))

    place.kube.after.append(make)
    assert await place.informer.compare() == 0
    assert place.names() == ["new"]
    assert place.lists == len(place.kube.requests), "nothing is read for it"


async def test_what_is_made_anew_while_others_are_read_stays(place: Place) -> None:
    for name in ("a", "b"):
        place.put(name)
    await place.informer.sync()
    for name in ("a", "b"):
        place.kube.cluster.remove(path(name))

    def make(request: Request) -> None:
        if str(request) == "get services/b":
            place.table.observe("ADDED", place.put("a"))

    place.kube.before.append(make)
    await place.informer.compare()
    assert place.names() == ["a"]


async def test_its_failure_leaves_no_list_open(place: Place) -> None:
    place.kube.down = True
    with pytest.raises(Unreachable):
        await place.informer.compare()
    with pytest.raises(Unreachable):
        await place.informer.sync()
    place.table.observe("DELETED", service())
    assert place.table._deleted == {}
