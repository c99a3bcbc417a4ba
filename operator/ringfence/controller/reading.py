"""All that the controller reads of the cluster: one informer for each kind, and the comparison of all of them."""

import asyncio
import contextlib
import gc
from collections.abc import Mapping
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

HEARD_SECONDS: Final = 1.0
"""Between two tellings that events come."""


class NotInstalled(Exception):
    """The CRDs are not there."""


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
            *(self._informer(one, TableSink(store.wider.cluster_wide[one.kind], one.kind)) for one in CLUSTER_WIDE),
        )

    async def first(self) -> None:
        """List everything. Raises ApiError, Unreachable, NotInstalled, NotServed.

        Agents come last: a pass over one is to find the rest. Only pods that lost their label are looked for in the
        namespaces of agents.
        """
        async with _without_collector(), _first_failure():
            async with asyncio.TaskGroup() as group:
                for informer in (*self.others, self.policies):
                    group.create_task(_installed(informer))
            await _installed(self.agents)
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
                found[informer.source.kind] = await informer.compare()
            except (ApiError, Unreachable) as failure:
                log.warning("resync failed; the watches go on", kind=informer.source.kind, error=str(failure))
                return found
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


async def _installed(informer: Informer) -> None:
    """List one kind. Raises NotInstalled where it is one of ours and not there, NotServed where it is not.

    A busy API server refuses some of twenty lists: those alone are asked for again.
    """
    for pause in (*RETRY_SECONDS, None):
        try:
            await informer.sync()
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
