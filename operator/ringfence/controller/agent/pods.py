"""Ends the pods of an edited Deployment: of this very Deployment, by uid, and of a template that was never ours.

Each as soon as it is seen, whatever its agent's pass is at: a container starts half a second after its pod was made.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ringfence.api.names import FIELD_MANAGER
from ringfence.controller.runtime.loop import Look
from ringfence.kube import Conflict, NotFound, path_of
from ringfence.resources import Identity, Ref
from ringfence.resources.model import child_name
from ringfence.store.left_behind import END_WITHIN, is_left_behind, made_by_edit
from ringfence.store.records import Key, PodKey, StoredPod, pod_path, read_pod
from ringfence.store.store import is_ours
from ringfence.telemetry.events import AgentName, PodEnded

from .writer import Writer

KNOWN = 256
"""ReplicaSets that are remembered as made by an edit, so that the next of their pods waits for no question."""


@dataclass
class Pods:
    """The only place that deletes pods. Works on one at a time."""

    writer: Writer
    kind: str = field(default="Pod", init=False)
    _ending: set[str] = field(default_factory=set, init=False)
    _made_by_edit: set[tuple[str, str]] = field(default_factory=set, init=False)

    def about(self, key: PodKey) -> Mapping[str, str]:
        """As fields of a log line."""
        return {"pod": key.name, "namespace": key.namespace}

    async def reconcile(self, key: PodKey) -> Look:
        """End one pod, if it is to end. Raises NotLeading, ApiError, Unreachable."""
        pod = self.writer.store.pods.get(key)
        agent = self.writer.store.agents.get(pod.agent) if pod else None
        if pod is not None and agent is not None:
            await self._end(pod, Identity(name=agent.key.name, namespace=agent.key.namespace, uid=agent.uid))
        return Look()

    async def failed(self, key: PodKey, failure: Exception) -> None:
        """The log says it."""

    async def end(self, pods: Iterable[StoredPod], agent: Identity) -> None:
        """End some of an agent's, all at a time. The first failure is raised when all are done."""
        for failure in await asyncio.gather(*(self._end(pod, agent) for pod in pods), return_exceptions=True):
            if failure is not None:
                raise failure

    async def end_at_once(self, pods: Iterable[StoredPod]) -> None:
        """End those of a run that is no run of ours. Raises NotLeading, ApiError, Unreachable."""
        for pod in pods:
            self.writer.guard()
            with contextlib.suppress(Conflict):  # another pod of that name
                await self.writer.kube.delete(pod_path(pod), uid=pod.uid, grace=END_WITHIN)

    async def _end(self, pod: StoredPod, agent: Identity) -> None:
        if not is_left_behind(pod, self._periods(agent)) or pod.uid in self._ending:
            return
        self._ending.add(pod.uid)
        try:
            await self._delete(pod, agent)
        finally:
            self._ending.discard(pod.uid)

    async def _delete(self, pod: StoredPod, agent: Identity) -> None:
        """Give it a second to end, and have its ReplicaSet make no more: whose it is, that one tells, and no name.

        Where the pods of the right template do not get ready, nobody else takes its number from the ReplicaSet. All of
        its pods are to be deleted before: it deletes them with all the time that its template gives.
        """
        store, ref = self.writer.store, Ref("Deployment", agent.namespace, child_name(agent.name))
        workload = store.children.get(ref)
        if workload is None or not is_ours(workload, agent.uid, store.ownership.get(ref)):
            return
        if pod.replica_set is None or not await self._is_made_by_edit(pod, workload.uid, self._periods(agent)):
            return
        self.writer.guard()
        try:
            answer = await self.writer.kube.delete(pod_path(pod), uid=pod.uid, grace=END_WITHIN)
        except Conflict:
            return  # another pod of that name: it is looked at by itself
        if answer is not None:
            if answer.get("kind") == "Pod":
                store.pods.take(read_pod(answer))
            self._tell(pod, agent)
        pods = store.pods_of(Key(agent.namespace, agent.name))
        others = [one for one in pods if one.replica_set == pod.replica_set and one.uid != pod.uid]
        if not any(is_left_behind(one, self._periods(agent)) for one in others):
            await self._empty(agent.namespace, *pod.replica_set)

    def _periods(self, agent: Identity) -> frozenset[int]:
        stored = self.writer.store.agents.get(Key(agent.namespace, agent.name))
        return stored.grace_periods if stored else frozenset()

    async def _is_made_by_edit(self, pod: StoredPod, workload_uid: str, periods: frozenset[int]) -> bool:
        name, uid = pod.replica_set or ("", "")
        if (uid, workload_uid) in self._made_by_edit:
            return True
        try:
            found = await self.writer.kube.get(_replica_set_path(pod.key.namespace, name))
        except NotFound:
            return False
        if found["metadata"]["uid"] != uid or not made_by_edit(found, workload_uid, periods):
            return False
        if len(self._made_by_edit) >= KNOWN:
            self._made_by_edit.clear()
        self._made_by_edit.add((uid, workload_uid))
        return True

    async def _empty(self, namespace: str, name: str, uid: str) -> None:
        self.writer.guard()
        try:
            body = {"metadata": {"uid": uid}, "spec": {"replicas": 0}}
            await self.writer.kube.merge(_replica_set_path(namespace, name) + "/scale", body, manager=FIELD_MANAGER)
        except (Conflict, NotFound):
            return  # it is another one, or gone

    def _tell(self, pod: StoredPod, agent: Identity) -> None:
        key = Key(agent.namespace, agent.name)
        count = self.writer.fences.pod_ended(key)
        self.writer.emit(PodEnded(agent=AgentName(*key), uid=agent.uid, name=pod.key.name, count=count))


def _replica_set_path(namespace: str, name: str) -> str:
    return path_of("apps/v1", "replicasets", namespace, name)
