"""Pods that lost their agent's label: looked for in the namespaces of agents, when there is a reason to.

No watch follows them: it would have to follow all pods without that label, and most of these are of no agent. The
watch of the labelled pods tells when one leaves it. Then, and when a namespace gets its first agent, the pods of that
namespace are listed once; while there are strays in it, again and again; and with each comparison of all that is known.
"""

import asyncio
import contextlib
from collections.abc import Iterable
from time import monotonic
from typing import Final

import structlog

from ringfence.kube import ApiError, Kube, Unreachable

from .informer import RETRY_SECONDS, Informer, TableSink
from .sources import may_be_stray, stray_pods
from .store import Store

log = structlog.get_logger(__name__)

AGAIN: Final = 2.0
"""Seconds between two looks at a namespace with strays: so late is told that one is gone."""
SHARE: Final = 10
"""A pause is at least so many times as long as the looks took: a namespace full of pods does not keep us busy."""
AT_ONCE: Final = 8
"""Namespaces looked at side by side."""


class StrayPods:
    """Keeps the table of them in a store."""

    def __init__(self, kube: Kube, store: Store) -> None:
        self._kube = kube
        self._store = store
        self._due: set[str] = set()
        self._asked = asyncio.Event()
        store.wider.look = self._look_soon

    async def look(self) -> None:
        """Look at the namespaces that somebody asked for. Raises ApiError, Unreachable; they are due still, then."""
        await self._look_at(self._due)

    async def look_everywhere(self) -> None:
        """Look at all namespaces of agents. Raises ApiError, Unreachable."""
        await self._look_at({key.namespace for key in self._store.agents.items} | self._with_strays())
        if self._with_strays():
            self._asked.set()  # from now on again and again

    async def follow(self) -> None:
        """For ever: look where somebody asks for it, and where strays are."""
        took, told = 0.0, ""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(AGAIN, SHARE * took) if self._with_strays() else None):
                    await self._asked.wait()
            began = monotonic()
            try:
                await self._look_at(self._due | self._with_strays())
                told = ""
            except (ApiError, Unreachable) as failure:
                if (text := str(failure)) != told:
                    log.warning("cannot look for relabelled pods: trying on", error=text)
                    told = text
                await asyncio.sleep(failure.pause(RETRY_SECONDS[-1]))
            except asyncio.CancelledError:
                raise
            except Exception:
                log.exception("a look for relabelled pods broke")
                await asyncio.sleep(RETRY_SECONDS[-1])
            took = monotonic() - began

    def _look_soon(self, namespace: str) -> None:
        self._due.add(namespace)
        self._asked.set()

    def _with_strays(self) -> set[str]:
        return {pod.key[0] for pod in self._store.wider.unlabelled.items.values() if pod.is_stray}

    async def _look_at(self, namespaces: Iterable[str]) -> None:
        """At each of them; what fails is due again, by itself: the others are done, so that each try comes further."""
        todo = sorted(namespaces)
        self._due.difference_update(todo)
        if not self._due:
            self._asked.clear()
        free = asyncio.Semaphore(AT_ONCE)

        async def one(namespace: str) -> None:
            async with free:
                await self._look_into(namespace)

        try:
            answers = await asyncio.gather(*map(one, todo), return_exceptions=True)
        except asyncio.CancelledError:
            self._due.update(todo)
            raise
        failures = [(namespace, one) for namespace, one in zip(todo, answers, strict=True) if one is not None]
        for namespace, _ in failures:
            self._look_soon(namespace)
        if failures:
            raise failures[0][1]

    async def _look_into(self, namespace: str) -> None:
        sink = TableSink(self._store.wider.unlabelled, "Pod", wanted=may_be_stray, namespace=namespace)
        await Informer(self._kube, stray_pods(namespace), sink).compare()
