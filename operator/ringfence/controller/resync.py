"""Reads everything anew: before the first pass, and then every minute, for what a watch may have missed.

kopf's watches report no deletion that happened during a gap; a list does.
"""

import time
from collections.abc import Sequence

from ringfence.kube import Kube, NotFound, Object, path_of
from ringfence.store.context import ENDPOINT_SLICE, SOURCES, Source
from ringfence.telemetry.metrics import LAST_RESYNC

from .cache import AGENTS_PATH, CHILD_KINDS, CHILDREN_SELECTOR, SERVICES_PATH
from .context import ControllerContext

RESYNC_SECONDS = 60.0
"""Longest time for which a missed event goes unnoticed. The lists are the children by label, so they stay small."""
ATTEMPTS = 3
"""Lists of a kind that keeps changing while it is listed, before it is left to the watch for this time."""


class NotInstalled(Exception):
    """The CRDs are not there."""


async def resync(kube: Kube, state: ControllerContext) -> None:
    """Replace the caches by what is there now, and have every agent looked at.

    Raises ApiError, Unreachable, NotInstalled.
    """
    for kind, source in SOURCES.items():
        await _surroundings(kube, state, kind, source)
    state.cache.age()
    try:
        agents, version = await kube.snapshot(AGENTS_PATH)
    except NotFound as failure:
        raise NotInstalled from failure
    for lost in state.cache.replace_agents(agents, version):
        state.queue.add(lost)
    state.cache.replace_services(*await kube.snapshot(SERVICES_PATH))
    for kind, (group_version, plural) in CHILD_KINDS.items():
        found = await kube.snapshot(path_of(group_version, plural), label_selector=CHILDREN_SELECTOR)
        state.cache.replace_children(kind, *found)
    state.enqueue()
    LAST_RESYNC.set(time.time())


async def _surroundings(kube: Kube, state: ControllerContext, kind: str, source: Source) -> None:
    """Replace one kind of what decisions depend on.

    A list is older than what a watch shows in the meantime: it is taken only when nothing changed while it was read.
    """
    for _ in range(ATTEMPTS):
        before = state.world.version
        items = await _list(kube, source)
        if state.world.version == before or kind in state.world.missing:
            state.world.replace(kind, items)
            if kind == ENDPOINT_SLICE:
                state.cache.replace_api_server(items)
            return


async def _list(kube: Kube, source: Source) -> Sequence[Object]:
    try:
        return await kube.list(source.path, label_selector=source.label_selector)
    except NotFound as failure:
        if source.path.startswith("/apis/ringfence.dev/"):
            raise NotInstalled from failure
        if not source.optional:
            raise
        return []
