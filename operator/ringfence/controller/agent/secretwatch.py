"""Wakes agents when a Secret changes that their egress gateway sends: by metadata alone, in their namespaces alone.

Whoever rotates such a Secret wants the new value used at once; the kubelet looks about every minute, unless the
controller has it look.
"""

import asyncio
from typing import Final

import structlog

from ringfence.kube import ApiError, Kube, Unreachable, path_of
from ringfence.store.records import Key
from ringfence.store.store import Store
from ringfence.store.urgency import Urgency

log = structlog.get_logger(__name__)

PAUSE: Final = 1.0
REFUSED_PAUSE: Final = 60.0
"""Where the right to watch is missing: a pass in each minute finds changes as well."""
GONE: Final = 410


class SecretWatch:
    """One watch for each namespace with such agents."""

    def __init__(self, kube: Kube, store: Store) -> None:
        self._kube = kube
        self._store = store
        self._wanted: dict[str, dict[Key, frozenset[str]]] = {}
        self._followed: set[str] = set()
        self._asked = asyncio.Event()

    def want(self, key: Key, names: frozenset[str]) -> None:
        """From now on wake an agent for these Secrets of its namespace; none: not any more."""
        if names:
            self._wanted.setdefault(key.namespace, {})[key] = names
            if key.namespace not in self._followed:
                self._asked.set()
        elif key in (agents := self._wanted.get(key.namespace, {})):
            del agents[key]

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._asked.wait()
                self._asked.clear()
                for namespace in [one for one, agents in self._wanted.items() if agents and one not in self._followed]:
                    self._followed.add(namespace)
                    group.create_task(self._follow(namespace))

    async def _follow(self, namespace: str) -> None:
        """As long as an agent there wants it."""
        version, told = "", False
        try:
            while self._wanted.get(namespace):
                try:
                    version = await self._once(namespace, version)
                    told = False
                except (ApiError, Unreachable) as failure:
                    version = ""
                    refused = isinstance(failure, ApiError) and not failure.passing
                    if refused and not told:
                        log.warning("cannot watch Secrets that gateways send", namespace=namespace, error=str(failure))
                        told = True
                    await asyncio.sleep(REFUSED_PAUSE if refused else failure.pause(PAUSE))
                except Exception:
                    log.exception("a watch of Secrets broke", namespace=namespace)
                    version = ""
                    await asyncio.sleep(PAUSE)
        finally:
            self._followed.discard(namespace)

    async def _once(self, namespace: str, version: str) -> str:
        """One request of a watch; the version to go on from, "": none."""
        path = path_of("v1", "secrets", namespace)
        if not version:
            async for _, found in self._kube.pages(path, metadata_only=True, limit=1):
                version = found
                break
            self._changed(namespace, None)
        async for event, body in self._kube.watch(path, version, metadata_only=True):
            if event == "ERROR":
                if body.get("code") != GONE:
                    log.warning("a watch of Secrets was ended", error=str(body.get("message", ""))[:200])
                return ""
            version = str(body["metadata"]["resourceVersion"])
            if event != "BOOKMARK":
                self._changed(namespace, str(body["metadata"]["name"]))
        return version

    def _changed(self, namespace: str, name: str | None) -> None:
        """Wake those who want it; None: all, as it is not known what changed."""
        for key, names in list(self._wanted.get(namespace, {}).items()):
            if name is None or name in names:
                self._store.wake(key, Urgency.CHANGE)
