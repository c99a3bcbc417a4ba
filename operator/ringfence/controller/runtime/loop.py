"""The loop of a reconciler of any kind: a queue, workers, pauses. No failure of one key reaches another."""

import asyncio
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, Generic, Protocol, TypeVar

import structlog

from ringfence.kube import ApiError, RingfenceError, Unreachable
from ringfence.kube.errors import LONGEST_ASKED
from ringfence.store.urgency import Urgency
from ringfence.telemetry.events import Emit, PassEnded

from .failures import Failures
from .queue import LAST_RETRY, KeyedQueue

log = structlog.get_logger(__name__)

K = TypeVar("K", bound=Hashable)
K_contra = TypeVar("K_contra", bound=Hashable, contravariant=True)

WORKERS = 8
"""Keys worked on at once; each waits for the API server most of the time."""
REPAIR_WORKERS = 8
"""More of them, for repairs alone: a repair does not wait until passes over other agents are through, which takes long
where the API server is slow."""
FIRST_WAIT = 5.0
"""Seconds until the second look at what waits for something. What it waits for wakes it, where an event tells of it."""
LONGEST_WAIT = 600.0
"""Longest pause between such looks. The pause is as long as the wait so far, so each look comes at twice the age."""
RARELY = 3600.0
"""Pause before a look that is to find nothing new."""
LONGEST_ERROR_PAUSE = 300.0
"""Longest pause after a mistake of ours: it will not mend itself within seconds."""
UNREACHABLE_PAUSE = 5.0
"""Longest pause while no answer comes: all keys are to be looked at soon after the first one does."""


@dataclass(frozen=True)
class Look:
    """When to look again, events apart.

    `after`: in so many seconds. `waiting`: at growing intervals. `rarely`: events tell of what it waits for, and a
    comparison of all versions of those that were missed; so once an hour.
    """

    after: float | None = None
    waiting: bool = False
    rarely: bool = False


class Reconciler(Protocol[K_contra]):
    """Looks at one object at a time. Holds no state of its own about objects that would outlive an answer of these."""

    kind: str

    async def reconcile(self, key: K_contra) -> Look:
        """One pass. Raises RingfenceError: the pass is tried again later."""

    async def failed(self, key: K_contra, failure: Exception) -> None:
        """A pass ended by a mistake of ours: say so where its owner looks."""

    def about(self, key: K_contra) -> Mapping[str, str]:
        """The key, as fields of a log line."""


class ReconcileLoop(Generic[K]):
    """Runs one reconciler."""

    def __init__(
        self, reconciler: Reconciler[K], emit: Emit, *, workers: int = WORKERS, repair_workers: int = 0
    ) -> None:
        self.reconciler = reconciler
        self.queue: KeyedQueue[K] = KeyedQueue(reconciler.kind, emit)
        self._emit = emit
        self._workers = workers
        self._repair_workers = repair_workers
        self._waiting_since: dict[K, float] = {}
        self._mistakes: dict[K, str] = {}
        self._failures: Failures[K] = Failures()

    async def run(self) -> None:
        """Work for ever."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._workers):
                group.create_task(self._work(Urgency.LATER), name=f"{self.reconciler.kind} worker {number}")
            for number in range(self._repair_workers):
                group.create_task(self._work(Urgency.REPAIR), name=f"{self.reconciler.kind} repair worker {number}")

    async def _work(self, least: Urgency) -> None:
        while True:
            key = await self.queue.get(least)
            started = monotonic()
            result = await self._pass(key)
            self._emit(PassEnded(self.reconciler.kind, result, monotonic() - started))

    async def _pass(self, key: K) -> str:
        try:
            look = await self.reconciler.reconcile(key)
        except RingfenceError as failure:
            self._retry(key, failure)
            return "retry"
        except asyncio.CancelledError:
            raise
        except Exception as failure:  # noqa: BLE001 - a mistake of ours about one key must not reach the others
            await self._mistake(key, failure)
            return "error"
        self.queue.done(key)
        self._mistakes.pop(key, None)
        if count := self._failures.worked(key):
            log.info("works again", **self.reconciler.about(key), count=count)
        self._again(key, look)
        return "ok"

    def _again(self, key: K, look: Look) -> None:
        pauses = [] if look.after is None else [look.after]
        if look.waiting:
            now = monotonic()
            waited = now - self._waiting_since.setdefault(key, now)
            pauses.append(min(max(waited, FIRST_WAIT), LONGEST_WAIT))
        else:
            self._waiting_since.pop(key, None)
        pauses += [RARELY] if look.rarely else []
        if pauses:
            self.queue.add_after(key, min(pauses))

    def _retry(self, key: K, failure: RingfenceError) -> None:
        longest = UNREACHABLE_PAUSE if isinstance(failure, Unreachable) else LAST_RETRY
        longest = min(longest, failure.longest_pause or longest)
        asked = None if failure.retry_after is None else min(failure.retry_after, max(longest, LONGEST_ASKED))
        pause = self.queue.failed(key, asked, longest=longest)
        told: dict[str, Any] = {**self.reconciler.about(key), "seconds": round(pause, 1), "why": str(failure)}
        if isinstance(failure, ApiError) and failure.terminating:
            log.debug("again later", **told)
            return
        count, tell = self._failures.failed(key, monotonic())
        if tell:
            log.info("again later", **told, count=count)

    async def _mistake(self, key: K, failure: Exception) -> None:
        """The trace once; after that a line now and then, with growing pauses. The object's owner is told as well."""
        about: dict[str, Any] = dict(self.reconciler.about(key))
        text = f"{type(failure).__name__}: {failure}"
        news = self._mistakes.get(key) != text
        count, tell = self._failures.failed(key, monotonic(), news=news)
        if tell and not news:
            log.error("pass failed", **about, error=text[:500], count=count)
        if news:
            log.error("pass failed", **about, exc_info=failure)
            try:
                await self.reconciler.failed(key, failure)
                self._mistakes[key] = text
            except RingfenceError as second:
                log.info("could not say so in the status", **about, why=str(second))
            except Exception:
                log.exception("could not say so in the status", **about)
        self.queue.failed(key, longest=LONGEST_ERROR_PAUSE)  # last: until then no other worker takes the key
