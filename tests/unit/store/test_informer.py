"""One kind kept up to date: lists, watches, gaps, and the comparison that finds what a watch missed."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from ringfence.kube import ApiError, NotFound, Object, Unreachable
from ringfence.kube.errors import LONGEST_ASKED
from ringfence.resources import Ref
from ringfence.store import informer as module
from ringfence.store.context import PolicyContext
from ringfence.store.informer import ContextSink, Informer, TableSink
from ringfence.store.records import Key
from ringfence.store.sources import AGENT_POLICY, CHILDREN, NAMESPACE, SERVICE_CIDR, SERVICES, SOURCES, is_child
from ringfence.store.store import Store
from unit.fakes.kube import FakeKube
from unit.store.following import Place, bare, following, path, until
from unit.store.make import owned, policy, service

ROLES = next(source for source in CHILDREN if source.kind == "Role")


async def test_a_list_is_all_there_is(place: Place) -> None:
    place.put("a")
    place.put("b")
    await place.informer.sync()
    assert place.names() == ["a", "b"]
    place.kube.cluster.remove(path("a"))
    await place.informer.sync()
    assert place.names() == ["b"]
    assert place.heard == 2


async def test_a_watch_goes_on_where_the_list_ended(place: Place) -> None:
    place.put("a")
    await place.informer.sync()
    place.put("between")
    async with following(place.informer):
        await until(lambda: place.names() == ["a", "between"])
        place.put("b")
        place.put("a", selector={"x": "y"})
        place.kube.cluster.remove(path("between"))
        await until(lambda: place.names() == ["a", "b"])
    found = place.table.items["ns", "a"].port(80)
    assert found is not None
    assert found.selector == {"x": "y"}
    assert place.lists == 1


async def test_a_watch_that_ends_goes_on_without_a_list(place: Place) -> None:
    await place.informer.sync()
    async with following(place.informer):
        await until(lambda: bool(place.kube.cluster.watches))
        place.put("a")
        await until(lambda: place.names() == ["a"])
        for watch in place.kube.cluster.watches:
            watch.events.put_nowait(None)
        place.put("b")
        await until(lambda: place.names() == ["a", "b"])
    assert place.lists == 1


async def test_what_was_deleted_in_a_gap_is_gone(place: Place) -> None:
    for name in "abc":
        place.put(name)
    async with following(place.informer):
        await until(lambda: place.names() == ["a", "b", "c"])
        place.kube.gate.clear()
        for watch in place.kube.cluster.watches:
            watch.events.put_nowait(None)
        await until(lambda: not place.kube.cluster.watches)
        place.kube.cluster.remove(path("a"))
        place.kube.cluster.remove(path("b"))
        place.put("b", selector={"x": "y"})
        place.kube.cluster.forget()
        with capture_logs() as said:
            place.kube.gate.set()
            await until(lambda: place.names() == ["b", "c"] and bool(place.kube.cluster.watches))
    assert said == [], "a gap is no news"
    assert place.lists == 2


async def test_a_bookmark_moves_the_version_and_nothing_else(place: Place) -> None:
    await place.informer.sync()
    before = place.heard
    async with following(place.informer):
        await until(lambda: bool(place.kube.cluster.watches))
        (watch,) = place.kube.cluster.watches
        watch.events.put_nowait(("BOOKMARK", {"metadata": {"resourceVersion": "77"}}))
        watch.events.put_nowait(None)
        await until(
            lambda: [one.options.get("version") for one in place.kube.requests if one.verb == "watch"][-1] == "77"
        )
    assert place.names() == []
    assert place.heard == before + 1


@pytest.mark.parametrize(("code", "lines"), [(410, 0), (500, 1)])
async def test_an_error_in_a_watch_means_a_new_list(place: Place, code: int, lines: int) -> None:
    await place.informer.sync()
    with capture_logs() as said:
        async with following(place.informer):
            await until(lambda: bool(place.kube.cluster.watches))
            place.kube.cluster.watches[0].events.put_nowait(("ERROR", {"code": code, "message": "x"}))
            place.kube.cluster.watches[0].events.put_nowait(None)
            await until(lambda: place.lists == 2)
    assert len(said) == lines


async def test_a_failure_is_told_once_and_tried_on_with_growing_pauses(place: Place, pauses: list[float]) -> None:
    place.kube.refuse(ApiError(403, "Forbidden", "no right to list services"), times=7)
    with capture_logs() as said:
        async with following(place.informer):
            await until(lambda: bool(place.kube.cluster.watches))
    assert [(one["event"], one["kind"]) for one in said] == [("cannot read what decisions need: trying on", "Service")]
    assert pauses == [0.2, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0]


async def test_a_server_that_asks_for_patience_gets_it_within_bounds(place: Place, pauses: list[float]) -> None:
    for asked in (0.0, 4.0, 1e9):
        place.kube.refuse(ApiError(429, "TooManyRequests", "starting", asked), times=1)
    async with following(place.informer):
        await until(lambda: bool(place.kube.cluster.watches))
    assert pauses == [0.2, 4.0, LONGEST_ASKED]


@pytest.mark.parametrize(
    ("failure", "lists"),
    [
        (Unreachable("reset"), 1),
        (ApiError(429, "TooManyRequests", "x"), 1),
        (ApiError(410, "Expired", "x"), 2),
        (ApiError(403, "Forbidden", "x"), 2),
    ],
)
async def test_after_a_watch_that_broke_it_lists_only_where_its_version_may_be_lost(
    place: Place, failure: Exception, lists: int
) -> None:
    await place.informer.sync()
    place.kube.refuse(failure, verb="watch", times=1)
    async with following(place.informer):
        await until(lambda: bool(place.kube.cluster.watches))
    assert place.lists == lists


async def test_a_surprise_does_not_make_it_deaf(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    await place.informer.sync()
    surprises = [KeyError("x")]
    take = place.table.observe

    def observe(event_type: str | None, body: Any) -> Any:
        if surprises:
            raise surprises.pop()
        return take(event_type, body)

    monkeypatch.setattr(place.table, "observe", observe)
    with capture_logs() as said:
        async with following(place.informer):
            await until(lambda: bool(place.kube.cluster.watches))
            place.put("a")
            await until(lambda: place.names() == ["a"])
    assert [one["event"] for one in said] == ["a watch broke"]


async def test_a_kind_that_a_cluster_may_lack(pauses: list[float]) -> None:
    kube, context, changed = FakeKube(), PolicyContext(), list[str]()
    sink = ContextSink(context, SERVICE_CIDR, lambda kind, _: changed.append(kind))
    informer = Informer(kube, SOURCES[SERVICE_CIDR], sink)
    kube.cluster.put(f"{SOURCES[SERVICE_CIDR].path}/x", {"metadata": {}, "spec": {"cidrs": ["192.0.2.0/24"]}})
    await informer.sync()
    kube.refuse(NotFound(404, "NotFound", "no such kind"), times=2)
    await informer.sync()
    assert informer.absent
    assert context.facts("x").cluster_networks == ()
    assert changed == [SERVICE_CIDR, SERVICE_CIDR]
    assert await informer.compare() == 0
    async with following(informer):
        await until(lambda: not informer.absent)
    assert pauses == [module.ABSENT_SECONDS], "it is asked for again after a while"


async def test_a_kind_that_must_be_there(place: Place) -> None:
    place.kube.refuse(NotFound(404, "NotFound", "no such kind"))
    with pytest.raises(NotFound):
        await place.informer.sync()


class TestChildren:
    """Children of all kinds share a table; of the powerful kinds everything is followed, and ours are told apart."""

    def make(self) -> tuple[FakeKube, Store, Informer]:
        kube, store = FakeKube(), Store(PolicyContext())
        return kube, store, Informer(kube, ROLES, TableSink(store.children, "Role", wanted=is_child))

    async def test_only_ours_are_kept(self) -> None:
        kube, store, informer = self.make()
        kube.cluster.put(ROLES.item_path("ns", "ringfence-a"), bare(owned()))
        kube.cluster.put(ROLES.item_path("ns", "other"), {"metadata": {}})
        store.children.observe("ADDED", owned(kind="ServiceAccount"))
        await informer.sync()
        assert {(ref.kind, ref.name) for ref in store.children.items} == {
            ("Role", "ringfence-a"),
            ("ServiceAccount", "ringfence-a"),
        }
        assert await informer.compare() == 0

    async def test_one_without_labels_is_seen_by_its_owner_and_one_without_both_is_gone(
        self, pauses: list[float]
    ) -> None:
        kube, store, informer = self.make()
        at = ROLES.item_path("ns", "ringfence-a")
        ref = Ref("Role", "ns", "ringfence-a")
        kube.cluster.put(at, bare(owned()))
        async with following(informer):
            await until(lambda: ref in store.children.items)
            await kube.merge(at, {"metadata": {"labels": None}})
            await until(lambda: not store.children.items[ref].labels)
            await kube.merge(at, {"metadata": {"ownerReferences": None}})
            await until(lambda: ref not in store.children.items)


@pytest.mark.parametrize("ask", ["sync", "compare"])
async def test_a_page_is_let_go_before_the_next_one_is_asked_for(ask: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table, left = Store(PolicyContext()).services, list[int]()

    async def pages(_: Informer, **__: Any) -> AsyncIterator[tuple[list[Object], str]]:
        for number in range(2):
            page = [service(name=f"s{number}"), service(name=f"t{number}")]
            yield page, "9"
            left.append(len(page))

    monkeypatch.setattr(Informer, "pages", pages)
    informer = Informer(FakeKube(), SERVICES, TableSink(table, "Service"))
    for body in [service(name=name) for name in ("s0", "s1", "t0", "t1")] if ask == "compare" else []:
        table.observe("ADDED", body)
    await getattr(informer, ask)()
    assert left == [0, 0]
    assert len(table) == 4


class TestContext:
    def make(self) -> tuple[FakeKube, Store, Informer, list[Any]]:
        kube, store, changed = FakeKube(), Store(PolicyContext()), list[Any]()
        sink = ContextSink(store.context, AGENT_POLICY, lambda *about: changed.append(about), table=store.policies)
        return kube, store, Informer(kube, SOURCES[AGENT_POLICY], sink), changed

    async def test_policies_are_kept_in_both_places(self, pauses: list[float]) -> None:
        kube, store, informer, changed = self.make()
        at = SOURCES[AGENT_POLICY].item_path(None, "p")
        kube.cluster.put(at, bare(policy()))
        async with following(informer):
            await until(lambda: "p" in store.policies.items and bool(kube.cluster.watches))
            assert [one.name for one in store.context.policies()] == ["p"]
            assert changed == [(AGENT_POLICY, None)]
            await kube.merge(f"{at}/status", {"status": {"boundAgents": 1}})
            await until(lambda: store.policies.items["p"].status == {"boundAgents": 1})
            assert len(changed) == 1, "its status is nothing that decisions depend on"
            kube.cluster.remove(at)
            await until(lambda: not store.policies.items)
        assert store.context.policies() == []
        assert changed[1:] == [(AGENT_POLICY, "p")]

    async def test_the_slower_of_two_watches_tells_nothing_new(self, pauses: list[float]) -> None:
        kube, store, informer, changed = self.make()
        at = SOURCES[AGENT_POLICY].item_path(None, "p")
        old = kube.cluster.put(at, bare(policy()))
        new = kube.cluster.put(at, bare(policy(spec={"permissions": {"maxLevel": "Admin"}})))
        await informer.sync()
        changed.clear()
        for event in ("ADDED", "DELETED"):
            informer._sink.observe(event, old)
        informer._sink.observe("MODIFIED", new)
        (found,) = store.context.policies()
        assert (found.spec.permissions.max_level, changed) == ("Admin", [])

    async def test_a_comparison_puts_right_what_differs(self) -> None:
        kube, store, informer, changed = self.make()
        kube.cluster.put(SOURCES[AGENT_POLICY].item_path(None, "p"), bare(policy()))
        await informer.sync()
        assert await informer.compare() == 0
        store.context.replace(AGENT_POLICY, [])
        changed.clear()
        assert await informer.compare() == 1
        assert [one.name for one in store.context.policies()] == ["p"]
        assert changed == [(AGENT_POLICY, None)]

    async def test_a_list_that_a_watch_overtook_is_not_taken(self) -> None:
        kube, store, changed = FakeKube(), Store(PolicyContext()), list[Any]()
        sink = ContextSink(store.context, NAMESPACE, lambda *about: changed.append(about))
        informer = Informer(kube, SOURCES[NAMESPACE], sink)
        kube.after.append(lambda _: store.context.observe(NAMESPACE, "ADDED", {"metadata": {"name": "new"}}))
        assert await informer.compare() == 0
        assert store.context.knows("new")


def test_keys_are_places() -> None:
    assert module._place("p") == (None, "p")
    assert module._place(Key("ns", "a")) == ("ns", "a")
    assert module._place(Ref("Role", "ns", "a")) == ("ns", "a")
