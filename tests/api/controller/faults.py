"""The reconciler in this process, on a connection that fails where a test says so: at the n-th write, in any way."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp

from ringfence.controller.agent.event_recorder import Events
from ringfence.controller.agent.reconcile import Reconciler
from ringfence.controller.agent.recorder import Fleet
from ringfence.controller.agent.secrets import Keys
from ringfence.controller.agent.writer import NotLeading, Requeue, Writer
from ringfence.controller.cache import Key
from ringfence.controller.context import ControllerContext
from ringfence.controller.resync import resync
from ringfence.kube import ApiError, Conflict, Kube, Unreachable
from ringfence.store.context import PolicyContext


class Killed(BaseException):
    """The process ends here, at once."""


class FaultyKube(Kube):
    """Counts writes from 1; the one numbered `at` goes wrong.

    `lost`: carried out, but the reply does not come. `killed`: carried out, and the process ends. `dead`: the process
    ends before it. `reset`: not carried out, no reply. A number: not carried out, refused with that HTTP status.
    """

    at = 0
    how: str | int = ""
    writes = 0
    paths: tuple[str, ...] = ()

    def arm(self, at: int, how: str | int) -> None:
        self.at, self.how, self.writes, self.paths = at, how, 0, ()

    async def _send(self, method: str, path: str, query: Mapping[str, str], **options: Any) -> aiohttp.ClientResponse:
        if method == "GET":
            return await super()._send(method, path, query, **options)
        self.writes += 1
        self.paths += (f"{method} {path}",)
        if self.writes != self.at:
            return await super()._send(method, path, query, **options)
        if self.how in {"lost", "killed"}:
            response = await super()._send(method, path, query, **options)
            response.close()
            if self.how == "killed":
                raise Killed
            raise Unreachable(f"{method} {path}: the reply is lost")
        if self.how == "dead":
            raise Killed
        if self.how == "reset":
            raise Unreachable(f"{method} {path}: reset")
        kind = Conflict if self.how == 409 else ApiError
        raise kind(int(self.how), "Injected", "as the test says", retry_after=0.1 if self.how == 429 else None)


class Bench:
    """A reconciler with caches of its own, as a process has them; without watches: it reads anew on every try."""

    def __init__(self, kube: Kube) -> None:
        self.kube = kube
        self.leading = True
        self._begin()

    def _begin(self) -> None:
        self.state = ControllerContext(PolicyContext())
        self.writer = Writer(self.kube, self.state.cache, lambda: self.leading)
        events = Events(self.kube, instance="test")
        keys = Keys(self.kube, lambda: self.leading, "ringfence-system:ringfence-controller")
        self.reconciler = Reconciler(self.kube, self.state.cache, self.state.world, self.writer, events, Fleet(), keys)

    async def settle(self, key: Key, *, tries: int = 60) -> list[str]:
        """Passes until one goes well. What went wrong before it. A killed process begins anew, with empty caches."""
        wrong: list[str] = []
        for _ in range(tries):
            try:
                await resync(self.kube, self.state)
                await self.reconciler.reconcile(key)
            except Killed:
                wrong.append("killed")
                self._begin()
            except (Requeue, NotLeading, ApiError, Unreachable) as failure:
                wrong.append(f"{type(failure).__name__}: {failure}")
                await asyncio.sleep(0.05)
            else:
                return wrong
        raise AssertionError(f"never well: {wrong}")


async def connect(kubeconfig: Path) -> FaultyKube:
    found = await FaultyKube.connect(str(kubeconfig))
    assert isinstance(found, FaultyKube)
    return found
