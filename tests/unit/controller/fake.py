"""A small API server in memory: objects by path, resourceVersions, conflicts. For what needs no real one."""

import asyncio
import copy
from typing import Any, cast

from ringfence.kube import Conflict, Kube, NotFound, Object, Unreachable


class FakeKube:
    """Get, create and replace; `down` makes it unreachable."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.down = False
        self.refuse: Exception | None = None
        self.hang = False
        self._version = 0

    def as_kube(self) -> Kube:
        return cast("Kube", self)

    async def _answer(self) -> None:
        await asyncio.sleep(0)
        if self.hang:
            await asyncio.Event().wait()
        if self.down:
            raise Unreachable("down")
        if self.refuse is not None:
            raise self.refuse

    async def get(self, path: str) -> Object:
        await self._answer()
        if path not in self.objects:
            raise NotFound(404, "NotFound", path)
        return copy.deepcopy(self.objects[path])

    async def create(self, path: str, body: Object) -> Object:
        await self._answer()
        path = f"{path}/{body['metadata']['name']}"
        if path in self.objects:
            raise Conflict(409, "AlreadyExists", path)
        return self._store(path, body)

    async def replace(self, path: str, body: Object, **_: Any) -> Object:
        await self._answer()
        known = self.objects.get(path)
        if known is None:
            raise NotFound(404, "NotFound", path)
        if body["metadata"].get("resourceVersion") not in {None, known["metadata"]["resourceVersion"]}:
            raise Conflict(409, "Conflict", path)
        return self._store(path, body)

    def _store(self, path: str, body: Object) -> Object:
        self._version += 1
        stored = copy.deepcopy(body)
        stored["metadata"]["resourceVersion"] = str(self._version)
        self.objects[path] = stored
        return copy.deepcopy(stored)
