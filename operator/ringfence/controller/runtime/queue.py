"""A queue of keys: each key is in it once, is worked on by one worker at a time, and comes back after a failure.

The shape of client-go's work queue: what is added while it is being worked on is worked on once more afterwards.
"""

import asyncio
from collections.abc import Hashable
from time import monotonic
from typing import Generic, TypeVar

from ringfence.telemetry.events import Emit, QueueChanged, silent

K = TypeVar("K", bound=Hashable)

FIRST_RETRY = 0.1
"""Seconds before the first retry; doubles with each failure in a row."""
LAST_RETRY = 60.0
"""Longest pause between retries, in seconds."""


class KeyedQueue(Generic[K]):
    """For one event loop. `kind`: of the objects that the keys name."""

    def __init__(self, kind: str = "", emit: Emit = silent) -> None:
        self._kind = kind
        self._emit = emit
        self._ready: asyncio.Queue[K] = asyncio.Queue()
        self._waiting: dict[K, float] = {}
        self._running: set[K] = set()
        self._again: set[K] = set()
        self._failures: dict[K, int] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: K) -> None:
        """Have `key` worked on soon. Once, however often it is added before that."""
        self._cancel_timer(key)
        if key in self._running:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting[key] = monotonic()
            self._ready.put_nowait(key)
            self._emit(QueueChanged(self._kind, len(self._waiting), added=True))

    def add_after(self, key: K, seconds: float) -> None:
        """Have `key` worked on after a while, unless it is sooner anyway."""
        if key in self._waiting or key in self._again:
            return
        loop = asyncio.get_running_loop()
        at = loop.time() + seconds
        if (timer := self._timers.get(key)) and timer.when() <= at:
            return
        self._cancel_timer(key)
        self._timers[key] = loop.call_at(at, self._fire, key)

    async def get(self) -> K:
        """The next key; call `done` or `failed` with it afterwards."""
        key = await self._ready.get()
        waited = monotonic() - self._waiting.pop(key)
        self._running.add(key)
        self._emit(QueueChanged(self._kind, len(self._waiting), waited=waited))
        return key

    def done(self, key: K) -> None:
        """It went well: the next failure starts with the shortest pause again."""
        self._failures.pop(key, None)
        self._finish(key)

    def failed(self, key: K, retry_after: float | None = None, *, longest: float = LAST_RETRY) -> float:
        """It failed: it comes back after a pause that doubles, up to `longest`. Returns the pause in seconds."""
        count = self._failures[key] = self._failures.get(key, 0) + 1
        pause = max(min(FIRST_RETRY * 2.0 ** min(count - 1, 20), longest), min(retry_after or 0.0, LAST_RETRY))
        self._emit(QueueChanged(self._kind, len(self._waiting), retried=True))
        self._finish(key)
        self.add_after(key, pause)
        return pause

    def _finish(self, key: K) -> None:
        self._running.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _fire(self, key: K) -> None:
        self._timers.pop(key, None)
        self.add(key)

    def _cancel_timer(self, key: K) -> None:
        if timer := self._timers.pop(key, None):
            timer.cancel()
