"""Indexes from a key to the values that have it: a value is moved when its keys change."""

from collections.abc import Hashable, Iterable
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Hashable)


def index(found: dict[K, set[V]], value: V, before: Iterable[K], now: Iterable[K]) -> None:
    """Move `value` from the sets of `before` to those of `now`."""
    old, new = set(before), set(now)
    for key in old - new:
        found[key].discard(value)
        if not found[key]:
            del found[key]
    for key in new - old:
        found.setdefault(key, set()).add(value)


def index_few(found: dict[K, tuple[V, ...]], value: V, before: Iterable[K], now: Iterable[K]) -> None:
    """The same where each key has a handful of values: a set of six takes eight times the memory of a tuple."""
    old, new = set(before), set(now)
    for key in old - new:
        if left := tuple(one for one in found[key] if one != value):
            found[key] = left
        else:
            del found[key]
    for key in new - old:
        found[key] = (*found.get(key, ()), value)
