"""What the watches bring into the PolicyContext, and the live reads past them."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from ringfence.admission.feed import feed
from ringfence.admission.fresh import AT_A_TIME, LiveReader
from ringfence.api.names import AGENTS_LABEL, API_VERSION
from ringfence.kube import ApiError, NotFound, Unreachable, path_of
from ringfence.store import informer as informer_module
from ringfence.store.context import PolicyContext
from ringfence.store.sources import AGENT_POLICY, NODE, SERVICE_CIDR, SOURCES
from unit.admission.make import policy, world
from unit.fakes.kube import FakeKube

NEW = "/api/v1/namespaces/new"
OPEN = {"metadata": {"name": "team", "labels": {AGENTS_LABEL: "enabled"}}}


class Kube(FakeKube):
    """Holds objects of some kinds. For an exception in their place that kind fails, once for each one in a list."""

    def __init__(self, **kinds: Any) -> None:
        super().__init__()
        for kind, found in kinds.items():
            path = SOURCES[kind].path
            if isinstance(found, Exception):
                self.refuse(found, path=path)
                continue
            for one in found:
                if isinstance(one, Exception):
                    self.refuse(one, path=path, times=1)
                else:
                    self.cluster.put(f"{path}/{one['metadata']['name']}", one)


async def fed(kube: Kube, *, until: bool = True) -> PolicyContext:
    made = PolicyContext()
    task = asyncio.create_task(feed(kube, made))
    for _ in range(200):
        await asyncio.sleep(0.005)
        if made.synced is until and until:
            break
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return made


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(informer_module, "RETRY_SECONDS", (0.01,))


async def test_all_kinds_are_listed() -> None:
    assert (await fed(Kube(Namespace=[OPEN]))).facts("team").namespace_labels == {AGENTS_LABEL: "enabled"}


async def test_a_cluster_without_service_cidrs_is_synced_without_them() -> None:
    made = await fed(Kube(ServiceCIDR=NotFound(404, "NotFound", "no such resource")))
    assert made.synced


@pytest.mark.parametrize("kind", [AGENT_POLICY, NODE])
async def test_a_kind_that_decisions_need_must_be_there(kind: str) -> None:
    made = await fed(Kube(**{kind: NotFound(404, "NotFound", "no such resource")}), until=False)
    assert made.missing == (kind,)


@pytest.mark.parametrize(
    "failure",
    [ApiError(403, "Forbidden", "no"), Unreachable("gone"), NotFound(404, "NotFound", "not yet"), KeyError("x")],
)
async def test_a_failure_is_tried_again_and_stops_no_other_kind(failure: Exception) -> None:
    assert (await fed(Kube(AgentPolicy=[failure, failure]))).synced


async def test_service_cidrs_that_may_not_be_read_are_not_taken_for_absent() -> None:
    made = await fed(Kube(ServiceCIDR=ApiError(403, "Forbidden", "no")), until=False)
    assert made.missing == (SERVICE_CIDR,)


async def test_the_same_failure_is_told_once() -> None:
    kube = Kube(AgentPolicy=[*[Unreachable("gone")] * 5, *[Unreachable("still")] * 5])
    with capture_logs() as logs:
        await fed(kube)
    assert [entry["error"] for entry in logs] == ["gone", "still"]


class TestLiveReader:
    async def test_it_reads_the_namespace_and_all_policies(self) -> None:
        kube = Kube(AgentPolicy=[policy({}, name="b"), policy({}, name="a")])
        kube.cluster.put(NEW, OPEN)
        view = await LiveReader(kube, world()).view("new")
        assert view is not None
        assert view.facts("new").namespace_labels == {AGENTS_LABEL: "enabled"}
        assert [one.name for one in view.policies()] == ["a", "b"]

    async def test_the_cache_stays_as_it_is(self) -> None:
        kube, cache = Kube(), world()
        kube.cluster.put(NEW, OPEN)
        await LiveReader(kube, cache).view("new")
        assert cache.facts("new").namespace_labels == {}

    @pytest.mark.parametrize(
        "failure", [NotFound(404, "", ""), ApiError(500, "", ""), Unreachable("gone"), TimeoutError()]
    )
    async def test_without_an_answer_there_is_no_view(self, failure: Exception) -> None:
        kube = Kube()
        kube.refuse(failure, path=NEW)
        assert await LiveReader(kube, world()).view("new") is None

    async def test_it_reads_an_agent(self) -> None:
        kube, path = Kube(), path_of(API_VERSION, "agentdeployments", "team", "a")
        kube.cluster.put(path, {"metadata": {"name": "a"}})
        found = await LiveReader(kube, world()).stored("team", "a")
        assert found is not None
        assert found["metadata"]["name"] == "a"
        kube.refuse(Unreachable("gone"), path=path)
        assert await LiveReader(kube, world()).stored("team", "a") is None
        assert await LiveReader(kube, world()).stored("team", "b") is None

    async def test_a_flood_of_refusals_asks_only_a_few_times_at_a_time(self) -> None:
        kube = Kube()
        kube.cluster.put(NEW, OPEN)
        kube.gate.clear()
        reader = LiveReader(kube, world())
        looks = [asyncio.create_task(reader.view("new")) for _ in range(100)]
        await asyncio.sleep(0.01)
        kube.gate.set()
        found = await asyncio.gather(*looks)
        assert sum(one.path == NEW for one in kube.requests) == AT_A_TIME
        assert sum(view is not None for view in found) == AT_A_TIME
