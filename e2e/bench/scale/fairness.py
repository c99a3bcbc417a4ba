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
NEVER_READY, CREATED, CREATED_PER_SECOND = 1000, 100, 3
REPAIRS, REPAIRS_PER_SECOND = 60, 2
"""At these rates the API server has time left on two cores: it is the controller that is to be measured."""
WAITS = {
    "mean_seconds_in_the_queue": "ringfence_queue_duration_seconds",
    "mean_seconds_of_loop_lag": "ringfence_event_loop_lag_seconds",
}


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
        await field.quiet()  # the cluster's own controllers take longer over them than ours
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
    """The repairs; and how long passes of any kind waited in the queue, and timers for the event loop, on average."""
    before = {name: _mean_parts(field, metric) for name, metric in WAITS.items()}
    found = await latency.repairs(field, agents.there, count=REPAIRS, per_second=REPAIRS_PER_SECOND)
    for name, metric in WAITS.items():
        seconds, count = (now - then for now, then in zip(_mean_parts(field, metric), before[name], strict=True))
        found[name] = round(seconds / count, 4) if count else 0.0
    return found


def _mean_parts(field: Field, metric: str) -> tuple[float, float]:
    return field.controller.metric(f"{metric}_sum"), field.controller.metric(f"{metric}_count")
