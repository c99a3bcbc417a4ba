"""No pod without a gate: what a pass does while the canary is not known, and how it becomes known."""

import asyncio
import contextlib
from typing import Any

import pytest
from structlog.testing import capture_logs

from ringfence.controller import canary
from ringfence.controller.agent.errors import Requeue
from ringfence.controller.agent.gate import NO_CANARY
from ringfence.controller.agent.plan import plan
from ringfence.controller.canary import Canary
from ringfence.kube import ApiError, Unreachable, path_of
from ringfence.resources import JobImage
from ringfence.resources.model import Gate
from unit.controller.make import DEPLOYMENT, GATE, JOBS, all_children, observed, remembered, told
from unit.controller.test_reconciler import Place
from unit.fakes.kube import FakeKube

PATH = path_of("v1", "services", "system", "ringfence-canary")
SCHEDULE = {"run": {"mode": "Schedule", "schedule": "0 3 * * *"}}


@pytest.mark.parametrize("spec", [{}, {"run": {"mode": "Job"}}, SCHEDULE], ids=["Deployment", "Job", "CronJob"])
def test_without_a_canary_the_fence_is_made_and_no_pod(spec: Any) -> None:
    found = told(plan(observed(spec, gate=None)))
    assert found[:3] == ["absent NetworkPolicy/-deny", "absent NetworkPolicy/-allow", "absent ServiceAccount/"]
    assert found[3:] == [NO_CANARY]


def test_what_runs_is_left_alone_while_the_canary_is_not_known() -> None:
    children = all_children()
    seen = observed(accepted=1, children=children, ownership=remembered(children), gate=None)
    planned = plan(seen)
    assert told(planned) == [NO_CANARY]
    assert DEPLOYMENT in planned.children  # and so it is not taken away


def test_a_pod_template_without_a_gate_is_put_right() -> None:
    bare = [one for one in all_children(gate=None) if one.ref == DEPLOYMENT]
    children = [*(one for one in all_children() if one.ref != DEPLOYMENT), *bare]
    assert told(plan(observed(accepted=1, children=children))) == ["wrong Deployment/ known keep"]


async def test_an_agent_without_a_canary_says_what_to_do() -> None:
    place = Place()
    place.reconciler.observer.gate = None
    place.deploy()
    with pytest.raises(Requeue, match="does not know Ringfence's canary"):
        await place.reconcile()
    assert not any("deployments/" in one and "agentdeployments" not in one for one in place.take())
    assert place.condition("NetworkPolicyApplied")[0] == "True"
    (condition,) = [one for one in place.status["conditions"] if one["type"] == "WorkloadAvailable"]
    assert condition["status"] == "False"
    assert "helm upgrade" in condition["message"]
    place.reconciler.observer.gate = GATE
    await place.reconcile()
    made = place.kube.objects["/apis/apps/v1/namespaces/team/deployments/ringfence-a"]
    assert made["spec"]["template"]["spec"]["initContainers"][0]["args"][1] == "--denied=TCP:10.96.0.9:7007"


# --- where it is


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "AGAIN_SECONDS", 0)
    monkeypatch.setattr(canary, "LOOK_SECONDS", 0)


@pytest.fixture
def kube() -> FakeKube:
    return FakeKube()


def store(kube: FakeKube, address: str = "10.96.0.9") -> None:
    kube.cluster.put(PATH, {"metadata": {}, "spec": {"clusterIP": address, "ports": [{"port": 7007}, {"port": 7008}]}})


async def found(kube: FakeKube, image: JobImage | None = JOBS, given: tuple[str, int] | None = None) -> Gate | None:
    async with asyncio.timeout(60):
        return await Canary(kube, "system", "ringfence-canary", image, given).found(asyncio.Event())


async def test_it_is_where_its_service_is(kube: FakeKube) -> None:
    store(kube)
    assert await found(kube) == GATE


async def test_who_is_told_where_it_is_asks_nobody(kube: FakeKube) -> None:
    assert await found(kube, given=("10.96.0.9", 7007)) == GATE
    assert kube.requests == []


async def test_without_an_image_or_a_service_there_is_no_gate_and_the_log_says_so(kube: FakeKube) -> None:
    with capture_logs() as lines:
        assert await found(kube) is None
        assert await found(kube, image=None) is None
    assert [line["log_level"] for line in lines] == ["error", "error"]
    assert lines[0]["service"] == "system/ringfence-canary"
    assert "--job-image" in lines[1]["event"]


@pytest.mark.parametrize("failure", [Unreachable("no"), ApiError(503, "ServiceUnavailable", "busy")], ids=str)
async def test_what_passes_is_waited_for(kube: FakeKube, failure: Exception) -> None:
    store(kube)
    kube.refuse(failure, times=2)
    assert await found(kube) == GATE


async def follow(kube: FakeKube, known: Gate | None, until: int) -> list[Gate]:
    news: list[Gate] = []
    task = asyncio.create_task(Canary(kube, "system", "ringfence-canary", JOBS).follow(known, news.append))
    async with asyncio.timeout(60):
        while len(kube.requests) < until:  # noqa: ASYNC110 - the fake tells nobody
            await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return news


async def test_a_service_that_comes_later_is_found(kube: FakeKube) -> None:
    assert await follow(kube, None, 3) == []
    store(kube)
    assert await follow(kube, None, 8) == [GATE]


async def test_one_that_moved_is_told_once_and_one_that_is_gone_not_at_all(kube: FakeKube) -> None:
    store(kube, "10.96.0.77")
    assert await follow(kube, GATE, 5) == [Gate(JOBS, "10.96.0.77", 7007)]
    kube.cluster.remove(PATH)
    assert await follow(kube, GATE, 10) == []
