"""What the controller reads."""

import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ringfence.api.names import API_VERSION
from ringfence.controller import reading
from ringfence.controller.reading import (
    HEARD_SECONDS,
    LONGEST_READ,
    OPENSHIFT,
    STILL_GOOD,
    FirstRead,
    NotInstalled,
    Reading,
)
from ringfence.kube import NotFound, NotServed, Object, Unreachable, path_of
from ringfence.resources import CHILD_KINDS
from ringfence.resources.dns import words
from ringfence.resources.kinds import ChildKind
from ringfence.store import informer
from ringfence.store.context import PolicyContext
from ringfence.store.store import Store
from ringfence.telemetry.events import WatchHeard
from unit.fakes.clock import Clock
from unit.fakes.kube import FakeKube


async def test_of_many_events_one_in_a_second_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, told = Clock(), list[Any]()
    monkeypatch.setattr(reading, "monotonic", clock)
    place = Reading(FakeKube(), Store(PolicyContext()), told.append, every=60)
    for _ in range(3):
        await place.agents.sync()
    assert told == [WatchHeard()]
    clock.now += HEARD_SECONDS
    await place.policies.sync()
    assert told == [WatchHeard()] * 2


@pytest.mark.parametrize("kind", [one for one in CHILD_KINDS.values() if not one.optional], ids=lambda one: one.name)
async def test_a_kind_that_all_agents_need_is_named(kind: ChildKind) -> None:
    kube = FakeKube()
    kube.refuse(NotFound(404, "Not Found", "404 page not found"), path=path_of(kind.group_version, kind.plural))
    with pytest.raises(NotServed, match=rf"does not serve {kind.name} \({kind.group_version}\)"):
        await Reading(kube, Store(PolicyContext()), lambda _: None, every=60).first()


async def test_without_the_kind_that_some_need_all_else_is_read() -> None:
    kube = FakeKube()
    kube.refuse(NotFound(404, "Not Found", "404 page not found"), path="/apis/batch/v1/cronjobs")
    found = Reading(kube, Store(PolicyContext()), lambda _: None, every=60)
    await found.first()
    assert [one.source.kind for one in found.others if one.absent] == ["CronJob"]


async def test_nobody_looks_for_cycles_while_everything_is_read() -> None:
    seen = set[bool]()

    class Watched(FakeKube):
        async def pages(self, path: str, **about: Any) -> AsyncIterator[tuple[list[Object], str]]:
            seen.add(gc.isenabled())
            if path.endswith("agentdeployments"):
                raise Unreachable("away")
            async for page in super().pages(path, **about):
                yield page

    with pytest.raises(Unreachable):
        await Reading(Watched(), Store(PolicyContext()), lambda _: None, every=60).first()
    assert seen == {False}
    assert gc.isenabled()


class TestTheFirstRead:
    def make(self) -> tuple[FakeKube, Reading]:
        kube = FakeKube()
        return kube, Reading(kube, Store(PolicyContext()), lambda _: None, every=60)

    async def test_one_object_of_each_kind_is_asked_for(self) -> None:
        kube, place = self.make()
        await place.ask()
        assert len(kube.requests) == len((*place.others, place.policies, place.agents))
        kube.refuse(NotFound(404, "NotFound", "no such kind"), path=path_of(API_VERSION, "agentpolicies"))
        with pytest.raises(NotInstalled):
            await place.ask()

    async def test_on_openshift_dns_is_elsewhere(self) -> None:
        kube, place = self.make()
        ports = [{"port": 53, "protocol": "UDP", "targetPort": "dns"}]
        for namespace, name in (("openshift-dns", "dns-default"), ("kube-system", "kube-dns")):
            spec = {"selector": {"in": namespace}, "ports": ports}
            body = {"metadata": {"namespace": namespace, "name": name, "resourceVersion": "1"}, "spec": spec}
            place.store.services.observe("ADDED", body)
        await place.ask()
        assert words(place.store.dns.found) == "kube-system/in=kube-system"
        kube.served.add(OPENSHIFT)
        await place.ask()
        assert words(place.store.dns.found) == "openshift-dns/in=openshift-dns"
        gone = {"namespace": "openshift-dns", "name": "dns-default", "resourceVersion": "2"}
        place.store.services.observe("DELETED", {"metadata": gone, "spec": {}})
        assert words(place.store.dns.found) == "kube-system/in=kube-system"

    async def test_after_a_failure_only_what_is_missing_is_listed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = Clock()
        monkeypatch.setattr(reading, "monotonic", clock)
        monkeypatch.setattr(informer, "monotonic", clock)
        kube, place = self.make()
        agents = path_of(API_VERSION, "agentdeployments")
        kube.refuse(Unreachable("slow"), path=agents)
        with pytest.raises(Unreachable):
            await place.first()
        kube.requests.clear()
        kube.allow()
        await place.first()
        assert [one.path for one in kube.requests] == [agents]
        kube.requests.clear()
        clock.now += STILL_GOOD + 1
        await place.first()
        assert len(kube.requests) == len((*place.others, place.policies, place.agents))

    def test_to_read_is_no_hindrance_unless_it_fails_or_takes_long(self) -> None:
        clock = Clock()
        read = FirstRead(clock)
        assert read.hindered() == "nothing was read yet"
        read.began()
        assert read.hindered() is None
        clock.now += LONGEST_READ
        read.failed("no rights")
        assert read.hindered() == "no rights"
        read.began()
        assert read.hindered() is None
        clock.now += 1
        assert "after 61 s" in (read.hindered() or ""), "to begin again is still the same read"
        read.ended()
        clock.now += 1
        assert (read.hindered(), read.seconds) == (None, LONGEST_READ + 1)
