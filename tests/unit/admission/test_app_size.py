"""The application over ASGI: what is large, and how much at once."""

import asyncio
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from ringfence.admission import app as app_module
from ringfence.admission import body as body_module
from ringfence.admission.app import Admission
from ringfence.admission.body import MAX_REVIEW, ByteBudget, announced
from ringfence.store.context import View
from ringfence.store.sources import NAMESPACE
from unit.admission.exchange import BAD, Exchange, send
from unit.admission.make import IMAGE, agent, encoded, policy, review, world


class TestLargeReviews:
    """A review of some MiB is decoded and judged apart, so that small ones are answered meanwhile."""

    LARGE = encoded(review(agent(BAD, annotations={"a": "x" * app_module.LARGE})))

    @staticmethod
    def held(
        monkeypatch: pytest.MonkeyPatch, name: str, is_large: Callable[[Any], bool]
    ) -> tuple[threading.Event, threading.Event]:
        """Make a step of large reviews say that it has begun, and wait until it may go on: the two events."""
        begun, go, step = threading.Event(), threading.Event(), getattr(app_module, name)

        def wait_for_it(given: Any, *more: Any) -> Any:
            if is_large(given):
                begun.set()
                assert go.wait(30), "nobody let it go on"
            return step(given, *more)

        monkeypatch.setattr(app_module, name, wait_for_it)
        return begun, go

    @pytest.mark.parametrize("step", ["read", "judge"])
    async def test_small_ones_are_answered_while_a_large_one_is_worked_on(
        self, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        def is_large(given: Any) -> bool:
            return len(given) > app_module.LARGE if step == "read" else "annotations" in given.object["metadata"]

        begun, go = self.held(monkeypatch, step, is_large)
        app = Admission(world())
        large = asyncio.create_task(send(app, self.LARGE))
        try:
            assert await asyncio.to_thread(begun.wait, 30)
            for _ in range(3):
                assert (await self.small(app)).response["allowed"] is True
            assert not large.done()
        finally:
            go.set()
        assert "ImageNoDigest" in (await large).response["status"]["message"]

    @staticmethod
    async def small(app: Admission) -> Exchange:
        """One that says how long it is, as the API server does."""
        body = encoded(review(agent()))
        return await send(app, body, headers=[(b"content-length", str(len(body)).encode())])

    async def test_small_ones_do_not_wait_for_the_memory_that_large_ones_hold(self) -> None:
        app = Admission(world())
        async with app._budget.hold(body_module.BODY_BYTES):
            waiting = asyncio.create_task(send(app, self.LARGE))
            assert (await self.small(app)).response["allowed"] is True
            assert not waiting.done()
        assert (await waiting).response["allowed"] is False

    async def test_one_that_cannot_be_read_is_a_400(self) -> None:
        assert (await send(Admission(world()), b"[" + b"0," * app_module.LARGE)).status == 400

    async def test_the_live_reader_is_asked_about_large_ones_too(self) -> None:
        behind = world()
        behind.observe(NAMESPACE, "MODIFIED", {"metadata": {"name": "team"}})
        large = encoded(review(agent(annotations={"a": "x" * app_module.LARGE})))
        stored = TestLiveReader.Stored(world())
        assert (await send(Admission(behind, stored), large)).response["allowed"] is True


class TestLiveReader:
    class Stored:
        def __init__(self, view: View | None) -> None:
            self.found = view
            self.asked: list[str] = []

        async def view(self, namespace: str, targets: Collection[str] = ()) -> View | None:
            self.asked.append(namespace)
            return self.found

        async def stored(self, namespace: str, name: str) -> Mapping[str, Any] | None:
            raise AssertionError("only of what is scaled")

    async def test_a_namespace_that_was_just_opened_counts(self) -> None:
        stored = self.Stored(world())
        behind = world()
        behind.observe(NAMESPACE, "MODIFIED", {"metadata": {"name": "team"}})
        assert (await send(Admission(behind, stored), encoded(review(agent())))).response["allowed"] is True
        assert stored.asked == ["team"]

    async def test_a_refusal_that_stands_is_a_refusal(self) -> None:
        stored = self.Stored(world())
        assert (await send(Admission(world(), stored), encoded(review(agent(BAD))))).response["allowed"] is False

    async def test_where_nothing_can_be_read_the_cache_decides(self) -> None:
        stored = self.Stored(None)
        assert (await send(Admission(world(), stored), encoded(review(agent(BAD))))).response["allowed"] is False

    async def test_a_yes_is_not_looked_at_twice(self) -> None:
        stored = self.Stored(world())
        await send(Admission(world(), stored), encoded(review(agent())))
        assert stored.asked == []


class TestScale:
    """The API server shows a Scale: the number of pods, and no word of what they are."""

    ALLOWED: ClassVar = policy({"limits": {"perAgent": {"replicas": 3, "cpu": "2"}}})

    @dataclass
    class Stored:
        found: Mapping[str, Any] | None

        async def view(self, namespace: str, targets: Collection[str] = ()) -> View | None:
            return None

        async def stored(self, namespace: str, name: str) -> Mapping[str, Any] | None:
            assert (namespace, name) == ("team", "researcher")
            return self.found

    async def scaled(self, stored: Mapping[str, Any] | None, spec: Mapping[str, Any]) -> dict[str, Any]:
        body = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "researcher"}, "spec": spec}
        asked = review(body, body, subResource="scale")
        return (await send(Admission(world(self.ALLOWED), self.Stored(stored)), encoded(asked))).response

    @pytest.mark.parametrize(
        ("spec", "said"),
        [
            ({"replicas": 2}, None),
            ({}, None),
            ({"replicas": 4}, "ReplicasAbovePolicy"),
            ({"replicas": 3}, "CpuAbovePolicy"),
            ({"replicas": "2"}, "InvalidField"),
            ({"replicas": 101}, "InvalidField"),
        ],
        ids=["within", "to zero", "too many", "too much together", "no number", "more than any has"],
    )
    async def test_it_is_decided_as_a_change_of_the_whole(self, spec: Mapping[str, Any], said: str | None) -> None:
        found = await self.scaled(agent(), spec)
        assert found["allowed"] is (said is None)
        assert (said or "") in found.get("status", {}).get("message", "")

    async def test_what_cannot_be_read_is_not_scaled(self) -> None:
        found = await self.scaled(None, {"replicas": 1})
        assert (found["allowed"], found["status"]["code"]) == (False, 503)

    async def test_without_a_reader_nothing_is_scaled(self) -> None:
        asked = review({"spec": {"replicas": 1}}, {}, subResource="scale")
        assert (await send(Admission(world()), encoded(asked))).response["allowed"] is False

    async def test_a_number_that_stays_locks_nobody_out(self) -> None:
        found = await self.scaled(agent({"image": IMAGE, "replicas": 9}), {"replicas": 9})
        assert found["allowed"] is True
        assert "no longer allowed" in found["warnings"][0]


class TestByteBudget:
    async def test_bodies_wait_for_their_turn_in_order(self) -> None:
        budget, order = ByteBudget(10), []

        async def use(name: str, size: int) -> None:
            async with budget.hold(size):
                order.append(name)
                await asyncio.sleep(0.01)

        await asyncio.gather(use("a", 8), use("b", 8), use("c", 2), use("d", 10))
        assert order == ["a", "b", "c", "d"]

    async def test_one_that_gives_up_lets_the_next_in(self) -> None:
        budget = ByteBudget(10)
        async with budget.hold(10):
            waiting = asyncio.create_task(self._hold(budget, 5))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        async with asyncio.timeout(150), budget.hold(10):
            pass

    async def test_one_that_is_cancelled_as_its_turn_comes_gives_it_back(self) -> None:
        budget = ByteBudget(10)
        async with budget.hold(10):
            waiting = asyncio.create_task(self._hold(budget, 10))
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        async with asyncio.timeout(150), budget.hold(10):
            pass

    @staticmethod
    async def _hold(budget: ByteBudget, size: int) -> None:
        async with budget.hold(size):
            await asyncio.sleep(0)

    async def test_the_budget_holds_at_least_one_review(self) -> None:
        assert body_module.BODY_BYTES >= MAX_REVIEW

    @pytest.mark.parametrize(
        ("length", "held"),
        [(b"17", 17), (b"99999999", MAX_REVIEW), (b"", MAX_REVIEW), (b"-1", MAX_REVIEW), (b"9" * 5000, MAX_REVIEW)],
    )
    def test_what_is_set_aside(self, length: bytes, held: int) -> None:
        assert announced({b"content-length": length}) == held
