"""An informer, what it keeps, and the API server that it follows."""

import asyncio
from asyncio import sleep  # by name: the informer's own pauses are patched
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from ringfence.kube import Object, path_of
from ringfence.store.context import PolicyContext
from ringfence.store.informer import Informer, TableSink
from ringfence.store.sources import SERVICES
from ringfence.store.store import Store
from unit.fakes.kube import FakeKube
from unit.store.make import service


def path(name: str) -> str:
    return path_of("v1", "services", "ns", name)


def bare(body: Object) -> Object:
    """Without what the API server gives."""
    metadata = {key: body["metadata"][key] for key in ("labels", "ownerReferences") if key in body["metadata"]}
    return body | {"metadata": metadata}


class Place:
    """An informer of Services, its table, and the API server."""

    def __init__(self) -> None:
        self.kube, self.store, self.heard = FakeKube(), Store(PolicyContext()), 0
        self.table = self.store.services
        self.informer = Informer(self.kube, SERVICES, TableSink(self.table, "Service"), heard=self._hear)

    def _hear(self) -> None:
        self.heard += 1

    def put(self, name: str, **spec: Any) -> Object:
        return self.kube.cluster.put(path(name), bare(service(**spec)))

    def names(self) -> list[str]:
        return sorted(name for _, name in self.table.items)

    @property
    def lists(self) -> int:
        return [one.verb for one in self.kube.requests].count("list")


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - many small things of others are waited for
            await sleep(0)


@asynccontextmanager
async def following(informer: Informer) -> AsyncIterator[None]:
    task = asyncio.create_task(informer.follow())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
