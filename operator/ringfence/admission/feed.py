"""Keeps the PolicyContext of the admission server up to date: one informer for each kind."""

import asyncio

from ringfence.kube import Kube
from ringfence.store.context import PolicyContext
from ringfence.store.informer import ContextSink, Informer
from ringfence.store.sources import SOURCES


async def feed(kube: Kube, context: PolicyContext) -> None:
    """Follow all kinds of `SOURCES` for ever."""
    async with asyncio.TaskGroup() as group:
        for kind, source in SOURCES.items():
            informer = Informer(kube, source, ContextSink(context, kind))
            group.create_task(informer.follow(), name=f"watch {kind}")
