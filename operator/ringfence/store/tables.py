"""A table of records: the latest known of each object, whatever order news comes in. Without I/O."""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from typing import Any, Final, Generic, Protocol, TypeVar

from ringfence.resources.stored import resource_version

Body = Mapping[str, Any]

RECENT: Final = 1024
"""Deletions that are remembered: the answer to a write may come later than the news that its object is gone again, and
an object that is believed to be there is not put back."""


class Record(Protocol):
    """What is kept of an object."""

    @property
    def version(self) -> int:
        """Its resourceVersion as a number; 0: not known."""


K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Record)

Changed = Callable[[V | None, V | None], None]
"""Told of each change: the record before (None: there was none), the record now (None: it is gone)."""


class Table(Generic[K, V]):
    """Records by key. Older news of the same object is ignored.

    `read`: what is kept of an object. `key`: of a record. `changed`: called after each change, with the table changed.
    `locate`: the key that a record of this object will have; where it is given, what is known is not read again.
    """

    def __init__(
        self,
        read: Callable[[Body], V],
        key: Callable[[V], K],
        changed: Changed[V],
        *,
        locate: Callable[[Body], K] | None = None,
    ) -> None:
        self.read = read
        self.key = key
        self._locate = locate
        self.items: dict[K, V] = {}
        self._changed = changed
        self._deleted: dict[K, int] = {}
        """While lists are read: what was deleted meanwhile, and at which version."""
        self._lists = 0
        self._gone: dict[K, int] = {}
        """What a watch told to be deleted lately, and at which version; the latest last."""

    def __len__(self) -> int:
        return len(self.items)

    def get(self, key: K) -> V | None:
        """The record, or None."""
        return self.items.get(key)

    def observe(self, event_type: str | None, body: Body) -> bool:
        """Take one event of a watch: ADDED, MODIFIED, DELETED, or None for an object of a first list (kopf).

        Whether it was news.
        """
        if event_type == "DELETED":
            key, version = self._locate(body) if self._locate else self.key(self.read(body)), resource_version(body)
            self._note_gone(key, version)
            return self.remove(key, version)
        return not self._is_old(body) and self.take(self.read(body))

    def record(self, body: Body) -> V:
        """What is kept of the object in an answer. It is not taken.

        Its echo in a watch was often faster than the answer: what is known of this very version is not read again.
        """
        known = self.items.get(self._locate(body)) if self._locate else None
        is_known = known is not None and known.version and known.version == resource_version(body)
        return known if known is not None and is_known else self.read(body)

    def _is_old(self, body: Body) -> bool:
        """Whether this was known: the echo of an own write mostly, whose answer had it all."""
        known = self.items.get(self._locate(body)) if self._locate else None
        version = resource_version(body)
        return known is not None and bool(version) and known.version >= version

    def take(self, record: V) -> bool:
        """Keep a record unless a newer one is known. Whether it was taken."""
        key = self.key(record)
        known = self.items.get(key)
        if known is not None and record.version and known.version >= record.version:
            return False
        if known is None and self._deleted.get(key, -1) >= record.version:
            return False
        if known is None and record.version and self._gone.get(key, 0) > record.version:
            return False  # at the same version it is there still, and lost but the label that the watch selects by
        self.items[key] = record
        self._changed(known, record)
        return True

    def _note_gone(self, key: K, version: int) -> None:
        self._gone.pop(key, None)
        self._gone[key] = version
        if len(self._gone) > RECENT:
            del self._gone[next(iter(self._gone))]

    def remove(self, key: K, version: int) -> bool:
        """Forget what was deleted at `version`, unless something newer is known by that key."""
        if self._lists:
            self._deleted[key] = version
        known = self.items.get(key)
        if known is None or known.version > version:
            return False
        del self.items[key]
        self._changed(known, None)
        return True

    def begin(self) -> None:
        """A list is about to be read: remember deletions until `end`, for it may show what is gone by then."""
        self._lists += 1

    def end(self) -> None:
        """The list was read and taken."""
        self._lists -= 1
        if not self._lists:
            self._deleted.clear()

    def retain(self, listed: Collection[K], version: int, *, among: Iterable[K]) -> None:
        """Forget those of `among` that are not `listed`, the keys of all objects at `version`: deleted unseen.

        What is newer than that was merely not there yet.
        """
        fresh = frozenset(listed)
        for key in [key for key in among if key not in fresh and self.items[key].version <= version]:
            self.remove(key, version)
