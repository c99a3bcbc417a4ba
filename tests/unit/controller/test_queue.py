"""The queue: each key once, by one worker at a time, again after a failure. On a clock that the test moves."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from ringfence.controller.runtime.queue import FIRST_RETRY, LAST_RETRY, QUICK_RETRIES, KeyedQueue
from ringfence.store.records import Key
from ringfence.store.urgency import Urgency


class Timers:
    """Stands in for the event loop's clock: `call_at` is remembered and fired by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self._set: list[tuple[asyncio.TimerHandle, Callable[..., None], tuple[Any, ...]]] = []
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "time", lambda: self.now)
        monkeypatch.setattr(loop, "call_at", self._call_at)

    def _call_at(self, at: float, call: Callable[..., None], *args: Any, **_: Any) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(at, call, args, asyncio.get_running_loop())
        self._set.append((handle, call, args))
        return handle

    def move(self, seconds: float) -> None:
        self.now += seconds
        due = [one for one in self._set if one[0].when() <= self.now]
        self._set = [one for one in self._set if one[0].when() > self.now]
        for handle, call, args in due:
            if not handle.cancelled():
                call(*args)


@pytest.fixture
async def timers(monkeypatch: pytest.MonkeyPatch) -> Timers:
    return Timers(monkeypatch)


@pytest.fixture
async def queue() -> KeyedQueue[str]:
    return KeyedQueue()


async def test_a_key_waits_once_however_often_it_is_added(queue: KeyedQueue[str]) -> None:
    for _ in range(3):
        queue.add("a")
    queue.add("b")
    assert len(queue) == 2
    assert [await queue.get(), await queue.get()] == ["a", "b"]
    assert len(queue) == 0


async def test_what_is_added_during_the_work_is_worked_on_once_more(queue: KeyedQueue[str]) -> None:
    queue.add("a")
    await queue.get()
    queue.add("a")
    queue.add("a")
    assert len(queue) == 0, "not by a second worker at the same time"
    queue.done("a")
    assert await queue.get() == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_pauses_double_up_to_a_bound_and_start_anew_after_success(queue: KeyedQueue[str], timers: Timers) -> None:
    pauses = []
    for _ in range(14):
        queue.add("a")
        await queue.get()
        pauses.append(queue.failed("a"))
    assert pauses[:4] == [FIRST_RETRY, 2 * FIRST_RETRY, 4 * FIRST_RETRY, 8 * FIRST_RETRY]
    assert pauses[-1] == LAST_RETRY
    queue.add("a")
    await queue.get()
    queue.done("a")
    queue.add("a")
    await queue.get()
    assert queue.failed("a") == FIRST_RETRY


async def test_a_server_that_asks_for_patience_gets_it_within_bounds(queue: KeyedQueue[str], timers: Timers) -> None:
    for asked, given in ((7.0, 7.0), (1e9, LAST_RETRY), (0.0, 4 * FIRST_RETRY)):
        queue.add("a")
        await queue.get()
        assert queue.failed("a", asked) == given


async def test_a_bound_of_its_own(queue: KeyedQueue[str], timers: Timers) -> None:
    for _ in range(12):
        queue.add("a")
        await queue.get()
        pause = queue.failed("a", longest=5.0)
    assert pause == 5.0


async def test_a_failed_key_comes_back_by_itself(queue: KeyedQueue[str], timers: Timers) -> None:
    queue.add("a")
    await queue.get()
    pause = queue.failed("a")
    timers.move(pause * 0.9)
    assert len(queue) == 0
    timers.move(pause * 0.2)
    assert await queue.get() == "a"


async def test_what_failed_is_tried_at_once_when_its_cause_is_over(queue: KeyedQueue[str], timers: Timers) -> None:
    for key, urgency in (("a", Urgency.LATER), ("b", Urgency.REPAIR)):
        queue.add(key, urgency)
        for _ in range(QUICK_RETRIES + 5):
            assert await queue.get() == key
            pause = queue.failed(key)
            queue.add(key)
        assert pause > 8 * FIRST_RETRY
        await queue.get()
        queue.failed(key)
    queue.add_after("waits", 30.0)
    queue.hasten()
    assert [await queue.get() for _ in range(len(queue))] == ["b", "a"], "repairs first, and nothing else"
    assert queue.failed("b") == FIRST_RETRY
    queue.done("a")
    queue.hasten()
    assert await queue.get() == "b"
    assert len(queue) == 0, "what is done is not tried again"


async def test_news_does_not_wait_for_the_pause(queue: KeyedQueue[str], timers: Timers) -> None:
    queue.add("a")
    await queue.get()
    queue.failed("a")
    queue.add("a")
    assert await queue.get() == "a"
    queue.done("a")
    timers.move(LAST_RETRY)
    assert len(queue) == 0, "the timer of the failure is gone with it"


async def test_news_during_the_work_that_fails(queue: KeyedQueue[str], timers: Timers) -> None:
    queue.add("a")
    await queue.get()
    queue.add("a")
    queue.failed("a")
    assert await queue.get() == "a"
    queue.done("a")
    timers.move(LAST_RETRY)
    assert len(queue) == 0


async def test_the_earlier_of_two_timers_wins(queue: KeyedQueue[str], timers: Timers) -> None:
    queue.add_after("a", 10)
    queue.add_after("a", 5)
    queue.add_after("a", 20)
    timers.move(6)
    assert len(queue) == 1
    await queue.get()
    queue.done("a")
    timers.move(30)
    assert len(queue) == 0


async def test_a_timer_for_what_waits_anyway_is_not_set(queue: KeyedQueue[str], timers: Timers) -> None:
    queue.add("a")
    queue.add_after("a", 1)
    await queue.get()
    queue.done("a")
    timers.move(2)
    assert len(queue) == 0


async def test_the_more_urgent_first(queue: KeyedQueue[str]) -> None:
    queue.add("wait")
    queue.add("new", Urgency.CHANGE)
    queue.add("repair", Urgency.REPAIR)
    assert [await queue.get() for _ in range(3)] == ["repair", "new", "wait"]


async def test_a_key_is_as_urgent_as_the_most_urgent_that_asked(queue: KeyedQueue[str]) -> None:
    queue.add("a", Urgency.CHANGE)
    queue.add("b")
    queue.add("b", Urgency.REPAIR)
    queue.add("b")
    assert len(queue) == 2
    assert [await queue.get(), await queue.get()] == ["b", "a"]
    assert len(queue) == 0


async def test_what_is_added_during_the_work_keeps_its_urgency(queue: KeyedQueue[str]) -> None:
    queue.add("a")
    await queue.get()
    queue.add("a", Urgency.REPAIR)
    queue.add("a")
    queue.add("b", Urgency.CHANGE)
    queue.done("a")
    assert await queue.get() == "a"


async def test_a_repair_that_failed_stays_urgent_for_a_while(queue: KeyedQueue[str], timers: Timers) -> None:
    for count in range(1, QUICK_RETRIES + 2):
        queue.add("a", Urgency.REPAIR)
        await queue.get()
        timers.move(queue.failed("a"))
        queue.add("b", Urgency.CHANGE)
        first = await queue.get()
        assert first == ("a" if count <= QUICK_RETRIES else "b")
        second = await queue.get()
        assert {first, second} == {"a", "b"}
        queue.done("b")
        queue._running.pop("a")


async def test_other_failures_wait_behind_everything(queue: KeyedQueue[str], timers: Timers) -> None:
    queue.add("a", Urgency.CHANGE)
    await queue.get()
    timers.move(queue.failed("a"))
    queue.add("b", Urgency.CHANGE)
    assert [await queue.get(), await queue.get()] == ["b", "a"]


async def test_news_that_overtake_a_pause_keep_its_urgency(queue: KeyedQueue[str], timers: Timers) -> None:
    queue.add("a", Urgency.REPAIR)
    await queue.get()
    queue.failed("a")
    queue.add("b", Urgency.CHANGE)
    queue.add("a")
    assert await queue.get() == "a"


async def test_namespaces_take_turns() -> None:
    queue: KeyedQueue[Key] = KeyedQueue()
    for number in range(5):
        queue.add(Key("crowd", str(number)))
    queue.add(Key("other", "x"))
    assert [(await queue.get()).namespace for _ in range(3)] == ["crowd", "other", "crowd"]


async def test_a_worker_for_repairs_takes_nothing_else(queue: KeyedQueue[str]) -> None:
    worker = asyncio.create_task(queue.get(Urgency.REPAIR))
    await asyncio.sleep(0)
    queue.add("a")
    queue.add("b", Urgency.CHANGE)
    await asyncio.sleep(0)
    assert not worker.done()
    queue.add("c", Urgency.REPAIR)
    assert await worker == "c"
    assert len(queue) == 2


async def test_nothing_is_lost_when_a_worker_ends_as_it_is_roused(queue: KeyedQueue[str]) -> None:
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    first.cancel()
    async with asyncio.timeout(150):
        assert await second == "a"
    assert first.cancelled()


async def test_every_worker_gets_something(queue: KeyedQueue[str]) -> None:
    workers = [asyncio.create_task(queue.get()) for _ in range(5)]
    await asyncio.sleep(0)
    for key in "abcde":
        queue.add(key)
    async with asyncio.timeout(150):
        assert sorted(await asyncio.gather(*workers)) == list("abcde")
