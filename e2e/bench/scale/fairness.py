"""Whether one namespace can slow the repairs of another: agents of it that never get ready, and more that are made."""

from __future__ import annotations

import asyncio
from typing import Any

from cluster.shell import step

from . import latency
from .client import each, paced
from .field import Field
from .objects import Key, agent, namespace
from .trials import CLIENTS, Agents, starting

__all__ = ["crowd"]

CROWD = "scale-crowd"
NEVER_READY, CREATED, CREATED_PER_SECOND = 1000, 100, 5
REPAIRS, REPAIRS_PER_SECOND = 100, 5


async def crowd(field: Field, agents: Agents) -> dict[str, Any]:
    """Repairs of others' fences: with nothing else to do, beside the crowd, and while it grows."""
    there = [Key(CROWD, f"stuck-{number}") for number in range(min(NEVER_READY, field.count))]
    more = [Key(CROWD, f"new-{number}") for number in range(CREATED)]
    await field.quiet()
    with step("repairs, and nothing else to do"):
        idle = await _repairs(field, agents)
    await field.client.create("/api/v1/namespaces", namespace(CROWD))
    try:
        with step(f"{len(there)} agents in one namespace that do not get ready"):
            await each(there, lambda key: _create(field, key), workers=CLIENTS)
            await field.follower.wait("all to wait for pods", there, starting, patience=300 + len(there))
        with step("repairs beside them"):
            beside = await _repairs(field, agents)
        with step(f"repairs while {len(more)} more are made"):
            span = field.span()
            making = asyncio.create_task(
                paced(more, lambda key: _create(field, key), per_second=CREATED_PER_SECOND), name="more agents"
            )
            growing = await _repairs(field, agents)
            await making
            told = span.rates()
            await field.follower.wait("all to wait for pods", more, starting, patience=300)
    finally:
        with step("they are deleted"):
            await each([*there, *more], lambda key: field.client.delete(key.path), workers=CLIENTS)
            await field.client.delete(f"/api/v1/namespaces/{CROWD}")
    return {"never_ready": len(there), "idle": idle, "beside_them": beside, "while_more_are_made": growing, **told}


async def _create(field: Field, key: Key) -> None:
    await field.client.create(key.collection, agent(key, suspended=False))


async def _repairs(field: Field, agents: Agents) -> dict[str, Any]:
    return await latency.repairs(field, agents.there, count=REPAIRS, per_second=REPAIRS_PER_SECOND)
