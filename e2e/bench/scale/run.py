"""The scale trial from its cluster to its report."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Any

from api.controller.process import USER
from bench.numbers import machine
from cluster import Cluster
from cluster.errors import ClusterError
from cluster.instance import find
from cluster.lifecycle import down
from cluster.shell import step, wait_for

from . import failures, fairness
from .client import Client
from .field import LEASES, Field
from .follow import Follower
from .objects import NAMESPACES, POLICIES, namespace, policies, team
from .record import Record
from .trials import Agents

__all__ = ["TRIALS", "scale"]

TRIALS = (
    "creation",
    "cliff",
    "rest",
    "edits",
    "policy",
    "restart",
    "leader",
    "bad_input",
    "crowd",
    "unready",
    "deletion",
)
"""In this order. `creation` is always there: the others need agents."""
CONNECTIONS = 32
CRDS = Path(__file__).resolve().parents[3] / "crds"


def scale(
    name: str, count: int, *, only: Collection[str] = (), window: int = 120, keep: bool = False
) -> dict[str, Any]:
    """All trials, or `only` these, with so many agents on a cluster of its own. `window`: seconds of rest."""
    if unknown := set(only) - set(TRIALS):
        raise ClusterError(f"no trial {', '.join(sorted(unknown))}; there are {', '.join(TRIALS)}")
    if find(name):
        down(name)
    cluster = Cluster.up(name, mode="api")
    try:
        _install(cluster)
        return asyncio.run(_scale(cluster, count, set(only or TRIALS), window))
    finally:
        if not keep:
            cluster.down()


def _install(cluster: Cluster) -> None:
    cluster.kubectl("create", "-f", str(CRDS))
    wait_for("the CRDs", lambda: all(cluster.kubectl("explain", kind) for kind in ("agd", "agp")), timeout=30)
    cluster.restart_control_plane()  # else the garbage collector knows the kinds up to 30 s later
    cluster.user_kubeconfig(USER, ["system:masters"])


async def _scale(cluster: Cluster, count: int, only: set[str], window: int) -> dict[str, Any]:
    report: dict[str, Any] = {"agents": count, "namespaces": NAMESPACES, "load_at_the_start": machine()["load"]}
    kubeconfig = cluster.user_kubeconfig("ringfence-bench", ["system:masters"])
    async with Client.connect(kubeconfig, connections=CONNECTIONS) as client:
        await _prepare(client)
        follower = Follower(client)
        field = Field(cluster, client, follower, Record(cluster.audit_log), cluster.logs, count, window)
        following = asyncio.create_task(follower.run())
        try:
            report["seconds_until_ready_without_agents"] = round(await field.start(), 2)
            await _trials(field, only, report)
            report["lines_with_an_exception"] = field.mistakes()
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await asyncio.to_thread(field.controller.stop)
    report["load_at_the_end"] = machine()["load"]
    return report


async def _trials(field: Field, only: set[str], report: dict[str, Any]) -> None:
    agents = Agents(field, cliff="cliff" in only)
    trials: dict[str, Callable[[], Awaitable[dict[str, Any]]]] = {
        "creation": agents.create,
        "rest": agents.rest,
        "edits": agents.edits,
        "policy": agents.policy,
        "restart": lambda: failures.restart(field, agents),
        "leader": lambda: failures.leader(field, agents),
        "bad_input": lambda: failures.bad_input(field, agents),
        "crowd": lambda: fairness.crowd(field, agents),
        "unready": agents.unready,
        "deletion": agents.delete,
    }
    for name, trial in trials.items():
        if name != "creation" and name not in only:
            continue
        try:
            report[name] = await trial()
        except* ClusterError as errors:  # what was measured before is not lost by it
            report[name] = {"error": str(errors.exceptions[0])}
        if name == "creation" and "error" in report[name]:
            report[name] |= agents.created
            return  # the others are about agents that are there


async def _prepare(client: Client) -> None:
    with step(f"{NAMESPACES} namespaces and their policies"):
        await client.create("/api/v1/namespaces", {"metadata": {"name": LEASES}})
        for body in policies():
            await client.create(POLICIES, body)
        for number in range(NAMESPACES):
            await client.create("/api/v1/namespaces", namespace(f"scale-{number}", team=team(number)))
        await client.create("/api/v1/namespaces", namespace("scale-probe"))
