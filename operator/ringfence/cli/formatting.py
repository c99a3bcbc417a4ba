"""Ages and tables, as kubectl writes them."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

UNKNOWN: Final = "<unknown>"
NONE: Final = "<none>"
_TWO_UNITS: Final = 10
"""From so many of a unit on, the next smaller one says nothing any more: 10m, not 10m5s."""


def moment(text: Any) -> datetime | None:
    """A time of the API (RFC 3339, with or without fractions); None for what is none."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else None


def age(then: datetime | None, now: datetime) -> str:
    """How long ago: `45s`, `5m30s`, `26h`, `3d4h`, `120d`."""
    return UNKNOWN if then is None else span(now - then)


def ahead(then: datetime, now: datetime) -> str:
    """`in 3d4h`, or `2h late`."""
    return f"in {span(then - now)}" if then >= now else f"{span(now - then)} late"


def span(length: timedelta) -> str:
    """A length of time in at most two units."""
    seconds = max(0, int(length.total_seconds()))
    if seconds < 120:  # noqa: PLR2004 - up to two minutes in seconds, as kubectl
        return f"{seconds}s"
    for unit, size, small, part in (("m", 60, "s", 1), ("h", 3600, "m", 60), ("d", 86400, "h", 3600)):
        count, rest = divmod(seconds, size)
        if unit != "d" and count >= {"m": 180, "h": 48}[unit]:
            continue
        return f"{count}{unit}" + (f"{rest // part}{small}" if count < _TWO_UNITS and rest // part else "")
    raise AssertionError  # days have no bound


def now() -> datetime:
    """The time; tests put another one here."""
    return datetime.now(UTC)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines with columns three blanks apart; the last one is not padded."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        yield "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def clean(text: Any) -> str:
    """Text of the cluster on one line, without control characters: it must not drive a terminal."""
    return " ".join("".join(character if character.isprintable() else " " for character in str(text)).split())
