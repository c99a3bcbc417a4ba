"""The order in which keys are worked on: by urgency, and in turns within one urgency. Pure: no clock, no tasks.

* The more urgent goes first. Each key has a share (the namespace of its object), and within one urgency the shares take
  turns, so that one of them with a thousand keys delays another by one key at a time.
* Nobody starves: where something less urgent waits, it gets one turn after SHARE - 1 of the more urgent. So the least
  urgent get one turn of SHARE ** 2 at least, and take these in turns by their shares.
* Within a share and an urgency: first in, first out.
"""

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from ringfence.store.urgency import Urgency

K = TypeVar("K", bound=Hashable)

SHARE: Final = 8
"""One of so many turns goes to the less urgent, where any wait."""


class FairQueue(Generic[K]):
    """Each key is in it once."""

    def __init__(self) -> None:
        self._levels: dict[Urgency, dict[Hashable, dict[K, None]]] = {level: {} for level in Urgency}
        self._where: dict[K, tuple[Urgency, Hashable]] = {}
        self._passed = dict.fromkeys(Urgency, 0)

    def __len__(self) -> int:
        return len(self._where)

    def __contains__(self, key: K) -> bool:
        return key in self._where

    def put(self, key: K, share: Hashable, urgency: Urgency) -> bool:
        """Have `key` wait. One that waits already becomes more urgent, never less. Whether it is new in it."""
        known = self._where.get(key)
        if known is not None:
            if known[0] <= urgency:
                return False
            self._remove(key)
        self._levels[urgency].setdefault(share, {})[key] = None
        self._where[key] = (urgency, share)
        return known is None

    def take(self, least: Urgency = Urgency.LATER) -> tuple[K, Urgency] | None:
        """Whose turn it is, of those that are at least as urgent as `least`; None: of nobody."""
        levels = [level for level in Urgency if level <= least and self._levels[level]]
        for level in levels:
            if level is levels[-1]:
                return self._first(level), level
            if self._passed[level] < SHARE - 1:
                self._passed[level] += 1
                return self._first(level), level
            self._passed[level] = 0
        return None

    def _first(self, level: Urgency) -> K:
        """Take the first key of the first share; the share goes to the end."""
        shares = self._levels[level]
        share = next(iter(shares))
        key = next(iter(shares[share]))
        self._remove(key)
        if share in shares:
            shares[share] = shares.pop(share)
        return key

    def _remove(self, key: K) -> None:
        level, share = self._where.pop(key)
        shares = self._levels[level]
        del shares[share][key]
        if not shares[share]:
            del shares[share]
