"""One API server with a controller at work on it, and ways to look at both from outside."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from api.controller.process import USER, Controller, Options
from cluster import Cluster
from cluster.errors import ClusterError

from .client import Client
from .follow import Follower
from .record import Mark, Record, counted
from .usage import Usage, memory

__all__ = ["Field", "Process", "Span", "until"]

LEASES = "scale-lease"
START_SECONDS = 300
QUIET_SECONDS, QUIET_TIMEOUT = 10, 300
PROGRAMS = {"etcd": "etcd", "kube-apiserver": "apiserver", "kube-controller-manager": "controller_manager"}


class Process(Controller):
    """A controller, started as a pod starts it."""

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def ready(self) -> bool:
        """Whether it leads, and nothing is in its way."""
        if self.exit_code is not None:
            raise ClusterError(f"the controller ended: {self.output[-2000:]}")
        return self.get("/readyz")[0] == 200 and self.leading()


@dataclass
class Field:
    """The parts that every trial needs."""

    cluster: Cluster
    client: Client
    follower: Follower
    record: Record
    logs: Path
    count: int
    window: int
    """Seconds for which agents are left alone."""
    controller: Process = field(init=False)
    _numbers: Any = field(default_factory=itertools.count)

    def begin(self, identity: str = "") -> Process:
        """A controller's process; it is not up yet."""
        number = next(self._numbers)
        options = Options(LEASES, identity or f"replica-{number}")
        return Process(self.cluster, self.logs / f"controller-{number}.log", options)

    async def start(self) -> float:
        """A controller that leads. Seconds until it is ready."""
        started = time.monotonic()
        self.controller = self.begin()
        await until("the controller leads", self.controller.ready, patience=START_SECONDS)
        return time.monotonic() - started

    def usage(self) -> Usage:
        """CPU so far, of the controller and of the control plane."""
        running = self.cluster.running()
        pids = {ours: running[name] for name, ours in PROGRAMS.items() if name in running}
        return Usage.now(pids | {"controller": self.controller.pid})

    def memory(self) -> dict[str, float]:
        """The controller's, in MiB."""
        return memory(self.controller.pid)

    def span(self) -> Span:
        """Begin to count."""
        return Span(self, time.monotonic(), self.record.mark(), self.usage(), self.kube_writes())

    def kube_writes(self) -> float:
        """Writing requests as the controller itself counts them, Events among them."""
        verbs = ("POST", "PUT", "PATCH", "DELETE")
        return sum(self.controller.metric("ringfence_kube_requests_total", verb=verb) for verb in verbs)

    async def quiet(self) -> bool:
        """Wait until the controller has written nothing for a while. False when that does not come."""
        deadline = time.monotonic() + QUIET_TIMEOUT
        while time.monotonic() < deadline:
            mark = self.record.mark()
            await asyncio.sleep(QUIET_SECONDS)
            if not any(entry.writes and not entry.is_lease for entry in self.record.since(mark, user=USER)):
                return True
        return False

    def mistakes(self) -> int:
        """Lines of the controllers' logs that tell of an exception."""
        return sum(file.read_text().count('"exception"') for file in self.logs.glob("controller-*.log"))


@dataclass(frozen=True)
class Span:
    """A stretch of time: what was used and asked for in it."""

    field: Field
    started: float
    mark: Mark
    usage: Usage
    kube_writes: float

    @property
    def seconds(self) -> float:
        """So far."""
        return time.monotonic() - self.started

    def end(self) -> dict[str, Any]:
        """Seconds, CPU seconds of each program, and the controller's requests."""
        seconds, used = self.seconds, self.field.usage().since(self.usage)
        told = counted(self.field.record.since(self.mark, user=USER))
        # The record has no Events in it; the controller's own count has them, and the lease.
        own = round(self.field.kube_writes() - self.kube_writes) - told["lease_writes"]
        told["writes_and_events"] = max(own, told["writes"])
        return {"seconds": round(seconds, 1), "cpu_seconds": used, "requests": told}

    def rates(self) -> dict[str, Any]:
        """The same as shares: % of a core of each program, requests a second without watches and the lease."""
        told = self.end()
        share = {name: round(100 * used / told["seconds"], 1) for name, used in told["cpu_seconds"].items()}
        asked = told["requests"]["writes"] + told["requests"]["reads"]
        return {
            "seconds": told["seconds"],
            "percent_of_a_core": share,
            "requests_per_second": round(asked / told["seconds"], 2),
            "requests": told["requests"],
        }


async def until(what: str, look: Callable[[], bool | Awaitable[bool]], *, patience: float, every: float = 0.1) -> float:
    """Wait; seconds that it took. A plain function is called in a thread: it may ask over the network."""
    started = time.monotonic()
    while True:
        if asyncio.iscoroutinefunction(look):
            found = await look()
        else:
            found = await asyncio.to_thread(look)
        if found:
            return time.monotonic() - started
        if time.monotonic() - started > patience:
            raise ClusterError(f"gave up after {patience:.0f} s waiting for {what}")
        await asyncio.sleep(every)
