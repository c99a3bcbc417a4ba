"""Indexes from a key to values, as dictionaries. Without I/O."""

from collections.abc import Hashable, Iterable
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Hashable)


def index(places: dict[K, set[V]], value: V, before: Iterable[K], now: Iterable[K]) -> None:
    """Move `value` from the sets of `before` to those of `now`."""
    old, new = set(before), set(now)
    for key in old - new:
        places[key].discard(value)
        if not places[key]:
            del places[key]
    for key in new - old:
        places.setdefault(key, set()).add(value)


def index_few(places: dict[K, tuple[V, ...]], value: V, before: Iterable[K], now: Iterable[K]) -> None:
    """The same where each key has a handful of values: a set of six takes eight times the memory of a tuple."""
    old, new = set(before), set(now)
    for key in old - new:
        if left := tuple(one for one in places[key] if one != value):
            places[key] = left
        else:
            del places[key]
    for key in new - old:
        places[key] = (*places.get(key, ()), value)
