"""The one place that knows lists, watches, bookmarks, gaps, and deletions in a gap.

An informer lists a kind and follows it by a watch. Where the watch has a gap (the version that it would go on from is
too old), it lists again: what is not in the list was deleted in the gap. Beside that `compare` looks at the versions
of all objects, which is cheap, and reads what differs: for whatever a watch may have missed for another reason.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from time import monotonic
from typing import Any, Final, Protocol

import structlog

from ringfence.kube import ApiError, Kube, NotFound, Object, RingfenceError, Unreachable

from .context import PolicyContext
from .sources import Source
from .tables import Table

log = structlog.get_logger(__name__)

RETRY_SECONDS: Final = (0.2, 0.5, 1.0)
"""Pauses after failures in a row; the last one stays. Some twenty kinds are followed: a server that is starting can
bear twenty requests a second, and each second of pause is one for which an edited fence is not seen."""
ABSENT_SECONDS: Final = 300.0
"""How long an optional kind that the cluster lacks is taken to be still lacking."""
GONE: Final = 410
"""The version to go on from is too old: a gap, and no news."""
LATEST: Final = 2**63
"""Later than every resourceVersion."""
FETCHED_AT_MOST: Final = 200
"""Objects that differ and are read one by one; with more of them everything is listed."""

Body = Mapping[str, Any]


class Sink(Protocol):
    """Where an informer puts what it reads."""

    def observe(self, event_type: str | None, body: Body) -> None:
        """Take one event of the watch."""

    def clear(self) -> None:
        """The cluster does not serve the kind."""

    async def sync(self, informer: "Informer") -> str:
        """Take the whole list; its version."""

    async def compare(self, informer: "Informer") -> int:
        """Look for differences without the watch, and put them right. How many there were."""


class Informer:
    """One kind, kept up to date in one sink."""

    def __init__(self, kube: Kube, source: Source, sink: Sink, *, heard: Callable[[], None] = lambda: None) -> None:
        self.kube = kube
        self.source = source
        self._sink = sink
        self._heard = heard
        self._version = ""
        self.absent = False
        """Whether the cluster does not serve the kind."""
        self.listed_at = float("-inf")
        """When it was listed last, by the monotonic clock."""

    async def ask(self) -> None:
        """Ask for one object: whether the kind can be read. Raises ApiError, Unreachable."""
        with contextlib.suppress(*([NotFound] if self.source.optional else [])):
            async for _ in self.kube.pages(self.source.path, label_selector=self.source.label_selector, limit=1):
                return

    async def sync(self) -> None:
        """List everything, and take it as all there is. Raises ApiError, Unreachable."""
        try:
            self._version = await self._sink.sync(self)
            self.absent = False
        except NotFound:
            if not self.source.optional:
                raise
            self._sink.clear()
            self.absent, self._version = True, ""
        self.listed_at = monotonic()
        self._heard()

    async def follow(self) -> None:
        """For ever: watch from where the list ended, list again after a gap."""
        failures, told = 0, ""
        while True:
            try:
                if not self._version:
                    await self.sync()
                if self.absent:
                    await asyncio.sleep(ABSENT_SECONDS)
                    continue
                async for event_type, body in self.kube.watch(
                    self.source.path, self._version, label_selector=self.source.label_selector
                ):
                    self._take(event_type, body)
                failures, told = 0, ""
            except (ApiError, Unreachable) as failure:
                told = self._tell(failure, told)
                pause = RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)]
                await asyncio.sleep(failure.pause(pause))
                failures += 1
            except asyncio.CancelledError:
                raise
            except Exception:
                # A surprise in one watch must not end the others, nor make this one deaf.
                log.exception("a watch broke", kind=self.source.kind)
                self._version = ""
                await asyncio.sleep(RETRY_SECONDS[-1])

    async def compare(self) -> int:
        """Compare what is kept with what is stored, by versions; put right what differs. How many that were."""
        return 0 if self.absent else await self._sink.compare(self)

    async def pages(self, *, metadata_only: bool = False) -> AsyncIterator[tuple[list[Object], str]]:
        """The list of the kind, page by page."""
        async for page in self.kube.pages(
            self.source.path, label_selector=self.source.label_selector, metadata_only=metadata_only
        ):
            yield page

    async def fetch(self, namespace: str | None, name: str) -> Object | None:
        """One object, or None."""
        with contextlib.suppress(NotFound):
            return await self.kube.get(self.source.item_path(namespace, name))
        return None

    def _take(self, event_type: str, body: Object) -> None:
        if event_type == "ERROR":
            if body.get("code") != GONE:
                log.warning("a watch was ended", kind=self.source.kind, error=str(body.get("message", ""))[:200])
            self._version = ""
            return
        self._version = body["metadata"]["resourceVersion"]
        self._heard()
        if event_type != "BOOKMARK":
            self._sink.observe(event_type, body)

    def _tell(self, failure: RingfenceError, told: str) -> str:
        """Say once why nothing can be read. A watch that merely broke says nothing: it is taken up again."""
        text = str(failure)
        news = not self._version or (isinstance(failure, ApiError) and failure.status != GONE)
        if news and text != told:
            log.warning("cannot read what decisions need: trying on", kind=self.source.kind, error=text)
        if isinstance(failure, ApiError) and not failure.passing:
            self._version = ""  # it may be that the version is too old: list again
        return text


class TableSink:
    """Keeps a table. `wanted`: which objects of the kind; an object that is not wanted any more is gone from it.

    `namespace`: the only one whose objects it keeps; None: all. `passed_over`: told of events of what is not wanted.
    """

    def __init__(
        self,
        table: Table[Any, Any],
        kind: str,
        *,
        wanted: Callable[[Body], bool] = lambda _: True,
        namespace: str | None = None,
        passed_over: Callable[[Body], None] = lambda _: None,
    ) -> None:
        self._table = table
        self._kind = kind
        self._wanted = wanted
        self._namespace = namespace
        self._passed_over = passed_over

    def observe(self, event_type: str | None, body: Body) -> None:
        """Take one event of the watch."""
        wanted = self._wanted(body)
        self._table.observe(event_type if wanted else "DELETED", self._whole(body))
        if not wanted:
            self._passed_over(self._whole(body))

    def clear(self) -> None:
        """The cluster does not serve the kind."""
        self._table.retain((), LATEST, among=self._of_kind())

    async def sync(self, informer: Informer) -> str:
        """Take the whole list; its version."""
        table, listed, version = self._table, [], ""
        table.begin()
        try:
            async for bodies, found in informer.pages():
                version = version or found
                for body in filter(self._wanted, _one_by_one(bodies)):
                    record = table.read(self._whole(body))
                    listed.append(table.key(record))
                    table.take(record)
            table.retain(listed, int(version or 0), among=self._of_kind())
        finally:
            table.end()
        return version

    async def compare(self, informer: Informer) -> int:
        """Versions first; then the objects that differ, one by one. How many were put right."""
        table, listed = self._table, dict[Any, int]()
        table.begin()
        try:
            async for bodies, found in informer.pages(metadata_only=True):
                version = int(found)
                for body in filter(self._wanted, _one_by_one(bodies)):
                    place = body["metadata"].get("namespace"), body["metadata"]["name"]
                    listed[place] = int(body["metadata"]["resourceVersion"])
            known = {_place(key): key for key in self._of_kind()}
            stale = [at for at, seen in listed.items() if at not in known or table.items[known[at]].version < seen]
            ghosts = [at for at, key in known.items() if at not in listed and table.items[key].version <= version]
            if len(stale) + len(ghosts) > FETCHED_AT_MOST:
                await self.sync(informer)
                return len(stale) + len(ghosts)
            return sum([await self._refresh(informer, at, known.get(at)) for at in (*stale, *ghosts)])
        finally:
            table.end()

    async def _refresh(self, informer: Informer, place: tuple[str | None, str], key: Any) -> int:
        """Read one object. 1 where it was not known so; 0 where a watch had told of it meanwhile."""
        known = self._table.get(key)
        body = await informer.fetch(*place)
        if body is None or not self._wanted(body):  # what was known is gone; one that was made anew meanwhile is not
            return int(known is not None and self._table.remove(key, known.version))
        return int(self._table.take(self._table.read(self._whole(body))))

    def _of_kind(self) -> list[Any]:
        """Keys of this kind: the children of all kinds share one table."""
        kept = [key for key in self._table.items if getattr(key, "kind", self._kind) == self._kind]
        return kept if self._namespace is None else [key for key in kept if _place(key)[0] == self._namespace]

    def _whole(self, body: Body) -> Body:
        return body if "kind" in body else {"kind": self._kind, **body}  # items of a list come without their kind


class ContextSink:
    """Keeps one kind of a PolicyContext.

    `changed`: told of each change, with the name of the object where known. `table`: kept alongside, where one is.
    """

    def __init__(
        self,
        context: PolicyContext,
        kind: str,
        changed: Callable[[str, str | None], None] = lambda *_: None,
        *,
        table: Table[Any, Any] | None = None,
    ) -> None:
        self._context = context
        self._kind = kind
        self._changed = changed
        self._table = table

    def observe(self, event_type: str | None, body: Body) -> None:
        """Take one event of a watch: where a kind is followed by two, the slower one's tells nothing new."""
        if self._table is not None and not self._table.observe(event_type, body):
            return
        before = self._context.version
        self._context.observe(self._kind, event_type, body)
        if self._context.version != before:
            self._changed(self._kind, body["metadata"]["name"])

    def clear(self) -> None:
        """The cluster does not serve the kind."""
        self._replace([], "")

    async def sync(self, informer: Informer) -> str:
        """Take the whole list; its version."""
        found, version = await _all(informer)
        self._replace(found, version)
        return version

    async def compare(self, informer: Informer) -> int:
        """List again; 1 where that showed something new.

        A list is older than what the watch shows meanwhile: it is taken only when nothing changed while it was read.
        """
        before = self._context.version
        found, version = await _all(informer)
        return int(self._replace(found, version)) if self._context.version == before else 0

    def _replace(self, bodies: list[Object], version: str) -> bool:
        before = self._context.version
        self._context.replace(self._kind, bodies)
        if (table := self._table) is not None:
            records = [table.read(body) for body in bodies]
            for record in records:
                table.take(record)
            table.retain([table.key(record) for record in records], int(version or LATEST), among=list(table.items))
        if self._context.version == before:
            return False
        self._changed(self._kind, None)
        return True


def _one_by_one(bodies: list[Object]) -> Iterator[Object]:
    """The objects of a page; none is held any longer. A page takes 20 MiB, and twenty kinds are read at once."""
    bodies.reverse()
    while bodies:
        yield bodies.pop()


async def _all(informer: Informer) -> tuple[list[Object], str]:
    """A whole list, and its version."""
    found: list[Object] = []
    version = ""
    async for bodies, read in informer.pages():
        version = version or read
        found += bodies
    return found, version


def _place(key: Any) -> tuple[str | None, str]:
    """Namespace and name in a table's key."""
    if isinstance(key, str):
        return None, key
    return key[-2], key[-1]
