"""Reads everything anew: before the first pass, and then every minute, for what a watch may have missed.

kopf's watches report no deletion that happened during a gap; a list does.
"""

from ringfence.kube import Kube, NotFound, path_of
from ringfence.world import ENDPOINT_SLICE, SOURCES

from .cache import AGENTS_PATH, CHILD_KINDS, CHILDREN_SELECTOR, SERVICES_PATH, api_server_endpoints
from .state import State

RESYNC_SECONDS = 60.0
"""Longest time for which a missed event goes unnoticed. The lists are the children by label, so they stay small."""


class NotInstalled(Exception):
    """The CRDs are not there."""


async def resync(kube: Kube, state: State) -> None:
    """Replace the caches by what is there now, and have every agent looked at.

    Raises ApiError, Unreachable, NotInstalled.
    """
    for kind, source in SOURCES.items():
        try:
            items = await kube.list(source.path, label_selector=source.label_selector)
        except NotFound as failure:
            if source.path.startswith("/apis/ringfence.dev/"):
                raise NotInstalled from failure
            if not source.optional:
                raise
            items = []
        state.world.replace(kind, items)
        if kind == ENDPOINT_SLICE:
            state.cache.api_server = tuple(endpoint for item in items for endpoint in api_server_endpoints(item))
    try:
        state.cache.replace_agents(await kube.list(AGENTS_PATH))
    except NotFound as failure:
        raise NotInstalled from failure
    state.cache.replace_services(await kube.list(SERVICES_PATH))
    for kind, (group_version, plural) in CHILD_KINDS.items():
        items = await kube.list(path_of(group_version, plural), label_selector=CHILDREN_SELECTOR)
        state.cache.replace_children(kind, items)
    state.enqueue()
