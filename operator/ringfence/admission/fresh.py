"""A live read before a refusal: the newest namespace and policies, read past the cache.

`kubectl apply` of a directory creates a namespace, a policy and an agent within milliseconds, and a watch may lag by
more. What only a cache that lags would refuse is decided again on what is stored now. A yes needs no live read:
the controller decides again before it writes anything.
"""

import asyncio
from collections.abc import Collection, Sequence
from typing import Final

import structlog

from ringfence.api.names import API_VERSION
from ringfence.kube import ApiError, Kube, NotFound, Object, Unreachable, path_of
from ringfence.store.claims import claim_of
from ringfence.store.context import PolicyContext, View
from ringfence.store.sources import AGENT_POLICY, AGENTS, SOURCES

log = structlog.get_logger(__name__)

AT_A_TIME: Final = 4
"""Live reads at a time. With more refusals than that in flight, the cache has to do: it bounds our own load."""
MOST_TARGETS: Final = 8
SECONDS: Final = 1.5
"""Of the 5 s that the API server waits for us."""


class LiveReader:
    """Reads one namespace and all policies."""

    def __init__(self, kube: Kube, context: PolicyContext) -> None:
        self._kube = kube
        self._context = context
        self._free = asyncio.Semaphore(AT_A_TIME)

    async def view(self, namespace: str, targets: Collection[str] = ()) -> View | None:
        """What is stored now; None when it cannot be read in time, or when too many are reading.

        `targets`: other namespaces whose consent matters; the first few are read, of the rest the cache's counts.
        """
        if self._free.locked():
            return None
        try:
            async with self._free, asyncio.timeout(SECONDS):
                body, policies = await asyncio.gather(
                    self._kube.get(path_of("v1", "namespaces", name=namespace)),
                    self._kube.list(SOURCES[AGENT_POLICY].path),
                )
                # What others ask for matters under limits alone; there may be many of them.
                limits = any((policy.get("spec") or {}).get("limits") for policy in policies)
                others = await self._namespaces(sorted(targets)[:MOST_TARGETS])
                path = path_of(API_VERSION, AGENTS.plural, namespace)
                agents = [claim_of(agent) for agent in await self._kube.list(path)] if limits else None
        except NotFound:
            return None
        except (ApiError, Unreachable, TimeoutError) as failure:
            log.warning("no live read: deciding by the cache", namespace=namespace, error=str(failure))
            return None
        return self._context.with_fresh(body, policies, agents, others)

    async def stored(self, namespace: str, name: str) -> Object | None:
        """An AgentDeployment as it is now; None when it cannot be read in time."""
        try:
            async with asyncio.timeout(SECONDS), self._free:
                return await self._kube.get(path_of(API_VERSION, AGENTS.plural, namespace, name))
        except (ApiError, Unreachable, TimeoutError) as failure:
            log.warning("cannot read the agent that is to be scaled", namespace=namespace, error=str(failure))
            return None

    async def _namespaces(self, names: Sequence[str]) -> list[Object]:
        """Those that are there."""

        async def read(name: str) -> Object | None:
            try:
                return await self._kube.get(path_of("v1", "namespaces", name=name))
            except NotFound:
                return None

        return [one for one in await asyncio.gather(*map(read, names)) if one is not None]
