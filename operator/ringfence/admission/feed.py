"""Keeps what the admission server knows of the cluster up to date: one informer for each kind."""

import asyncio

from ringfence.kube import Kube
from ringfence.store.claims import Claims
from ringfence.store.context import PolicyContext
from ringfence.store.informer import ContextSink, Informer, TableSink
from ringfence.store.sources import AGENTS, SOURCES


async def feed(kube: Kube, context: PolicyContext) -> None:
    """Follow all kinds of `SOURCES`, and what agents ask for, for ever."""
    claims = context.agents = Claims()
    async with asyncio.TaskGroup() as group:
        for kind, source in SOURCES.items():
            informer = Informer(kube, source, ContextSink(context, kind))
            group.create_task(informer.follow(), name=f"watch {kind}")
        agents = Informer(kube, AGENTS, TableSink(claims.table, AGENTS.kind), heard=claims.heard)
        group.create_task(agents.follow(), name=f"watch {AGENTS.kind}")
