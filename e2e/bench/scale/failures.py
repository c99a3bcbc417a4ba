"""The trials in which something goes wrong: processes that end, and agents that can never be served."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Any

from api.controller.process import USER
from bench.numbers import summary
from cluster.errors import ClusterError
from cluster.shell import step

from . import latency
from .client import each
from .field import QUIET_SECONDS, Field, Process, until
from .follow import Seen
from .objects import Key, agent, namespace
from .trials import CLIENTS, Agents

__all__ = ["bad_input", "leader", "restart"]

TAKEOVERS = 3
TAKEOVER_SECONDS = 120
REPAIRS, REPAIRS_PER_SECOND = 50, 2
BAD_NAMESPACES, BAD_AGENTS = 10, 1000
REFUSED_FOR = ("WriteFailed", "ChildNotOurs")


async def restart(field: Field, agents: Agents) -> dict[str, Any]:
    """The controller starts anew over agents that are all as they should be: every write is needless."""
    await field.quiet()
    with step(f"the controller starts anew over {len(agents.there)} agents"):
        mark = field.record.mark()
        stopped = time.monotonic()
        await asyncio.to_thread(field.controller.stop)
        stop = time.monotonic() - stopped
        before = time.monotonic()
        ready = await field.start()
        span = field.span()

        read = await until("everything to be read", field.controller.works, patience=agents.patience)

        def verified() -> bool:
            passes = field.controller.metric("ringfence_reconcile_total", result="ok")
            return passes >= len(agents.there) and field.controller.metric("ringfence_queue_depth") == 0

        await until("a look at every agent", verified, patience=agents.patience, every=0.25)
        seen = time.monotonic() - before
        used = field.usage().seconds["controller"]
        await asyncio.sleep(QUIET_SECONDS)  # what comes late would come by then
    told = span.end()
    needless = [one for one in field.record.since(mark) if one.writes and one.user == USER and not one.is_lease]
    return {
        "agents": len(agents.there),
        "seconds_to_stop": round(stop, 2),
        "seconds_until_ready": round(ready, 2),
        "seconds_until_read": round(ready + read, 2),
        "seconds_until_all_were_looked_at": round(seen, 1),
        "controller_cpu_seconds": round(used, 1),
        "needless_writes": len(needless),
        "requests": told["requests"],
        "memory_mib": field.memory(),
    }


async def leader(field: Field, agents: Agents) -> dict[str, Any]:
    """Another replica stands by; the one that leads is killed, or told to stop."""
    told: dict[str, Any] = {"agents": len(agents.there)}
    for name, number in (("killed", signal.SIGKILL), ("terminated", signal.SIGTERM)):
        leads, works = [], []
        for _ in range(TAKEOVERS):
            with step(f"the leader is {name}, and another takes over"):
                other = field.begin()
                await until("the other stands by", lambda other=other: _stands_by(other), patience=60)  # type: ignore[misc]
                started = time.monotonic()
                field.controller.send(number)
                await until("the other leads", other.leading, patience=TAKEOVER_SECONDS, every=0.05)
                leads.append(time.monotonic() - started)
                await until("the other works", other.works, patience=agents.patience, every=0.05)
                works.append(time.monotonic() - started)
                await asyncio.to_thread(field.controller.stop)
                field.controller = other
        told[name] = {"seconds_until_another_leads": summary(leads), "seconds_until_it_works": summary(works)}
    return told


async def bad_input(field: Field, agents: Agents) -> dict[str, Any]:
    """Agents of which no pass ends well: half by a quota, half since an object of a child's name is not theirs."""
    bad = [Key(f"scale-bad-{n % BAD_NAMESPACES}", f"bad-{n}") for n in range(min(BAD_AGENTS, field.count))]
    await field.quiet()
    calm = await latency.repairs(field, agents.there, count=REPAIRS, per_second=REPAIRS_PER_SECOND)
    for name in sorted({key.namespace for key in bad}):
        await _hostile(field, name, [key for key in bad if key.namespace == name])
    with step(f"{len(bad)} agents that cannot be served"):
        await each(bad, lambda key: field.client.create(key.collection, agent(key)), workers=CLIENTS)
        await field.follower.wait("each to say why", bad, _says_why, patience=300 + len(bad))
    try:
        with step(f"{field.window} s beside them, with repairs of others"):
            span = field.span()
            beside = await latency.repairs(field, agents.there, count=REPAIRS, per_second=REPAIRS_PER_SECOND)
            await asyncio.sleep(max(0.0, field.window - span.seconds))
            told = span.rates()
    finally:
        with step("they are deleted"):
            await each(bad, lambda key: field.client.delete(key.path), workers=CLIENTS)
            for name in sorted({key.namespace for key in bad}):
                await field.client.delete(f"/api/v1/namespaces/{name}")
    return {"bad_agents": len(bad), "repair_before": calm, "repair_beside_them": beside, **told}


async def _hostile(field: Field, name: str, agents: list[Key]) -> None:
    """A namespace in which each of these agents meets a quota (even numbers of it) or somebody else's object."""
    client = field.client
    await client.create("/api/v1/namespaces", namespace(name))
    if int(name.rpartition("-")[2]) % 2:
        path = f"/apis/networking.k8s.io/v1/namespaces/{name}/networkpolicies"
        for key in agents:
            body = {"metadata": {"name": f"ringfence-{key.name}-allow"}, "spec": {"podSelector": {}}}
            await client.create(path, body)
        return
    path = f"/api/v1/namespaces/{name}/resourcequotas"
    await client.create(path, {"metadata": {"name": "none"}, "spec": {"hard": {"count/deployments.apps": "0"}}})

    async def counts() -> bool:
        return "hard" in ((await client.get(f"{path}/none")).get("status") or {})

    await until(f"the quota of {name}", counts, patience=60)


def _says_why(seen: Seen) -> bool:
    return any(reason in REFUSED_FOR for _, reason in seen.conditions.values())


def _stands_by(process: Process) -> bool:
    if process.exit_code is not None:
        raise ClusterError(f"the controller ended: {process.output[-2000:]}")
    return process.get("/readyz")[0] == 200 and not process.leading()
