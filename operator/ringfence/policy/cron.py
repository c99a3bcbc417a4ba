"""Schedules as cron has them, in the grammar of Kubernetes' own parser (robfig/cron v3, standard), or less.

What is taken here, the API server takes too. `@every` is not taken: its times depend on when the object was made.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

MACROS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_LONGEST_MONTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


class ScheduleError(ValueError):
    """No schedule, or one that never comes: a sentence that says what to write."""


@dataclass(frozen=True)
class _Field:
    name: str
    first: int
    last: int
    words: tuple[str, ...] = ()


_FIELDS: Final = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 6, _DAYS),
)


@dataclass(frozen=True)
class Schedule:
    """The values of each field. `any_day`, `any_weekday`: whether that field is `*`."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool

    @property
    def comes(self) -> bool:
        """Whether there is such a day: not on 30 February. Where both kinds of day are named, one of them is enough."""
        if self.any_day or not self.any_weekday:
            return True
        return any(min(self.days) <= _LONGEST_MONTHS[month - 1] for month in self.months)


@lru_cache(maxsize=1024)
def parse(text: str) -> Schedule:
    """A schedule of the API. Raises ScheduleError."""
    words = MACROS.get(text, text).split(" ")
    if len(words) != len(_FIELDS):
        raise ScheduleError("must be five fields, such as 0 3 * * *: minute, hour, day, month, day of the week")
    minutes, hours, days, months, weekdays = (
        frozenset(_values(word, field)) for word, field in zip(words, _FIELDS, strict=True)
    )
    # A step over all days, as in */2, names days: then both kinds of day are named.
    found = Schedule(minutes, hours, days, months, weekdays, _is_any(words[2]), _is_any(words[4]))
    if not found.comes:
        raise ScheduleError("never comes: no such month has that day; write a day that there is, such as 0 3 28 2 *")
    return found


def _is_any(word: str) -> bool:
    return any(part in {"*", "?", "*/1", "?/1"} for part in word.split(","))


def _values(word: str, field: _Field) -> Iterator[int]:
    for part in word.split(","):
        yield from _range(part, field)


def _range(part: str, field: _Field) -> range:
    """One of `5`, `1-5`, `*`, with or without a step: `*/15`, `1-31/2`; `5/15` is from 5 to the end."""
    span, slash, stepped = part.partition("/")
    low, dash, high = span.partition("-")
    if span in {"*", "?"}:
        first, last = field.first, field.last
    else:
        first = _number(low, field)
        last = _number(high, field) if dash else field.last if slash else first
    step = _digits(stepped) if slash else 1
    if step is None or step == 0:
        raise ScheduleError(f"the step of {field.name} must be a number from 1, such as */15")
    if first > last:
        raise ScheduleError(f"the range of {field.name} goes backwards: write the smaller one first")
    return range(first, last + 1, step)


def _number(text: str, field: _Field) -> int:
    if text.lower() in field.words:
        return field.words.index(text.lower()) + field.first
    found = _digits(text)
    if found is None or not field.first <= found <= field.last:
        hint = "; Sunday is 0" if field.words is _DAYS else ""
        raise ScheduleError(f"{field.name} must be from {field.first} to {field.last}, or *{hint}")
    return found


def _digits(text: str) -> int | None:
    """None: no number, or one that is in no schedule."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else None  # noqa: PLR2004 - three digits
