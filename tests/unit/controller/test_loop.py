"""The loop of a reconciler: pauses, mistakes, and nobody disturbed by another. On a clock that the test moves."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from ringfence.controller.runtime import loop as module
from ringfence.controller.runtime.lease import NotLeading
from ringfence.controller.runtime.loop import (
    FIRST_WAIT,
    LONGEST_ERROR_PAUSE,
    LONGEST_WAIT,
    RARELY,
    Look,
    ReconcileLoop,
)
from ringfence.controller.runtime.queue import FIRST_RETRY, LAST_RETRY
from ringfence.kube import ApiError, RingfenceError, Unreachable
from ringfence.telemetry.events import PassEnded


class Scripted:
    """A reconciler whose passes come to what a test says; without a word of it, to nothing more to do."""

    kind = "Thing"

    def __init__(self) -> None:
        self.comes_to: dict[str, Look | Exception] = {}
        self.passes: list[str] = []
        self.told: list[str] = []
        self.telling_fails: Exception | None = None

    async def reconcile(self, key: str) -> Look:
        self.passes.append(key)
        found = self.comes_to.get(key, Look())
        if isinstance(found, Exception):
            raise found
        return found

    async def failed(self, key: str, failure: Exception) -> None:
        self.told.append(f"{key}: {failure}")
        if self.telling_fails:
            raise self.telling_fails

    def about(self, key: str) -> Mapping[str, str]:
        return {"thing": key}


class Place:
    """A loop, and the pauses after which its queue would have keys again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.pauses, self.emitted = 1000.0, list[float](), list[Any]()
        self.reconciler = Scripted()
        self.loop: ReconcileLoop[str] = ReconcileLoop(self.reconciler, self.emitted.append, workers=1)
        monkeypatch.setattr(module, "monotonic", lambda: self.now)
        monkeypatch.setattr(self.loop.queue, "add_after", lambda _, seconds, *__: self.pauses.append(seconds))

    async def once(self, key: str = "a", after: Look | Exception | None = None) -> str:
        """One pass over a key, as a worker does it; what it came to."""
        if after is not None:
            self.reconciler.comes_to[key] = after
        self.loop.queue.add(key)
        assert await self.loop.queue.get() == key
        return await self.loop._pass(key)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(monkeypatch)


async def test_what_is_done_comes_back_by_events_only(place: Place) -> None:
    assert await place.once() == "ok"
    assert place.pauses == []


async def test_it_comes_back_when_it_was_asked_to(place: Place) -> None:
    await place.once(after=Look(after=60.0))
    assert place.pauses == [60.0]


async def test_what_waits_is_looked_at_at_twice_its_age_within_bounds(place: Place) -> None:
    for _ in range(12):
        await place.once(after=Look(waiting=True))
        place.now += place.pauses[-1]
    assert place.pauses[:5] == [FIRST_WAIT, 5.0, 10.0, 20.0, 40.0]
    assert place.pauses[-1] == LONGEST_WAIT
    await place.once(after=Look())
    await place.once(after=Look(waiting=True))
    assert place.pauses[-1] == FIRST_WAIT, "the wait before is over"


async def test_the_sooner_of_two_pauses_counts(place: Place) -> None:
    await place.once(after=Look(after=60.0, waiting=True))
    place.now += 500
    await place.once(after=Look(after=60.0, waiting=True))
    assert place.pauses == [FIRST_WAIT, 60.0]


async def test_what_events_tell_of_is_looked_at_once_an_hour(place: Place) -> None:
    await place.once(after=Look(waiting=True))
    await place.once(after=Look(rarely=True))
    place.now += 500
    await place.once(after=Look(waiting=True))
    await place.once(after=Look(after=60.0, rarely=True))
    assert place.pauses == [FIRST_WAIT, RARELY, FIRST_WAIT, 60.0]


REFUSED = ApiError(422, "Invalid", "no")


async def test_a_failure_is_tried_again_with_doubling_pauses(place: Place) -> None:
    with capture_logs() as said:
        for _ in range(15):
            assert await place.once(after=REFUSED) == "retry"
    assert place.pauses[:3] == [FIRST_RETRY, 2 * FIRST_RETRY, 4 * FIRST_RETRY]
    assert place.pauses[-1] == LAST_RETRY
    assert [(one["event"], one["log_level"], one["thing"], one["why"], one["count"]) for one in said] == [
        ("again later", "info", "a", "422 Invalid: no", count) for count in (1, 2, 4, 8)
    ]
    with capture_logs() as said:
        for _ in range(2):
            await place.once(after=Look())
    assert said == [{"event": "works again", "log_level": "info", "thing": "a", "count": 15}]
    await place.once(after=REFUSED)
    assert place.pauses[-1] == FIRST_RETRY


@pytest.mark.parametrize("failure", [REFUSED, KeyError("x")], ids=["passing", "ours"])
async def test_a_key_that_fails_for_long_has_few_lines(place: Place, failure: Exception) -> None:
    with capture_logs() as said:
        for _ in range(1000):
            await place.once(after=failure)
    assert [one.get("count") for one in said[1:]] == [2**power for power in range(1, 10)]
    assert len(said) == 10


@pytest.mark.parametrize(
    ("failure", "longest"),
    [(Unreachable("down"), 5.0), (NotLeading("x"), 5.0), (REFUSED, LAST_RETRY), (RingfenceError("x"), LAST_RETRY)],
)
async def test_the_longest_pause_depends_on_the_failure(place: Place, failure: Exception, longest: float) -> None:
    for _ in range(15):
        await place.once(after=failure)
    assert place.pauses[-1] == longest


async def test_a_server_that_asks_for_patience_gets_it(place: Place) -> None:
    await place.once(after=ApiError(429, "TooManyRequests", "x", 7.0))
    assert place.pauses == [7.0]


async def test_patience_has_a_bound_where_the_pauses_are_short(place: Place) -> None:
    for asked, pause in ((3.0, 3.0), (1e9, 5.0)):
        failure = ApiError(429, "TooManyRequests", "x", asked)
        failure.longest_pause = 1.0
        await place.once(after=failure)
        assert place.pauses[-1] == pause


async def test_a_namespace_that_ends_is_quiet(place: Place) -> None:
    with capture_logs() as said:
        await place.once(after=ApiError(403, "Forbidden", "it is being terminated"))
        await place.once(after=Look())
    assert [one["log_level"] for one in said] == ["debug"]


class TestMistakes:
    async def test_the_trace_comes_once_and_the_owner_is_told_once(self, place: Place) -> None:
        with capture_logs() as said:
            for _ in range(4):
                assert await place.once(after=KeyError("x")) == "error"
        assert [bool(one.get("exc_info")) for one in said] == [True, False, False]
        assert {(one["event"], one["log_level"], one["thing"]) for one in said} == {("pass failed", "error", "a")}
        assert [one.get("error") for one in said] == [None, "KeyError: 'x'", "KeyError: 'x'"]
        assert place.reconciler.told == ["a: 'x'"]

    async def test_another_mistake_is_told_as_well_and_so_is_one_after_success(self, place: Place) -> None:
        with capture_logs() as said:
            await place.once(after=KeyError("x"))
            await place.once(after=KeyError("y"))
            await place.once(after=Look())
            await place.once(after=KeyError("y"))
        assert said.pop(2) == {"event": "works again", "log_level": "info", "thing": "a", "count": 2}
        assert len(said) == 3
        assert all(one["exc_info"] for one in said)
        assert place.reconciler.told == ["a: 'x'", "a: 'y'", "a: 'y'"]

    async def test_its_pauses_grow_for_longer(self, place: Place) -> None:
        with capture_logs():
            for _ in range(20):
                await place.once(after=KeyError("x"))
        assert place.pauses[0] == FIRST_RETRY
        assert place.pauses[-1] == LONGEST_ERROR_PAUSE

    @pytest.mark.parametrize(("failure", "level"), [(Unreachable("down"), "info"), (ValueError("y"), "error")])
    async def test_that_it_could_not_be_told_ends_nothing(self, place: Place, failure: Exception, level: str) -> None:
        place.reconciler.telling_fails = failure
        with capture_logs() as said:
            assert await place.once(after=KeyError("x")) == "error"
        assert (said[-1]["event"], said[-1]["log_level"]) == ("could not say so in the status", level)

    async def test_a_line_has_a_bound(self, place: Place) -> None:
        with capture_logs() as said:
            for _ in range(2):
                await place.once(after=KeyError("x" * 5000))
        assert len(said[1]["error"]) == 500


async def test_others_are_worked_on_beside_one_that_fails() -> None:
    reconciler, emitted = Scripted(), list[Any]()
    reconciler.comes_to |= {"bad": KeyError("x"), "refused": REFUSED}
    running = ReconcileLoop(reconciler, emitted.append, workers=2)
    for key in ("bad", "refused", "good", "fine"):
        running.queue.add(key)
    with capture_logs():
        task = asyncio.create_task(running.run())
        async with asyncio.timeout(60):
            while sum(isinstance(one, PassEnded) for one in emitted) < 4:  # noqa: ASYNC110 - each of four tells
                await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert {"good", "fine"} <= set(reconciler.passes)
    ended = [one for one in emitted if isinstance(one, PassEnded)]
    assert {one.kind for one in ended} == {"Thing"}
    assert [one.result for one in ended].count("ok") == 2
    assert {"retry", "error"} <= {one.result for one in ended}


async def test_the_end_of_a_worker_is_no_mistake(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async def cancelled(_: str) -> Look:
        raise asyncio.CancelledError

    monkeypatch.setattr(place.reconciler, "reconcile", cancelled)
    with pytest.raises(asyncio.CancelledError):
        await place.once()
    assert place.reconciler.told == []
