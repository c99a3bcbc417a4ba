"""Which failures of a key the log tells: a bounded number of lines, however often it fails."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

QUIET: Final = 60.0
"""For so many seconds after its last failure a key must have worked before its failures are counted from one again:
what fails and works by turns is a row of failures, too."""


@dataclass(slots=True)
class _Row:
    count: int = 0
    last: float = 0.0
    failing: bool = False
    told: bool = False


class Failures(Generic[K]):
    """Counts the failures of each key in a row. Bounded by the keys that fail, or failed within the last minutes."""

    def __init__(self) -> None:
        self._rows: dict[K, _Row] = {}
        self._swept = 0.0

    def failed(self, key: K, now: float, *, news: bool = False) -> tuple[int, bool]:
        """A pass failed. How many that makes in a row, and whether to tell: news, the first, second, fourth, ..."""
        self._sweep(now)
        row = self._rows.setdefault(key, _Row())
        if _is_over(row, now):
            row.count = 0
        row.count += 1
        row.last, row.failing = now, True
        tell = news or not row.count & (row.count - 1)
        row.told |= tell
        return row.count, tell

    def worked(self, key: K) -> int:
        """A pass went well. After how many failures, where one was told since it went well before; else 0."""
        row = self._rows.get(key)
        if row is None:
            return 0
        row.failing = False
        told, row.told = row.told, False
        return row.count if told else 0

    def _sweep(self, now: float) -> None:
        """Forget what is over; not at each failure, for that would cost as much as there are keys."""
        if now - self._swept >= QUIET:
            self._swept = now
            self._rows = {key: row for key, row in self._rows.items() if not _is_over(row, now)}


def _is_over(row: _Row, now: float) -> bool:
    return not row.failing and now - row.last >= QUIET
