"""What a tick has to do, from what is stored and the time. Pure.

Each step is one write, and each write leaves a valid value: whoever stops between two steps loses nothing, and the
next look at what is stored finds the step that is still to do.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from ringfence.resources.rotation import tick
from ringfence.resources.secret_names import PREVIOUS, VALUE
from ringfence.resources.secrets import PREVIOUS_UNTIL, ROTATED_AT, ROTATED_BY, stamp, when
from ringfence.resources.workload import rolled_out

CLOCKS_DIFFER: Final = timedelta(minutes=5)
"""A time further in the future than this is no time of ours: it must not keep a key alive for ever."""


class Step(StrEnum):
    """One write."""

    ROTATE = "rotate"
    RESTART = "restart"
    DROP_PREVIOUS = "drop-previous"


@dataclass(frozen=True)
class Order:
    """What the job was told. `cron_job`: whose jobs the scheduler names; `restart`: Deployment for env delivery."""

    secret: str
    cron_job: str
    length: int
    every: timedelta
    overlap: timedelta
    restart: str | None = None
    annotation: str | None = None


@dataclass(frozen=True)
class Seen:
    """What is stored. `restarted`: the rotation that the pods' template names; `rolled_out`: whether they run it."""

    has_value: bool
    has_previous: bool
    rotated_at: datetime | None = None
    rotated_by: str = ""
    previous_until: datetime | None = None
    restarted: str | None = None
    rolled_out: bool = True


def next_step(order: Order, seen: Seen, *, job: str, now: datetime) -> Step | None:
    """The next write; None when nothing is left to do. To be asked again after each write."""
    if _must_rotate(order, seen, job=job, now=now):
        return Step.ROTATE
    if order.restart and seen.rotated_at and seen.restarted != stamp(seen.rotated_at):
        return Step.RESTART
    over = seen.previous_until is None or seen.previous_until <= now
    if seen.has_previous and over and (order.restart is None or seen.rolled_out):
        return Step.DROP_PREVIOUS
    return None


def _must_rotate(order: Order, seen: Seen, *, job: str, now: datetime) -> bool:
    if not seen.has_value or seen.rotated_at is None or seen.rotated_at > now + CLOCKS_DIFFER:
        return True  # emptied or marred by hand: a value that nobody can date is not kept
    if seen.rotated_by == job:
        return False  # this very job did it, and was stopped afterwards
    if previous_in_use(order, seen):
        return False  # one more rotation would take away the value that running pods hold
    if not scheduled(order.cron_job, job):
        return True  # somebody made this job to rotate now
    in_overlap = seen.has_previous and seen.previous_until is not None and seen.previous_until > now
    return not in_overlap and seen.rotated_at + order.every <= now + tick(order.every)


def previous_in_use(order: Order, seen: Seen) -> bool:
    """Whether pods may still run with the value before: they take a new one by a restart that is not over."""
    if order.restart is None or not seen.has_previous or seen.rotated_at is None:
        return False
    return seen.restarted != stamp(seen.rotated_at) or not seen.rolled_out


def scheduled(cron_job: str, job: str) -> bool:
    """Whether the scheduler named the job: CRONJOB-MINUTES, the minutes since 1970 of its time."""
    return re.fullmatch(rf"{re.escape(cron_job)}-[0-9]{{8}}", job) is not None


def rotated(secret: Mapping[str, Any], order: Order, value: str, *, job: str, now: datetime) -> dict[str, Any]:
    """The Secret with the new value (base64) in place and the old one kept: one write changes all of it."""
    data = dict(secret.get("data") or {})
    kept = {PREVIOUS: data[VALUE]} if data.get(VALUE) else {}
    metadata = secret["metadata"]
    marks = {ROTATED_AT: stamp(now), ROTATED_BY: job, PREVIOUS_UNTIL: stamp(now + order.overlap)}
    return {
        **secret,
        "metadata": {**metadata, "annotations": {**(metadata.get("annotations") or {}), **marks}},
        "data": {VALUE: value, **kept},
    }


def without_previous(secret: Mapping[str, Any]) -> dict[str, Any]:
    """The Secret without the value before."""
    return {**secret, "data": {key: value for key, value in (secret.get("data") or {}).items() if key != PREVIOUS}}


def look(secret: Mapping[str, Any], deployment: Mapping[str, Any] | None, order: Order) -> Seen:
    """What of the stored objects matters for a plan."""
    marks = secret["metadata"].get("annotations") or {}
    data = secret.get("data") or {}
    template = ((deployment or {}).get("spec") or {}).get("template") or {}
    seen_by_pods = (template.get("metadata") or {}).get("annotations") or {}
    return Seen(
        has_value=bool(data.get(VALUE)),
        has_previous=PREVIOUS in data,
        rotated_at=when(marks.get(ROTATED_AT)),
        rotated_by=marks.get(ROTATED_BY, ""),
        previous_until=when(marks.get(PREVIOUS_UNTIL)),
        restarted=seen_by_pods.get(order.annotation or ""),
        rolled_out=deployment is None or rolled_out(deployment),
    )
