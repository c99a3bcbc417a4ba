"""How long the controller takes over one thing, by the API server's own record of cause and answer."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from api.controller.process import USER
from bench.numbers import summary

from .client import paced
from .field import Field
from .objects import Key, deny_path, ports
from .record import Entry, Mark

__all__ = ["edits", "repairs", "repairs_under_edits"]

PATIENCE_SECONDS = 120
"""For answers that are still missing after the last cause."""
FIRST_PORT, LAST_PORT = 1024, 60000
DICE = random.Random(7)


async def edits(field: Field, agents: Sequence[Key], *, per_second: float, seconds: float) -> dict[str, Any]:
    """Specs are edited; from the edit's being stored to the policy's being stored."""
    chosen = _some(agents, int(per_second * seconds))
    mark = field.record.mark()
    await paced(chosen, lambda key: field.client.patch(key.path, {"spec": ports(_port())}), per_second=per_second)
    return await _settled(field, mark, chosen, _edit, "-allow") | {"per_second": per_second}


async def repairs(field: Field, agents: Sequence[Key], *, count: int, per_second: float) -> dict[str, Any]:
    """Policies are deleted; from the deletion to their being stored again."""
    chosen = _some(agents, count)
    mark = field.record.mark()
    await paced(chosen, lambda key: field.client.delete(deny_path(key)), per_second=per_second)
    return await _settled(field, mark, chosen, _deletion, "-deny")


async def repairs_under_edits(
    field: Field, agents: Sequence[Key], *, count: int, per_second: float, edits_per_second: float
) -> dict[str, Any]:
    """The same while other agents are edited all the time."""
    quiet, busy = set(_some(agents, count)), []
    busy = [key for key in agents if key not in quiet] or list(agents)
    load = asyncio.create_task(_edit_for_ever(field, busy, edits_per_second))
    try:
        return await repairs(field, sorted(quiet), count=count, per_second=per_second)
    finally:
        load.cancel()
        await asyncio.gather(load, return_exceptions=True)


async def _edit_for_ever(field: Field, agents: Sequence[Key], per_second: float) -> None:
    def chosen() -> Iterable[Key]:
        while True:
            yield DICE.choice(agents)

    await paced(chosen(), lambda key: field.client.patch(key.path, {"spec": ports(_port())}), per_second=per_second)


async def _settled(
    field: Field, mark: Mark, agents: Sequence[Key], is_cause: Callable[[Entry], Key | None], suffix: str
) -> dict[str, Any]:
    """Wait until every cause has its answer; what has none when time is up is counted as missing."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = _latencies(field.record.since(mark), set(agents), is_cause, suffix)
        missing = len(set(agents)) - len(found)
        if not missing or time.monotonic() > deadline:
            break
        await asyncio.sleep(1)
    return {"seconds": summary(list(found.values()) or [float("inf")]), "missing": missing}


def _latencies(
    entries: Iterable[Entry], agents: set[Key], is_cause: Callable[[Entry], Key | None], suffix: str
) -> dict[Key, float]:
    """The last cause of each agent, and the first answer after it.

    After it: in the order in which they came to the API server. A watch tells of a write before that is answered, so on
    a busy machine the controller's answer to it may be through first: that took no time.
    """
    causes: dict[Key, datetime] = {}
    answers: dict[Key, float] = {}
    for entry in sorted(entries, key=lambda one: one.received):
        if entry.user != USER:
            if (key := is_cause(entry)) in agents and key is not None:
                causes[key] = entry.answered
                answers.pop(key, None)
        elif entry.writes and entry.resource == "networkpolicies" and entry.name.endswith(suffix) and entry.code < 300:
            key = Key(entry.namespace, entry.name.removeprefix("ringfence-").removesuffix(suffix))
            if key in causes:
                answers.setdefault(key, max((entry.answered - causes[key]).total_seconds(), 0.0))
    return answers


def _edit(entry: Entry) -> Key | None:
    wanted = entry.verb == "patch" and entry.resource == "agentdeployments" and entry.code < 300
    return Key(entry.namespace, entry.name) if wanted else None


def _deletion(entry: Entry) -> Key | None:
    wanted = entry.verb == "delete" and entry.resource == "networkpolicies" and entry.code < 300
    return Key(entry.namespace, entry.name.removeprefix("ringfence-").removesuffix("-deny")) if wanted else None


def _some(agents: Sequence[Key], count: int) -> list[Key]:
    return DICE.sample(list(agents), min(count, len(agents)))


def _port() -> int:
    return DICE.randint(FIRST_PORT, LAST_PORT)
