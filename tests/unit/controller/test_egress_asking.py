"""What gateways are told of the controller: its Service's address, or nobody's."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from ringfence.controller.egress import asking
from ringfence.controller.egress.asking import Asking
from ringfence.controller.gateway_reports import tell_gateways
from ringfence.kube import ApiError, Unreachable, path_of
from ringfence.resources.model import GatewayReports
from ringfence.store.context import PolicyContext
from ringfence.store.store import Store
from unit.fakes.kube import FakeKube
from unit.store.make import agent

PATH = path_of("v1", "services", "system", "ringfence-egress")
NOBODY = GatewayReports(scrapers={"monitoring": "yes"})
LABELS = {"app": "x"}


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "AGAIN_SECONDS", 0)
    monkeypatch.setattr(asking, "LOOK_SECONDS", 0)


@pytest.fixture
def kube() -> FakeKube:
    return FakeKube()


def store(kube: FakeKube, address: str = "10.96.0.7") -> None:
    spec = {"clusterIP": address, "ports": [{"port": 4318, "targetPort": "egress"}], "selector": LABELS}
    kube.cluster.put(PATH, {"metadata": {}, "spec": spec})


async def found(kube: FakeKube, stop: asyncio.Event | None = None) -> GatewayReports:
    async with asyncio.timeout(30):
        return await Asking(kube, "system", "ringfence-egress", 8318).found(NOBODY, stop or asyncio.Event())


@pytest.mark.parametrize(
    ("address", "told"), [("10.96.0.7", "10.96.0.7:4318"), ("fd00::7", "[fd00::7]:4318")], ids=["IPv4", "IPv6"]
)
async def test_the_address_is_the_services_and_the_port_in_the_fence_is_the_pods(
    kube: FakeKube, address: str, told: str
) -> None:
    store(kube, address)
    assert await found(kube) == GatewayReports(told, "system", LABELS, 8318, NOBODY.scrapers)


async def test_without_the_service_nobody_is_told_and_scrapers_stay(kube: FakeKube) -> None:
    with capture_logs() as lines:
        assert await found(kube) == NOBODY
    assert [(line["service"], line["again"]) for line in lines] == [("system/ringfence-egress", False)]
    assert len(kube.requests) == 1


async def test_without_the_right_nobody_is_told(kube: FakeKube) -> None:
    store(kube)
    kube.refuse(ApiError(403, "Forbidden", "no"))
    assert await found(kube) == NOBODY


@pytest.mark.parametrize("failure", [Unreachable("no"), ApiError(503, "ServiceUnavailable", "busy")], ids=str)
async def test_what_passes_is_waited_for(kube: FakeKube, failure: Exception) -> None:
    store(kube)
    kube.refuse(failure, times=2)
    assert (await found(kube)).address == "10.96.0.7:4318"
    assert len(kube.requests) == 3


async def test_who_is_to_stop_does_not_wait(kube: FakeKube) -> None:
    stop = asyncio.Event()

    def down(_: Any) -> None:
        stop.set()
        raise Unreachable("no")

    kube.before.append(down)
    assert await found(kube, stop) == NOBODY


TOLD = GatewayReports("10.96.0.7:4318", "system", LABELS, 8318, NOBODY.scrapers)


async def followed(kube: FakeKube, told: GatewayReports, *happens: Callable[[], object]) -> Sequence[GatewayReports]:
    """What gateways were given, while one thing happened after the other: each before the look after the next."""
    given: list[GatewayReports] = []
    coming = iter(happens)
    done = asyncio.Event()

    def look(_: Any) -> None:
        try:
            next(coming)()
        except StopIteration:
            done.set()

    kube.before.append(look)
    following = asyncio.create_task(Asking(kube, "system", "ringfence-egress", 8318).follow(told, given.append))
    async with asyncio.timeout(30):
        await done.wait()
    following.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await following
    return given


def nothing() -> None:
    """Happens."""


async def test_a_service_that_was_made_again_is_followed(kube: FakeKube) -> None:
    store(kube)
    moved = GatewayReports("10.96.0.8:4318", "system", LABELS, 8318, NOBODY.scrapers)
    given = await followed(kube, TOLD, nothing, lambda: store(kube, "10.96.0.8"), nothing)
    assert given == [moved], "once, and with all else as it was"


async def test_while_it_is_away_the_last_address_stays(kube: FakeKube) -> None:
    store(kube)
    kube.refuse(ApiError(404, "NotFound", "no"), times=2)
    kube.refuse(Unreachable("no"), times=2)
    assert await followed(kube, TOLD, *[nothing] * 6) == []


async def test_one_that_comes_late_is_found(kube: FakeKube) -> None:
    given = await followed(kube, NOBODY, nothing, lambda: store(kube), nothing)
    assert given == [TOLD]


def test_agents_with_hosts_alone_are_looked_at_again() -> None:
    woken: list[str] = []
    found = Store(PolicyContext())
    rules = {"named": {"host": "api.example.com"}, "addressed": {"cidr": "203.0.113.0/28", "ports": [443]}}
    for name, rule in rules.items():
        found.agents.observe("ADDED", agent(uid=name, name=name, spec={"network": {"egress": [rule]}}))
    found.wake = lambda key, _: woken.append(key.name)
    observer: Any = SimpleNamespace(gateway_reports=NOBODY)
    tell_gateways(found, observer, TOLD)
    assert (woken, observer.gateway_reports) == (["named"], TOLD)
