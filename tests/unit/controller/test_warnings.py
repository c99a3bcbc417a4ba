"""Questions about Events: what they cost decides when the next one is asked."""

import asyncio

import pytest

from ringfence.controller.agent.warnings import AT_A_TIME, CHEAP_SECONDS, REST_OF_ALL, REST_OF_NAMESPACE, Warnings
from ringfence.kube import ApiError, path_of
from unit.fakes.kube import FakeKube, Request


class Asked:
    """Questions, on a clock that the test moves; each answer takes `seconds`."""

    def __init__(self) -> None:
        self.now, self.seconds = 1000.0, 0.0
        self.kube = FakeKube()
        self.kube.before.append(self._take)
        self.warnings = Warnings(self.kube, clock=lambda: self.now)

    def _take(self, _: Request) -> None:
        self.now += self.seconds

    async def answered(self, namespace: str = "ns") -> bool:
        return await self.warnings.about(namespace, "pod") is not None


@pytest.fixture
def asked() -> Asked:
    return Asked()


async def test_what_is_cheap_is_free(asked: Asked) -> None:
    asked.seconds = CHEAP_SECONDS * 0.9
    for _ in range(20):
        assert await asked.answered()


async def test_what_is_dear_is_asked_seldom(asked: Asked) -> None:
    asked.seconds = 1.0
    assert await asked.answered()
    assert not await asked.answered("other")
    asked.now += REST_OF_ALL + 0.1
    assert not await asked.answered(), "not about this namespace"
    asked.seconds = 0.0
    assert await asked.answered("other")
    asked.now += REST_OF_NAMESPACE
    assert await asked.answered()
    assert asked.warnings._next_of == {}, "nothing is remembered that is over"


async def test_however_many_agents_wait_the_share_of_time_is_bounded(asked: Asked) -> None:
    asked.seconds, begun, spent = 0.5, asked.now, 0.0
    for number in range(5000):
        before = asked.now
        await asked.answered(f"ns-{number % 50}")
        spent += asked.now - before
        asked.now += 0.05
    assert spent / (asked.now - begun) <= 1 / REST_OF_ALL


async def test_few_questions_are_open_at_a_time(asked: Asked) -> None:
    asked.kube.gate.clear()
    waiting = [asyncio.create_task(asked.answered()) for _ in range(AT_A_TIME)]
    await asyncio.sleep(0)
    assert not await asked.answered()
    asked.kube.gate.set()
    assert await asyncio.gather(*waiting) == [True] * AT_A_TIME
    assert await asked.answered()


async def test_what_cannot_be_read_is_none(asked: Asked) -> None:
    asked.kube.refuse(ApiError(403, "Forbidden", "no"), path=path_of("v1", "events", "ns"))
    assert await asked.warnings.about("ns", "pod") == []
