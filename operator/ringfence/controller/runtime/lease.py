"""One of the replicas leads: the one that holds a `coordination.k8s.io` Lease.

The official client has an election too. It was looked at and not taken: it compares wall clocks (a stepped clock makes
two leaders), does not release on SIGTERM, and an unreachable API server ends it with an exception.
"""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import structlog

from ringfence.kube import ApiError, Kube, NotFound, Object, RingfenceError, Unreachable, path_of
from ringfence.telemetry.events import Emit, LeaderSeen, LeadershipChanged, silent

log = structlog.get_logger()

DURATION = 15.0
"""Seconds that a lease is good for without a renewal: the time until another replica takes over after a hard kill."""
RENEW_DEADLINE = 10.0
"""Seconds after which a leader that could not renew stops writing: well before anybody else may begin."""
RETRY = 2.0
"""Seconds between renewals. The three are Kubernetes' own components' defaults."""
RETURN_RETRY = 0.5
"""The same while renewals fail: nothing is written until one succeeds. It is one small request."""
STANDBY_RETRY = 1.0
"""Seconds between the looks of a replica that stands by: a lease that was given back is taken within that."""
LONGEST_GAP = DURATION - RENEW_DEADLINE
"""Seconds between two looks of a replica after which it counts anew: it was asleep, or nothing was answered."""
NOBODY_AFTER = 20.0
"""Seconds without a sign of a leader until that is an error: an ordinary takeover ends within 17 (docs/scaling.md)."""
MOST_TRANSITIONS = 2**31 - 1
"""The API server refuses a greater `leaseTransitions`."""


class NotLeading(RingfenceError):
    """Another replica may be leading: nothing is written."""

    longest_pause = 5.0
    """To ask again costs nothing, and the lease is renewed or lost within seconds."""


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
        self._asked = False  # whether a write that names this replica may have been stored
        self._seen: object = None  # another holder's last sign of life
        self._since = float("-inf")  # when that was seen, or when this replica began to look again
        self._looked: float | None = None
        self._alive = clock()  # when any leader was last seen, this replica included; at first the start
        self._found = "nothing was read yet"
        self._told = False
        self.returned = asyncio.Event()
        """Set when a renewal went well after one that had not: what happened in between may have been missed."""
        self.on_return: list[Callable[[], None]] = []
        """Called at the same moment."""

    @property
    def leading(self) -> bool:
        """Whether this replica may write now. Turns False by itself when renewals stop."""
        return self._clock() - self._renewed < RENEW_DEADLINE

    def nobody_leads(self) -> str | None:
        """A sentence where no leader, this replica included, was seen for too long. Any thread may ask."""
        silence = self._clock() - self._alive
        if silence <= NOBODY_AFTER:
            return None
        return f"no leader has been seen for {silence:.0f} s, so no fence is looked after: {self._found}"

    async def acquire(self, stop: asyncio.Event) -> bool:
        """Wait until this replica leads; False when `stop` came first."""
        self._emit(LeaderSeen())  # the start counts as one: a replica that never sees any is to be noticed as well
        while not stop.is_set():
            if await self._look():
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
            await _pause(stop, RETURN_RETRY if missed else RETRY)
            if not await self._look():
                missed = True
            elif missed:
                missed = False
                self.returned.set()
                for call in self.on_return:
                    call()
            self._emit(LeadershipChanged(self.leading))
            if not self._leads:
                log.error("lost the lease: stopping", lease=self._name, identity=self._identity)
                return False
        return True

    async def release(self) -> None:
        """Give it up, so that another replica need not wait. A failure is fine: the lease then runs out."""
        if not self.leading:
            return
        self._renewed, self._leads, self._asked = float("-inf"), False, False
        self._emit(LeadershipChanged(False))
        with contextlib.suppress(ApiError, Unreachable):
            lease = await self._kube.get(self._path)
            if (spec := _spec(lease)).get("holderIdentity") == self._identity:
                free = lease | {"spec": spec | {"holderIdentity": "", "leaseDurationSeconds": 1}}
                await self._kube.replace(self._path, free)
                log.info("released the lease", lease=self._name, identity=self._identity)

    async def _look(self) -> bool:
        """`_try`, and say it when nobody leads: once, until somebody does again."""
        taken = await self._try()
        found = self.nobody_leads()
        if found and not self._told:
            log.error("nobody leads", lease=self._name, identity=self._identity, why=found)
        self._told = found is not None
        return taken

    async def _try(self) -> bool:
        """Take or renew the lease. A lost race and an API server that is away are both just False."""
        started = self._clock()
        try:
            async with asyncio.timeout(RENEW_DEADLINE / 2):
                if not await self._take():
                    return False
        except (ApiError, Unreachable, TimeoutError) as failure:
            tell = log.debug if self._failing else log.warning  # once for each outage, not every two seconds
            error = str(failure) or "no answer"
            tell("could not take or renew the lease", lease=self._name, error=error)
            self._failing = True
            self._found = f"the Lease {self._name} cannot be taken or renewed: {error}"
            return False
        self._renewed, self._failing = started, False
        self._leader_seen()
        return True

    async def _take(self) -> bool:
        try:
            lease = await self._kube.get(self._path)
        except NotFound:
            lease = None
        now = self._clock()
        if self._looked is not None and now - self._looked > LONGEST_GAP:
            self._since = now  # who leads, and whether it is alive, may have changed unseen
        self._looked = now
        if lease is None:
            self._found = f"the Lease {self._name} is not there"
            if not self.leading and not self._ran_out():
                return False  # somebody deleted it: its holder may be writing still
            self._asked = True
            await self._kube.create(self._collection, self._lease(None))
            return True
        spec = _spec(lease)
        if self._leads and spec.get("holderIdentity") != self._identity:
            self._leads, self._renewed = False, float("-inf")
            return False
        if not self._mine_or_free(spec):
            return False
        self._asked = True
        await self._kube.replace(self._path, self._lease(lease))
        return True

    def _mine_or_free(self, spec: Object) -> bool:
        """Whether it may be taken. Another's lease counts from when *we* saw it renewed, so clocks need not agree."""
        holder, renewed = spec.get("holderIdentity"), spec.get("renewTime")
        if holder == "":
            return True  # given back
        if holder == self._identity and (self._asked or self._seen is None):
            return True  # else somebody else wrote our name, and another may lead still
        self._asked = False
        self._found = f"the Lease {self._name} is held by {holder}, who renewed it at {renewed}"
        if self._seen != (holder, renewed):
            self._seen, self._since = (holder, renewed), self._clock()
            self._leader_seen()
        return self._ran_out()

    def _ran_out(self) -> bool:
        """Whether no other holder was seen alive for longer than any holder goes on without a renewal."""
        return self._clock() - self._since > DURATION

    def _leader_seen(self) -> None:
        self._alive = self._clock()
        self._emit(LeaderSeen())

    def _lease(self, old: Object | None) -> Object:
        """What is stored. Of what was there before, only what cannot make the API server refuse it."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        before = _spec(old or {})
        same = before.get("holderIdentity") == self._identity
        transitions = before.get("leaseTransitions")
        if type(transitions) is not int or not 0 <= transitions < MOST_TRANSITIONS:
            transitions = 0
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(DURATION),
            "acquireTime": (same and before.get("acquireTime")) or now,
            "renewTime": now,
            "leaseTransitions": transitions + (old is not None and not same),
        }
        metadata = {"name": self._name} | ({"resourceVersion": old["metadata"]["resourceVersion"]} if old else {})
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


def _spec(lease: Object) -> dict[str, Any]:
    """Its spec, empty where there is none."""
    found = lease.get("spec")
    return found if isinstance(found, dict) else {}


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
