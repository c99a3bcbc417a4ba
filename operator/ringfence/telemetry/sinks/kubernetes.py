"""Events of the domain as Kubernetes Events: what a person would want to know, said once.

They are written in the background, for they are the least of what an agent needs: a burst of them waits in a bounded
queue, and what does not fit is dropped and counted.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Final
from uuid import uuid4

import structlog

from ringfence.api.names import MANAGED_BY
from ringfence.kube import ApiError, Kube, Object, Unreachable, path_of
from ringfence.policy.text import clean
from ringfence.telemetry.metrics import EVENTS_DROPPED

from .sentences import Sentence, sentence_of

log = structlog.get_logger(__name__)

QUIET_SECONDS: Final = 300.0
"""The same sentence about the same agent is not said again for so long: it is counted."""
COUNT_SECONDS: Final = 5.0
"""Between two writes of such counts."""
REMEMBERED: Final = 4096
"""Sentences remembered; more agents than that repeat themselves a little."""
MAX_NOTE: Final = 1000
"""The API server's bound on an Event's message is 1,024 bytes."""
WAITING: Final = 20_000
"""Events that may wait to be written: two of each of ten thousand agents. Some 20 MiB."""
WRITERS: Final = 2
"""Written at a time: the rest of the connections is for what agents need."""
TRIES: Final = 6
PAUSE: Final = 1.0
"""Seconds before the second try to write an Event, and so much more before each further one: 15 in all. What waits
behind it waits as long, for it would fare no better."""


@dataclass
class _Said:
    """One Event: when it was said, and how often that happened."""

    at: float
    body: Object
    count: int = 1


class KubernetesEventSink:
    """Takes events of the domain at once; `run` writes them."""

    def __init__(
        self,
        kube: Kube,
        *,
        instance: str,
        leading: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._kube = kube
        self._instance = instance
        self._leading = leading
        self._clock = clock
        self._said: OrderedDict[tuple[str, str, str], _Said] = OrderedDict()
        self._waiting: asyncio.Queue[Object] = asyncio.Queue(WAITING)
        self._repeated: dict[int, _Said] = {}

    def __call__(self, event: Any) -> None:
        """Take an event: one to write, unless it is no news for a person, was said lately, or is another's to say."""
        said = sentence_of(event)
        if said is None or not self._leading():
            return
        about = said.regarding.get("uid") or f"{said.namespace}/{said.regarding['name']}"
        sentence, now = (about, str(said.reason), said.note), self._clock()
        lately = self._said.get(sentence)
        if lately is not None and now - lately.at < QUIET_SECONDS:
            lately.count += 1
            self._repeated[id(lately)] = lately
            return
        body = self._body(said)
        self._said[sentence] = _Said(now, body)
        self._said.move_to_end(sentence)
        if len(self._said) > REMEMBERED:
            self._said.popitem(last=False)
        try:
            self._waiting.put_nowait(body)
        except asyncio.QueueFull:
            EVENTS_DROPPED.inc()

    async def run(self) -> None:
        """Write what waits, for ever."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WRITERS):
                group.create_task(self._write_for_ever())
            group.create_task(self._count_for_ever())

    async def flush(self, seconds: float) -> None:
        """Write what waits, as far as there is time: at the end of the process."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self._waiting.empty():
                    await self._write(self._waiting.get_nowait())
                await self._write_counts()

    def _body(self, said: Sentence) -> Object:
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{said.regarding['name'][:200]}.{uuid4().hex[:16]}", "namespace": said.namespace},
            "eventTime": _now(),
            "reportingController": f"ringfence.dev/{MANAGED_BY}",
            "reportingInstance": self._instance[:128],
            "action": "Reconcile",
            "reason": str(said.reason),
            "type": said.kind,
            "note": _tame(said.note).encode()[:MAX_NOTE].decode(errors="ignore"),
            "regarding": said.regarding | {"namespace": said.namespace},
        }

    async def _write_for_ever(self) -> None:
        while True:
            body = await self._waiting.get()
            try:
                await self._write(body, TRIES)
            except asyncio.CancelledError:  # the process ends: `flush` writes it, as far as there is time
                with contextlib.suppress(asyncio.QueueFull):
                    self._waiting.put_nowait(body)
                raise

    async def _count_for_ever(self) -> None:
        while True:
            await asyncio.sleep(COUNT_SECONDS)
            await self._write_counts()

    async def _write_counts(self) -> None:
        """How often what was said has happened since: as a series of that very Event. One that is gone is no loss."""
        repeated, self._repeated = self._repeated, {}
        for said in repeated.values():
            metadata = said.body["metadata"]
            path = path_of("events.k8s.io/v1", "events", metadata["namespace"], metadata["name"])
            with contextlib.suppress(ApiError, Unreachable):
                await self._kube.merge(path, {"series": {"count": said.count, "lastObservedTime": _now()}})

    async def _write(self, body: Object, tries: int = 1) -> None:
        """A failure to write one is logged and nothing else. `tries`: while the API server is busy, or away."""
        metadata = body["metadata"]
        path = path_of("events.k8s.io/v1", "events", metadata["namespace"])
        for tried in range(1, tries + 1):
            try:
                await self._kube.create(path, body)
            except (ApiError, Unreachable) as failure:
                if tried < tries and _may_pass(failure):
                    await asyncio.sleep(failure.pause(PAUSE * tried))
                    continue
                self._give_up(body, failure)
            return

    @staticmethod
    def _give_up(body: Object, failure: ApiError | Unreachable) -> None:
        if _is_stored(failure):
            return
        EVENTS_DROPPED.inc()
        if not (isinstance(failure, ApiError) and failure.terminating):
            about = {"agent": body["regarding"]["name"], "namespace": body["metadata"]["namespace"]}
            log.warning("could not write an Event", **about, error=str(failure))


def _tame(note: str) -> str:
    """What others wrote may be in a note (names of finalizers, of field managers): nothing in it steers a terminal."""
    return "\n".join(clean(line, MAX_NOTE) for line in note.split("\n"))


def _is_stored(failure: ApiError | Unreachable) -> bool:
    """Nobody else makes that name: the answer to an earlier try was lost."""
    return isinstance(failure, ApiError) and failure.reason == "AlreadyExists"


def _may_pass(failure: ApiError | Unreachable) -> bool:
    """Whether the same write may succeed later."""
    return not _is_stored(failure) and not (isinstance(failure, ApiError) and failure.final)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
