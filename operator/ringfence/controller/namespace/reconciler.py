"""One pass over one namespace: what it has for all of its agents, and what those left that are not there any more."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final

from ringfence.api.names import AGENTS_ENABLED, AGENTS_LABEL, FIELD_MANAGER
from ringfence.controller.runtime.lease import NotLeading
from ringfence.controller.runtime.loop import Look
from ringfence.kube import ErrorKind, Kube, NotFound, RingfenceError
from ringfence.policy.opened import closed_for_good, opening
from ringfence.resources import Ref
from ringfence.resources.runs import WORKLOADS
from ringfence.resources.stored import StoredChild, stored, without_pods
from ringfence.store.orphans import ownerless
from ringfence.store.records import Key, agent_path, child_path
from ringfence.store.store import Store
from ringfence.telemetry.events import ChildWritten, Emit, NamespaceObserved, OrphansFound, StandingMissing

from .orphans import Orphan, Remedy, of_child, of_pods, sentence, stops, workload_of_pod
from .standing import InTheWay, NotStored, Standing

DEADLINE: Final = 5.0
"""Seconds until an object is called an orphan that was never seen to be an agent's: whoever restores a backup makes the
children and the agent in any order, and the cluster takes a moment to collect what goes with an agent."""
AGAIN: Final = 30.0
"""Seconds until the next try to store a policy that somebody's is in the way of: its end is told by a watch, too."""


@dataclass
class NamespaceReconciler:
    """Works on one namespace at a time."""

    kube: Kube
    store: Store
    policy: Standing
    ceiling: Standing
    leading: Callable[[], bool]
    emit: Emit
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    kind: str = field(default="Namespace", init=False)
    _noticed: dict[str, dict[Ref, datetime]] = field(default_factory=dict)
    """When each orphan of a namespace was first seen."""
    _told: dict[str, dict[Key, frozenset[Ref]]] = field(default_factory=dict)
    _missing: dict[Ref, str] = field(default_factory=dict)
    """Why an object of a namespace is not stored, as it was told."""

    def about(self, key: str) -> Mapping[str, str]:
        """As fields of a log line."""
        return {"namespace": key}

    async def reconcile(self, key: str) -> Look:
        """One pass. Raises RingfenceError: the caller tries again later."""
        unfenced = await self._keep(self.policy, key)
        failure = unfenced or await self._keep(self.ceiling, key)
        orphans, pause = self._orphans(key)
        try:
            await self._tell_and_stop(key, orphans)
        finally:
            missing = unfenced is not None or self._mislabelled(key) is not None
            self.emit(NamespaceObserved(key, orphans=len(orphans), missing=missing))
        if failure is not None and not isinstance(failure, InTheWay | NotStored):
            raise failure
        pauses = [one for one in (pause, AGAIN if failure else None) if one is not None]
        return Look(after=min(pauses, default=None))

    async def failed(self, key: str, failure: Exception) -> None:
        """A mistake of ours: the log has it."""

    async def _keep(self, standing: Standing, namespace: str) -> RingfenceError | None:
        """Have an object as it should be. What stands in the way of that is told, once, where it does not pass."""
        ref = standing.wanted.ref(namespace)
        try:
            await standing.keep(namespace)
        except NotFound:
            if not self.store.context.knows(namespace):
                return None  # the namespace itself is gone
            raise
        except RingfenceError as failure:
            if failure.kind in {ErrorKind.NOT_OURS, ErrorKind.REFUSED}:
                self._note_missing(ref, str(failure))
            return failure
        self._note_missing(ref, self._mislabelled(namespace) if standing is self.policy else None)
        return None

    def _mislabelled(self, namespace: str) -> str | None:
        """Why nothing is stored in a namespace that is labelled as open: no label opens it."""
        facts = self.store.context.facts(namespace)
        where = opening(namespace, facts)
        if not where.is_for_good or (facts.namespace_labels or {}).get(AGENTS_LABEL) != AGENTS_ENABLED:
            return None
        return f"{closed_for_good(namespace, where)}: kubectl label namespace {namespace} {AGENTS_LABEL}-"

    def _note_missing(self, ref: Ref, why: str | None) -> None:
        if why is None:
            self._missing.pop(ref, None)
        elif self._missing.get(ref) != why:
            self._missing[ref] = why
            self.emit(StandingMissing(ref.namespace, ref.kind, ref.name, why))

    def _orphans(self, namespace: str) -> tuple[list[Orphan], float | None]:
        """Those that are certain; and in how many seconds more may be."""
        found = {one.ref: one for one in self._candidates(namespace)}
        now, before = self.clock(), self._noticed.get(namespace, {})
        noticed = {ref: before.get(ref, now) for ref in found}
        if noticed:
            self._noticed[namespace] = noticed
        else:
            self._noticed.pop(namespace, None)
        ends = {ref: noticed[ref] + timedelta(seconds=DEADLINE) for ref, one in found.items() if not one.at_once}
        waits = {ref: end for ref, end in ends.items() if end > now}
        pause = (min(waits.values()) - now).total_seconds() if waits else None
        return [one for ref, one in sorted(found.items()) if ref not in waits], pause

    def _candidates(self, namespace: str) -> list[Orphan]:
        store, found = self.store, list[Orphan]()
        for ref in store.orphans.children(namespace):
            child = store.children.items[ref]
            agent, former = store.agents.get(Key(namespace, child.agent_label or "")), store.orphans.former_agent(child)
            left = agent is None or (former is not None and former != agent.uid)  # the agent of today is another one
            if left and not child.deleting and not self._goes_with_its_fence(child):
                found.append(of_child(child, was_ours=former is not None))
        refs = {one.ref for one in found}
        for key in store.orphans.agents_of_pods(namespace):
            for ref, pods in groupby(store.pods_of(key), workload_of_pod):
                found += of_pods(key, pods, store.children.get(ref), left=ref in refs)
        return found

    def _goes_with_its_fence(self, child: StoredChild) -> bool:
        """Whether its other owner, the deny policy, goes with the agent: until then the cluster keeps the workload."""
        names = [one.name for one in child.owners if one.kind == "NetworkPolicy" and one.name]
        fences = [self.store.children.get(Ref("NetworkPolicy", child.ref.namespace, name)) for name in names]
        return any(fence is not None and (fence.deleting or not ownerless(fence)) for fence in fences)

    async def _tell_and_stop(self, namespace: str, orphans: Sequence[Orphan]) -> None:
        before = self._told.pop(namespace, {})
        context = self.store.context
        stop = bool(orphans) and stops(context.policies(), context.facts(namespace).namespace_labels or {})
        for agent, group in groupby(sorted(orphans, key=lambda one: (one.agent, one.ref)), lambda one: one.agent):
            ours = list(group)
            refs = frozenset(one.ref for one in ours)
            if refs - before.get(agent, frozenset()) and not await self._is_there(ours[0]):
                self._tell(ours, stop=stop)
            self._told.setdefault(namespace, {})[agent] = refs
            if stop:
                for one in ours:
                    await self._stop(one)

    def _tell(self, orphans: Sequence[Orphan], *, stop: bool) -> None:
        first = next((one for one in orphans if one.ref.kind in WORKLOADS), orphans[0])
        self.emit(
            OrphansFound(
                namespace=first.ref.namespace,
                agent=first.agent.name,
                objects=tuple(f"{one.ref.kind}/{one.ref.name}" for one in orphans),
                stopped=stop,
                message=sentence(orphans),
            )
        )

    async def _stop(self, orphan: Orphan) -> None:
        """Take away what it can do. What it is, its owner may still look at."""
        child = orphan.child
        if child is None or orphan.remedy is Remedy.NONE or await self._is_there(orphan):
            return
        if not self.leading():
            raise NotLeading("the lease is not held any more")
        path = child_path(child.ref)
        try:
            if orphan.remedy is Remedy.REMOVE:
                await self.kube.delete(path, uid=child.uid)
                self.emit(ChildWritten(child.ref.kind, "delete"))
            else:
                answer = await self.kube.merge(path, without_pods(child), manager=FIELD_MANAGER)
                self.store.children.take(stored(answer, child.ref.kind))
                self.emit(ChildWritten(child.ref.kind, "update"))
        except NotFound:
            return  # gone meanwhile: it will be told

    async def _is_there(self, orphan: Orphan) -> bool:
        """Whether the agent is there after all: a watch may be late, and what it owns is not to be taken away."""
        if orphan.at_once:
            return False  # we saw it go
        if orphan.agent in self.store.agents.items:
            return True
        try:
            await self.kube.get(agent_path(orphan.agent))
        except NotFound:
            return False
        return True
