"""All that the controller reads of the cluster: one informer for each kind, and the comparison of all of them."""

import asyncio
import contextlib
import gc
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

import structlog

from ringfence.kube import ApiError, Kube, NotFound, NotServed, Unreachable
from ringfence.store.informer import RETRY_SECONDS, ContextSink, Informer, Sink, TableSink
from ringfence.store.sources import (
    AGENT_POLICY,
    AGENTS,
    CHILDREN,
    CLUSTER_WIDE,
    PODS,
    ROTATION_PODS,
    SERVICES,
    SOURCES,
    Source,
    keeps,
)
from ringfence.store.store import Store
from ringfence.store.strays import StrayPods
from ringfence.telemetry.events import Emit, StoreCompared, WatchHeard

log = structlog.get_logger(__name__)

SETTLE_SECONDS: Final = 5.0
"""Until the first comparison: by then the watches follow."""

LONGEST_READ: Final = 60.0
"""Seconds for the first read; with ten thousand agents it takes ten."""
STILL_GOOD: Final = 120.0
"""Seconds for which a list counts while others fail: its watch goes on from there. Where a busy API server lets one of
twenty lists time out, to begin with all of them again would not end."""

HEARD_SECONDS: Final = 1.0
"""Between two tellings that events come."""


class NotInstalled(Exception):
    """The CRDs are not there."""


@dataclass
class FirstRead:
    """How far the leader is with reading everything, before which it does not work.

    A check of `/readyz`: to read is no hindrance, as long as each kind answers and it does not take too long. Whether
    it is through, the metric and the log tell.
    """

    clock: Callable[[], float] = monotonic
    _reason: str | None = field(default="nothing was read yet", init=False)
    _since: float | None = field(default=None, init=False)
    _until: float | None = field(default=None, init=False)

    def began(self) -> None:
        """Each kind can be read. To fail and to begin again is still the same read."""
        self._reason = None
        self._since = self.clock() if self._since is None else self._since

    def failed(self, reason: str) -> None:
        """Something cannot be read."""
        self._reason = reason

    def ended(self) -> None:
        """All is read."""
        self._until = self.clock()

    @property
    def seconds(self) -> float:
        """Since it began, until it ended."""
        end = self.clock() if self._until is None else self._until
        return 0.0 if self._since is None else end - self._since

    def hindered(self) -> str | None:
        """What is in the way, or None."""
        if self._reason is None and self._until is None and self.seconds > LONGEST_READ:
            return f"still reading the cluster, after {self.seconds:.0f} s: until that is done no fence is looked after"
        return self._reason


OPENSHIFT: Final = ("config.openshift.io/v1", "clusterversions")
"""What tells an OpenShift from others: a version of an API group, and a resource in it."""


@dataclass
class Reading:
    """Keeps the store as the cluster is. `every`: seconds between two comparisons."""

    kube: Kube
    store: Store
    emit: Emit
    every: float
    sinks: Mapping[str, Sink] = field(init=False)
    """Where kopf puts what it hears, by the plural of the kind."""
    policies: Informer = field(init=False)
    """AgentPolicies. kopf follows them, too; but where their CRD was deleted and installed again, its watch may miss
    one that was made meanwhile."""
    agents: Informer = field(init=False)
    others: tuple[Informer, ...] = field(init=False)
    strays: StrayPods = field(init=False)
    _told: float = field(default=float("-inf"), init=False)

    def __post_init__(self) -> None:
        store, changed = self.store, self.store.context_changed
        policies = ContextSink(store.context, AGENT_POLICY, changed, table=store.policies)
        self.sinks = {SOURCES[AGENT_POLICY].plural: policies}
        self.policies = self._informer(SOURCES[AGENT_POLICY], policies)
        self.agents = self._informer(AGENTS, TableSink(store.agents, AGENTS.kind))
        self.strays = StrayPods(self.kube, store)
        context = [source for kind, source in SOURCES.items() if kind != AGENT_POLICY]
        self.others = (
            *(self._informer(source, ContextSink(store.context, source.kind, changed)) for source in context),
            *(
                self._informer(
                    source,
                    TableSink(
                        store.children, source.kind, wanted=keeps(source.kind), passed_over=store.rights.passed_over
                    ),
                )
                for source in CHILDREN
            ),
            self._informer(SERVICES, TableSink(store.services, "Service")),
            self._informer(PODS, TableSink(store.pods, "Pod")),
            self._informer(ROTATION_PODS, TableSink(store.rotations.pods, "Pod")),
            *(self._informer(one, TableSink(store.wider.cluster_wide[one.kind], one.kind)) for one in CLUSTER_WIDE),
        )

    async def ask(self) -> None:
        """Ask for one object of each kind. Raises ApiError, Unreachable, NotInstalled, NotServed."""
        async with _first_failure(), asyncio.TaskGroup() as group:
            for informer in (*self.others, self.policies, self.agents):
                group.create_task(_installed(informer, informer.ask))
        self.store.dns.is_openshift(await self.kube.serves(*OPENSHIFT))

    async def first(self) -> None:
        """List everything. Raises ApiError, Unreachable, NotInstalled, NotServed: another call lists what is missing.

        Agents come last: a pass over one is to find the rest. Only pods that lost their label are looked for in the
        namespaces of agents.
        """
        async with _without_collector(), _first_failure():
            async with asyncio.TaskGroup() as group:
                for informer in (*self.others, self.policies):
                    if monotonic() - informer.listed_at > STILL_GOOD:
                        group.create_task(_installed(informer, informer.sync))
            await _installed(self.agents, self.agents.sync)
        with contextlib.suppress(ApiError, Unreachable):  # that is due still, and nothing else waits for it
            await self.strays.look()

    async def follow(self) -> None:
        """For ever: the watches of all kinds."""
        async with asyncio.TaskGroup() as group:
            for informer in (*self.others, self.policies, self.agents):
                group.create_task(informer.follow(), name=f"watch {informer.source.kind}")
            group.create_task(self.strays.follow(), name="look for relabelled pods")

    async def compare_for_ever(self, returned: asyncio.Event) -> None:
        """Now and then; soon at first, and soon after the API server was away (`returned`)."""
        pause = SETTLE_SECONDS
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await returned.wait()
            pause = SETTLE_SECONDS if returned.is_set() else self.every
            returned.clear()
            await self.compare()

    async def compare(self) -> Mapping[str, int]:
        """Compare all kinds, one after the other. How many objects of each were known otherwise than they are."""
        found: dict[str, int] = {}
        for informer in (*self.others, self.policies, self.agents):
            try:
                differ = await informer.compare()
            except (ApiError, Unreachable) as failure:
                log.warning("resync failed; the watches go on", kind=informer.source.kind, error=str(failure))
                return found
            found[informer.source.kind] = found.get(informer.source.kind, 0) + differ
        try:
            await self.strays.look_everywhere()
        except (ApiError, Unreachable) as failure:
            log.warning("resync failed; the watches go on", kind="Pod", error=str(failure))
            return found
        self.emit(StoreCompared(found))
        return found

    def _informer(self, source: Source, sink: Sink) -> Informer:
        return Informer(self.kube, source, sink, heard=self._hear)

    def _hear(self) -> None:
        """An event came. Of hundreds in a second one is told."""
        now = monotonic()
        if now - self._told >= HEARD_SECONDS:
            self._told = now
            self.emit(WatchHeard())


async def _installed(informer: Informer, read: Callable[[], Awaitable[None]]) -> None:
    """Read one kind. Raises NotInstalled where it is one of ours and not there, NotServed where it is not.

    A busy API server refuses some of twenty lists: those alone are asked for again.
    """
    for pause in (*RETRY_SECONDS, None):
        try:
            await read()
        except NotFound as failure:
            if informer.source.path.startswith("/apis/ringfence.dev/"):
                raise NotInstalled from failure
            raise NotServed(informer.source.kind, informer.source.group_version) from failure
        except ApiError as failure:
            if pause is None or not failure.passing:
                raise
            await asyncio.sleep(failure.pause(pause))
        else:
            return


@contextlib.asynccontextmanager
async def _without_collector() -> Any:
    """No search for cycles while everything is read: there are none in it, and to look for them took 40 % of the time.

    What is kept afterwards is left out of later searches, too: half a million objects.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()


@contextlib.asynccontextmanager
async def _first_failure() -> Any:
    """One error instead of a group of them: the first of ours says what is missing."""
    try:
        yield
    except BaseExceptionGroup as group:
        chosen = next((one for one in group.exceptions if isinstance(one, NotInstalled)), group.exceptions[0])
        raise chosen from None
