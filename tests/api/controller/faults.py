"""The reconciler in this process, on a connection that fails where a test says so: at the n-th write, in any way."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp

from api.controller.process import CANARY, JOB_IMAGE
from ringfence.controller.agent.execute import Executor
from ringfence.controller.agent.handover import HandOvers
from ringfence.controller.agent.observe import Observer
from ringfence.controller.agent.pods import Pods
from ringfence.controller.agent.reconciler import AgentReconciler
from ringfence.controller.agent.recorder import Recorder
from ringfence.controller.agent.secrets import Secrets
from ringfence.controller.agent.writer import Writer
from ringfence.controller.reading import Reading
from ringfence.kube import ApiError, Conflict, Kube, RingfenceError, Unreachable
from ringfence.resources.model import Gate, JobImage
from ringfence.store.context import PolicyContext
from ringfence.store.records import Key
from ringfence.store.store import Store
from ringfence.telemetry.events import to_all
from ringfence.telemetry.sinks.kubernetes import KubernetesEventSink
from ringfence.telemetry.sinks.metrics import MetricsSink

GATE = Gate(JobImage(JOB_IMAGE), *CANARY)


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
    """A reconciler with a store of its own, as a process has them; without watches: it reads anew on every try."""

    def __init__(self, kube: Kube) -> None:
        self.kube = kube
        self.leading = True
        self._begin()

    def _begin(self) -> None:
        self.told = KubernetesEventSink(self.kube, instance="test")
        self.emit = emit = to_all(MetricsSink(), self.told)
        self.store = Store(PolicyContext())
        self.writer = Writer(self.kube, self.store, lambda: self.leading, emit)
        secrets = Secrets(self.kube, lambda: self.leading, "ringfence-system:ringfence-controller", emit)
        self.reconciler = AgentReconciler(
            store=self.store,
            observer=Observer(self.kube, self.store, secrets, HandOvers(emit), gate=GATE),
            executor=Executor(self.writer, secrets, Pods(self.writer), emit),
            writer=self.writer,
            recorder=Recorder(emit),
            emit=emit,
        )

    async def settle(self, key: Key, *, tries: int = 60) -> list[str]:
        """Passes until one goes well. What went wrong before it. A killed process begins anew, with an empty store."""
        wrong: list[str] = []
        for _ in range(tries):
            try:
                self.reading = Reading(self.kube, self.store, self.emit, every=60)  # this one lists everything again
                await self.reading.first()
                await self.reconciler.reconcile(key)
                await self.told.flush(30)
            except Killed:
                wrong.append("killed")
                self._begin()
            except RingfenceError as failure:
                wrong.append(f"{type(failure).__name__}: {failure}")
                await asyncio.sleep(0.05)
            else:
                return wrong
        raise AssertionError(f"never well: {wrong}")


async def connect(kubeconfig: Path) -> FaultyKube:
    found = await FaultyKube.connect(str(kubeconfig))
    assert isinstance(found, FaultyKube)
    return found
