"""What the watches bring into the PolicyContext, and the live reads past them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from ringfence.admission import feed as feed_module
from ringfence.admission.feed import feed
from ringfence.admission.fresh import AT_A_TIME, LiveReader
from ringfence.api.names import AGENTS_LABEL
from ringfence.kube import ApiError, Kube, NotFound, Unreachable
from ringfence.store.context import AGENT_POLICY, NODE, SERVICE_CIDR, SOURCES, PolicyContext
from unit.admission.make import policy, world

OPEN = {"metadata": {"name": "team", "labels": {AGENTS_LABEL: "enabled"}}}


class FakeKube:
    """Answers by path. A value that is an exception is raised, once for each one in a list."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {SOURCES[kind].path: value for kind, value in answers.items()}
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def get(self, path: str) -> Any:
        self.asked.append(path)
        await self.gate.wait()
        return self._found(path.partition("?")[0])

    async def list(self, path: str) -> Any:
        return self._found(path)

    async def list_watch(self, path: str, *, label_selector: str | None = None) -> AsyncIterator[tuple[str, Any]]:
        del label_selector
        yield "SYNC", self._found(path)
        await asyncio.sleep(3600)

    def _found(self, path: str) -> Any:
        found = self.answers.get(path, [])
        if isinstance(found, list) and found and isinstance(found[0], Exception):
            raise found.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


async def fed(kube: FakeKube, *, until: bool = True) -> PolicyContext:
    made = PolicyContext()
    task = asyncio.create_task(feed(cast("Kube", kube), made))
    for _ in range(200):
        await asyncio.sleep(0.005)
        if made.synced is until and until:
            break
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return made


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "RETRY_SECONDS", 0.01)


async def test_all_kinds_are_listed() -> None:
    assert (await fed(FakeKube(Namespace=[OPEN]))).facts("team").namespace_labels == {AGENTS_LABEL: "enabled"}


async def test_a_cluster_without_service_cidrs_is_synced_without_them() -> None:
    made = await fed(FakeKube(ServiceCIDR=NotFound(404, "NotFound", "no such resource")))
    assert made.synced


@pytest.mark.parametrize("kind", [AGENT_POLICY, NODE])
async def test_a_kind_that_decisions_need_must_be_there(kind: str) -> None:
    made = await fed(FakeKube(**{kind: NotFound(404, "NotFound", "no such resource")}), until=False)
    assert made.missing == (kind,)


@pytest.mark.parametrize(
    "failure",
    [ApiError(403, "Forbidden", "no"), Unreachable("gone"), NotFound(404, "NotFound", "not yet"), KeyError("x")],
)
async def test_a_failure_is_tried_again_and_stops_no_other_kind(failure: Exception) -> None:
    assert (await fed(FakeKube(AgentPolicy=[failure, failure]))).synced


async def test_service_cidrs_that_may_not_be_read_are_not_taken_for_absent() -> None:
    made = await fed(FakeKube(ServiceCIDR=ApiError(403, "Forbidden", "no")), until=False)
    assert made.missing == (SERVICE_CIDR,)


async def test_the_same_failure_is_told_once() -> None:
    kube = FakeKube(AgentPolicy=[*[Unreachable("gone")] * 5, *[Unreachable("still")] * 5])
    with capture_logs() as logs:
        await fed(kube)
    assert [entry["error"] for entry in logs] == ["gone", "still"]


class TestFresh:
    async def test_it_reads_the_namespace_and_all_policies(self) -> None:
        kube = FakeKube(AgentPolicy=[policy({}, name="b"), policy({}, name="a")])
        kube.answers["/api/v1/namespaces/new"] = OPEN
        view = await LiveReader(cast("Kube", kube), world()).view("new")
        assert view is not None
        assert view.facts("new").namespace_labels == {AGENTS_LABEL: "enabled"}
        assert [one.name for one in view.policies()] == ["a", "b"]

    async def test_the_cache_stays_as_it_is(self) -> None:
        kube, cache = FakeKube(), world()
        kube.answers["/api/v1/namespaces/new"] = OPEN
        await LiveReader(cast("Kube", kube), cache).view("new")
        assert cache.facts("new").namespace_labels == {}

    @pytest.mark.parametrize(
        "failure", [NotFound(404, "", ""), ApiError(500, "", ""), Unreachable("gone"), TimeoutError()]
    )
    async def test_without_an_answer_there_is_no_view(self, failure: Exception) -> None:
        kube = FakeKube()
        kube.answers["/api/v1/namespaces/new"] = failure
        assert await LiveReader(cast("Kube", kube), world()).view("new") is None

    async def test_a_flood_of_refusals_asks_only_a_few_times_at_a_time(self) -> None:
        kube = FakeKube()
        kube.answers["/api/v1/namespaces/new"] = OPEN
        kube.gate.clear()
        fresh = LiveReader(cast("Kube", kube), world())
        looks = [asyncio.create_task(fresh.view("new")) for _ in range(100)]
        await asyncio.sleep(0.01)
        kube.gate.set()
        found = await asyncio.gather(*looks)
        assert len(kube.asked) == AT_A_TIME
        assert sum(view is not None for view in found) == AT_A_TIME
