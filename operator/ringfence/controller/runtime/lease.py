"""One of the replicas leads: the one that holds a `coordination.k8s.io` Lease.

The official client has an election too. It was looked at and not taken: it compares wall clocks (a stepped clock makes
two leaders), does not release on SIGTERM, and an unreachable API server ends it with an exception.
"""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic

import structlog

from ringfence.kube import ApiError, Kube, NotFound, Object, RingfenceError, Unreachable, path_of
from ringfence.telemetry.events import Emit, LeadershipChanged, silent

log = structlog.get_logger()

DURATION = 15.0
"""Seconds that a lease is good for without a renewal: the time until another replica takes over after a hard kill."""
RENEW_DEADLINE = 10.0
"""Seconds after which a leader that could not renew stops writing: well before anybody else may begin."""
RETRY = 2.0
"""Seconds between renewals. The three are Kubernetes' own components' defaults."""
STANDBY_RETRY = 1.0
"""Seconds between the looks of a replica that stands by: a lease that was given back is taken within that."""


class NotLeading(RingfenceError):
    """Another replica may be leading: nothing is written."""


class Lease:
    """This replica's part in the election."""

    def __init__(
        self,
        kube: Kube,
        *,
        namespace: str,
        name: str,
        identity: str,
        emit: Emit = silent,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._emit = emit
        self._kube = kube
        self._collection = path_of("coordination.k8s.io/v1", "leases", namespace)
        self._path = f"{self._collection}/{name}"
        self._name = name
        self._identity = identity
        self._clock = clock
        self._renewed = float("-inf")
        self._leads = False
        self._failing = False
        self._seen: tuple[object, float] = (None, float("-inf"))
        self._patience = DURATION
        self.returned = asyncio.Event()
        """Set when a renewal went well after one that had not: what happened in between may have been missed."""

    @property
    def leading(self) -> bool:
        """Whether this replica may write now. Turns False by itself when renewals stop."""
        return self._clock() - self._renewed < RENEW_DEADLINE

    async def acquire(self, stop: asyncio.Event) -> bool:
        """Wait until this replica leads; False when `stop` came first."""
        while not stop.is_set():
            if await self._try():
                self._leads = True
                self._emit(LeadershipChanged(True))
                log.info("leading", lease=self._name, identity=self._identity)
                return True
            await _pause(stop, STANDBY_RETRY)
        return False

    async def keep(self, stop: asyncio.Event) -> bool:
        """Renew until `stop` (True) or until another replica has the lease (False).

        While the API server is away nothing is written, and nobody else can take the lease: it goes on afterwards.
        """
        missed = False
        while not stop.is_set():
            await _pause(stop, RETRY)
            if not await self._try():
                missed = True
            elif missed:
                missed = False
                self.returned.set()
            self._emit(LeadershipChanged(self.leading))
            if not self._leads:
                log.error("lost the lease: stopping", lease=self._name, identity=self._identity)
                return False
        return True

    async def release(self) -> None:
        """Give it up, so that another replica need not wait. A failure is fine: the lease then runs out."""
        if not self.leading:
            return
        self._renewed, self._leads = float("-inf"), False
        self._emit(LeadershipChanged(False))
        with contextlib.suppress(ApiError, Unreachable):
            lease = await self._kube.get(self._path)
            if lease.get("spec", {}).get("holderIdentity") == self._identity:
                lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                await self._kube.replace(self._path, lease)
                log.info("released the lease", lease=self._name, identity=self._identity)

    async def _try(self) -> bool:
        """Take or renew the lease. A lost race and an API server that is away are both just False."""
        started = self._clock()
        try:
            async with asyncio.timeout(RENEW_DEADLINE / 2):
                if not await self._take():
                    return False
        except (ApiError, Unreachable, TimeoutError) as failure:
            tell = log.debug if self._failing else log.warning  # once for each outage, not every two seconds
            tell("could not take or renew the lease", lease=self._name, error=str(failure) or "no answer")
            self._failing = True
            return False
        self._renewed, self._failing = started, False
        return True

    async def _take(self) -> bool:
        try:
            lease = await self._kube.get(self._path)
        except NotFound:
            if not self._leads and not self._ran_out():
                return False  # somebody deleted it: its holder may be writing still
            await self._kube.create(self._collection, self._lease(None))
            return True
        holder = (lease.get("spec") or {}).get("holderIdentity")
        if self._leads and holder != self._identity:
            self._leads, self._renewed = False, float("-inf")
            return False
        if not self._mine_or_free(lease):
            return False
        await self._kube.replace(self._path, self._lease(lease))
        return True

    def _mine_or_free(self, lease: Object) -> bool:
        """Whether it may be taken. Another's lease counts from when *we* saw it renewed, so clocks need not agree."""
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity")
        if not holder or holder == self._identity:
            return True
        version = lease["metadata"]["resourceVersion"]
        if self._seen[0] != version:
            self._seen = (version, self._clock())
            self._patience = max(DURATION, float(spec.get("leaseDurationSeconds") or 0))
        return self._ran_out()

    def _ran_out(self) -> bool:
        """Whether no other holder was seen alive for longer than any holder goes on without a renewal."""
        return self._clock() - self._seen[1] > self._patience

    def _lease(self, old: Object | None) -> Object:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = dict((old or {}).get("spec") or {})
        if spec.get("holderIdentity") != self._identity:
            taken = old is not None
            spec |= {"acquireTime": now, "leaseTransitions": int(spec.get("leaseTransitions") or 0) + taken}
        spec |= {"holderIdentity": self._identity, "leaseDurationSeconds": int(DURATION), "renewTime": now}
        metadata = {"name": self._name} | ({"resourceVersion": old["metadata"]["resourceVersion"]} if old else {})
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
