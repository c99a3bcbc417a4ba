"""What the controller reads."""

import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ringfence.controller import reading
from ringfence.controller.reading import HEARD_SECONDS, Reading
from ringfence.kube import NotFound, NotServed, Object, Unreachable, path_of
from ringfence.resources import CHILD_KINDS
from ringfence.resources.kinds import ChildKind
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
