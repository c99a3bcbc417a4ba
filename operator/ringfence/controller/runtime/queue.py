"""A queue of keys: each key is in it once, is worked on by one worker at a time, and comes back after a failure.

The shape of client-go's work queue: what is added while it is being worked on is worked on once more afterwards. In
which order keys are taken is fair_queue.py's.
"""

import asyncio
from collections.abc import Callable, Hashable
from time import monotonic
from typing import Generic, TypeVar

from ringfence.store.urgency import Urgency
from ringfence.telemetry.events import Emit, QueueChanged, silent

from .fair_queue import FairQueue

K = TypeVar("K", bound=Hashable)

FIRST_RETRY = 0.1
"""Seconds before the first retry; doubles with each failure in a row."""
LAST_RETRY = 60.0
"""Longest pause between retries, in seconds."""


QUICK_RETRIES = 5
"""Failures in a row (3 seconds) for which a repair stays as urgent as it was: a conflict must not make it wait."""


def of_namespace(key: Hashable) -> Hashable:
    """The share of a key: the namespace of its object, where it has one."""
    return getattr(key, "namespace", None)


class KeyedQueue(Generic[K]):
    """For one event loop. `kind`: of the objects that the keys name. `share`: among what keys take turns."""

    def __init__(
        self, kind: str = "", emit: Emit = silent, *, share: Callable[[Hashable], Hashable] = of_namespace
    ) -> None:
        self._kind = kind
        self._emit = emit
        self._share = share
        self._fair: FairQueue[K] = FairQueue()
        self._waiting: dict[K, float] = {}
        self._running: dict[K, Urgency] = {}
        self._again: dict[K, Urgency] = {}
        self._failures: dict[K, int] = {}
        self._begun: dict[K, Urgency] = {}
        self._timers: dict[K, tuple[asyncio.TimerHandle, Urgency]] = {}
        self._idle: list[tuple[Urgency, asyncio.Future[None]]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: K, urgency: Urgency = Urgency.LATER) -> None:
        """Have `key` worked on soon. Once, however often it is added before that; as urgently as anybody asked."""
        if (planned := self._cancel_timer(key)) is not None:
            urgency = min(urgency, planned)
        if key in self._running:
            self._again[key] = min(urgency, self._again.get(key, urgency))
            return
        if self._fair.put(key, self._share(key), urgency):
            self._waiting[key] = monotonic()
            self._emit(QueueChanged(self._kind, len(self._waiting), added=True))
        self._rouse(urgency)

    def add_after(self, key: K, seconds: float, urgency: Urgency = Urgency.LATER) -> None:
        """Have `key` worked on after a while, unless it is sooner anyway."""
        if key in self._waiting or key in self._again:
            return
        loop = asyncio.get_running_loop()
        at = loop.time() + seconds
        if (timer := self._timers.get(key)) and timer[0].when() <= at:
            return
        self._cancel_timer(key)
        self._timers[key] = loop.call_at(at, self._fire, key), urgency

    async def get(self, least: Urgency = Urgency.LATER) -> K:
        """The next key that is at least as urgent as `least`; call `done` or `failed` with it afterwards."""
        while (found := self._fair.take(least)) is None:
            await self._sleep(least)
        key, self._running[found[0]] = found
        waited = monotonic() - self._waiting.pop(key)
        self._emit(QueueChanged(self._kind, len(self._waiting), waited=waited))
        return key

    def done(self, key: K) -> None:
        """It went well: the next failure starts with the shortest pause again."""
        self._failures.pop(key, None)
        self._begun.pop(key, None)
        self._finish(key)

    def hasten(self) -> None:
        """What they failed for is over: all that wait for another try are tried at once, as urgent as they were first.

        How many of them at a time, the number of workers bounds.
        """
        for key in [key for key in self._failures if key in self._timers]:
            self._failures[key] = 0
            self.add(key, self._begun.get(key, Urgency.LATER))

    def failed(self, key: K, retry_after: float | None = None, *, longest: float = LAST_RETRY) -> float:
        """It failed: it comes back after a pause that doubles, up to `longest`. Returns the pause in seconds."""
        count = self._failures[key] = self._failures.get(key, 0) + 1
        pause = max(min(FIRST_RETRY * 2.0 ** min(count - 1, 20), longest), min(retry_after or 0.0, LAST_RETRY))
        self._emit(QueueChanged(self._kind, len(self._waiting), retried=True))
        urgency = self._running.get(key, Urgency.LATER)
        self._begun[key] = min(urgency, self._begun.get(key, urgency))
        repairs = urgency is Urgency.REPAIR and count <= QUICK_RETRIES
        self._finish(key)
        self.add_after(key, pause, Urgency.REPAIR if repairs else Urgency.LATER)
        return pause

    def _finish(self, key: K) -> None:
        self._running.pop(key, None)
        if (urgency := self._again.pop(key, None)) is not None:
            self.add(key, urgency)

    def _fire(self, key: K) -> None:
        _, urgency = self._timers.pop(key)
        self.add(key, urgency)

    def _cancel_timer(self, key: K) -> Urgency | None:
        """How urgent it would have been."""
        if (timer := self._timers.pop(key, None)) is None:
            return None
        timer[0].cancel()
        return timer[1]

    async def _sleep(self, least: Urgency) -> None:
        """Until something may be there."""
        idle = least, asyncio.get_running_loop().create_future()
        self._idle.append(idle)
        try:
            await idle[1]
        except asyncio.CancelledError:
            if idle[1].done() and not idle[1].cancelled():  # roused, and now ended: another takes what is there
                self._rouse(Urgency.REPAIR)
            raise
        finally:
            if idle in self._idle:
                self._idle.remove(idle)

    def _rouse(self, urgency: Urgency) -> None:
        """Have one worker look that takes what is so urgent."""
        for idle in self._idle:
            if idle[0] >= urgency:
                self._idle.remove(idle)
                idle[1].set_result(None)
                return
