"""Keeps the PolicyContext of the admission server up to date: one endless watch for each kind."""

import asyncio
from typing import Final

import structlog

from ringfence.kube import ApiError, Kube, NotFound, Unreachable
from ringfence.store.context import SOURCES, PolicyContext, Source

log = structlog.get_logger(__name__)

RETRY_SECONDS: Final = 2.0
ABSENT_SECONDS: Final = 300.0
"""How long an optional kind that the cluster lacks is taken to be still lacking."""


async def feed(kube: Kube, world: PolicyContext) -> None:
    """Follow all kinds of `SOURCES` for ever."""
    async with asyncio.TaskGroup() as group:
        for kind, source in SOURCES.items():
            group.create_task(_follow(kube, world, kind, source), name=f"watch {kind}")


async def _follow(kube: Kube, world: PolicyContext, kind: str, source: Source) -> None:
    told = ""
    while True:
        try:
            # Asked first by itself: the endless watch does not tell why it gets nothing.
            await kube.get(f"{source.path}?limit=1")
            told = ""
            async for event, found in kube.list_watch(source.path, label_selector=source.label_selector):
                if event == "SYNC":
                    world.replace(kind, found)
                else:
                    world.observe(kind, event, found)
        except (ApiError, Unreachable) as failure:
            if source.optional and isinstance(failure, NotFound):
                world.replace(kind, [])
                await asyncio.sleep(ABSENT_SECONDS)
                continue
            if told != (told := str(failure)):
                log.warning("cannot read what decisions need: trying on", kind=kind, error=told)
        except Exception:
            # A surprise in one watch must not end the others, nor make this one deaf.
            log.exception("a watch broke", kind=kind)
        await asyncio.sleep(RETRY_SECONDS)
