"""Writes children: server-side apply, read back, never an object that is not ours, never without the lease."""

from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus

import structlog

from ringfence.api.names import FIELD_MANAGER
from ringfence.controller.cache import Cache, Key, Ref, agent_path
from ringfence.kube import ApiError, Conflict, Kube, NotFound, Object
from ringfence.resources import Identity, Manifest
from ringfence.resources.compare import (
    DESIRED_ANNOTATION,
    completed_only,
    content_hash,
    content_matches,
    controlled_by_earlier,
    controller_uid,
    edited,
    immutable_differs,
    matches,
    metadata_matches,
    whole,
    written_from,
)
from ringfence.telemetry.metrics import AGENT_COLLECTOR, CHILD_WRITES, VIOLATIONS

from .field_manager import UNKNOWN, Author, of_edit

log = structlog.get_logger()

EDITED = "ChildEdited"
DELETED = "ChildDeleted"
"""Rules of source `drift` in ringfence_violations_total."""
STOPPED = "stopped"
"""In place of the hash, on a workload that was stopped for want of a fence."""
OUR_MANAGERS = {FIELD_MANAGER, "kube-controller-manager"}
"""Who writes to our children without making them somebody else's."""


class OwnershipConflict(Exception):
    """An object of a child's name exists and does not belong to the agent. It is left as it is."""

    def __init__(self, ref: Ref) -> None:
        super().__init__(
            f"{ref.kind} {ref.name} exists already and does not belong to this AgentDeployment; it was left untouched. "
            "Delete or rename it, and Ringfence goes on by itself."
        )
        self.ref = ref


class Requeue(Exception):
    """The write has to wait for something that will happen by itself (an object that is being deleted)."""

    def __init__(self, why: str, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class AgentGone(Exception):
    """The agent itself is gone: its children went with it, and are not to come back."""


class NotLeading(Exception):
    """Another replica may be leading: nothing is written."""


class MutatedOnWrite(Exception):
    """What is stored is not what was written: something on the way (a mutating webhook) puts its own in."""

    def __init__(self, ref: Ref) -> None:
        super().__init__(
            f"{ref.kind} {ref.name} is not stored as it was written: something in the cluster, such as a mutating "
            "webhook, changes it on the way. Exempt Ringfence's objects from it."
        )
        self.ref = ref


@dataclass
class Repair:
    """One child that somebody changed and that was put back."""

    ref: Ref
    rule: str


@dataclass(frozen=True)
class OwnershipRecord:
    """What is remembered of a child that was written or found right: whose, which object, from which manifest."""

    agent_uid: str
    uid: str
    written_from: str | None


@dataclass
class Writer:
    """The only place that writes children."""

    kube: Kube
    cache: Cache
    leading: Callable[[], bool]
    _mine: dict[Ref, OwnershipRecord] = field(default_factory=dict)
    _completed: dict[Ref, tuple[str, str]] = field(default_factory=dict)
    _absent: dict[Ref, str] = field(default_factory=dict)
    """Children that were looked for and are not there, with the uid of the agent that does without."""

    async def ensure(self, desired: Manifest, agent: Identity, *, known: bool) -> Repair | None:
        """Have `desired` stored exactly, and read back.

        `known`: whether it had been written for this generation before, so that an absence is somebody's deletion.
        Raises OwnershipConflict, Requeue, NotLeading, AgentGone, MutatedOnWrite, ApiError, Unreachable.
        """
        ref = Ref.of(desired)
        live = self.cache.children.get(ref)
        if live is not None and self._is_ours(ref, live, agent) and self._right(ref, desired, live):
            self._remember(ref, live, agent)
            return None
        live = await self._read(ref)  # the cache may be behind; what is decided on is fresh
        if live is None:
            mine = self._mine.get(ref)
            deleted = known or (mine is not None and mine.agent_uid == agent.uid)
            if deleted:
                await self.still_there(agent)
            await self._create(ref, desired, agent)
            return repaired(ref, agent, DELETED) if deleted else None
        self._require_ours(ref, live, agent)
        if self._right(ref, desired, live):
            self._remember(ref, live, agent)
            return None
        if live["metadata"].get("deletionTimestamp"):
            raise Requeue(f"{ref.kind} {ref.name} is being deleted")
        if immutable_differs(desired, live):
            await self._delete(ref, live)
            repaired(ref, agent, EDITED, of_edit(live["metadata"]))
            raise Requeue(f"{ref.kind} {ref.name} cannot be put right and is made anew")
        changed = await self._correct(ref, desired, live, agent)
        mine = self._mine.get(ref)
        remembered = mine.written_from if mine and mine.uid == live["metadata"]["uid"] else None
        foreign = edited(desired, live, remembered)
        self._remember(ref, self.cache.children[ref], agent)
        return repaired(ref, agent, EDITED, of_edit(live["metadata"])) if changed and foreign else None

    async def remove(self, ref: Ref, agent: Identity) -> None:
        """Delete a child of ours that is not wanted any more; whatever is not ours stays."""
        if ref not in self.cache.children and self._absent.get(ref) == agent.uid:
            return
        live = await self._read(ref)
        if live is not None and self._is_ours(ref, live, agent):
            await self._delete(ref, live)
        self._forget(ref)
        self._absent[ref] = agent.uid

    async def scale_to_zero(self, ref: Ref, agent: Identity) -> bool:
        """Take the pods of a Deployment of ours away. Whether there was something to do."""
        live = self.cache.children.get(ref)
        if live is None or not self._is_ours(ref, live, agent) or not live["spec"].get("replicas", 1):
            return False
        self.guard()
        # The mark says that the number is ours: to put it back later repairs nobody's edit.
        metadata = {"uid": live["metadata"]["uid"], "annotations": {DESIRED_ANNOTATION: STOPPED}}
        stored = await self.kube.merge(ref.path, {"metadata": metadata, "spec": {"replicas": 0}}, manager=FIELD_MANAGER)
        self.cache.observe_child("MODIFIED", stored, ref.kind)
        self._remember(ref, stored, agent)
        CHILD_WRITES.labels(ref.kind, "update").inc()
        return True

    def forget(self, refs: set[Ref]) -> None:
        """Drop what is remembered of a deleted agent's children."""
        for ref in refs:
            self._forget(ref)

    async def still_there(self, agent: Identity) -> None:
        """Raise AgentGone unless this very agent is there and is to stay.

        The garbage collector deletes as well, and news of the agent's end may come after that, or never did.
        """
        try:
            found = await self.kube.get(agent_path(Key(agent.namespace, agent.name)))
        except NotFound as failure:
            raise AgentGone(agent.uid) from failure
        if found["metadata"]["uid"] != agent.uid or found["metadata"].get("deletionTimestamp"):
            raise AgentGone(agent.uid)

    async def _create(self, ref: Ref, desired: Manifest, agent: Identity) -> None:
        # Not forced: should somebody's object of that name appear in this very moment, it conflicts and stays theirs.
        self.guard()
        self._absent.pop(ref, None)
        try:
            stored, created = await self.kube.apply_new(ref.path, desired, manager=FIELD_MANAGER)
        except Conflict:
            live = await self._read(ref)
            if live is not None:
                self._require_ours(ref, live, agent)
            raise
        if not created and _managers(stored) - OUR_MANAGERS:  # nothing in theirs conflicted: give back what was added
            bare = {key: desired[key] for key in ("apiVersion", "kind")} | {"metadata": {"name": ref.name}}
            await self.kube.apply(ref.path, bare, manager=FIELD_MANAGER, force=False)
            raise OwnershipConflict(ref)
        CHILD_WRITES.labels(ref.kind, "create").inc()
        await self._read_back(ref, desired, agent)

    async def _correct(self, ref: Ref, desired: Manifest, live: Object, agent: Identity) -> bool:
        """Apply; and where others' additions remain, which apply leaves alone, replace the object. True: it changed."""
        stored = await self._apply(ref, desired, live)
        if stored is None or not matches(desired, stored):
            self.guard()
            stored = await self.kube.replace(ref.path, whole(desired, stored or live), manager=FIELD_MANAGER)
            if not metadata_matches(desired, stored) or not completed_only(desired, stored):
                raise MutatedOnWrite(ref)
            # What differs after the whole object was replaced is how the API server completes it.
            self._completed[ref] = (content_hash(desired), content_hash(stored))
        # Not by resourceVersion: the status of a Deployment moves it at any time.
        changed = content_hash(stored) != content_hash(live) or not metadata_matches(desired, live)
        if changed:
            CHILD_WRITES.labels(ref.kind, "update").inc()
        await self._read_back(ref, desired, agent, remember=False)
        return changed

    async def _apply(self, ref: Ref, desired: Manifest, live: Object) -> Object | None:
        """What is stored then; None where our fields and somebody's additions make no valid object together."""
        self.guard()
        body = desired | {"metadata": desired["metadata"] | {"uid": live["metadata"]["uid"]}}
        try:
            return await self.kube.apply(ref.path, body, manager=FIELD_MANAGER)
        except ApiError as failure:
            if failure.status != HTTPStatus.UNPROCESSABLE_ENTITY:
                raise
            return None

    async def _delete(self, ref: Ref, live: Object) -> None:
        self.guard()
        await self.kube.delete(ref.path, uid=live["metadata"]["uid"])
        CHILD_WRITES.labels(ref.kind, "delete").inc()
        self.cache.children.pop(ref, None)

    async def _read_back(self, ref: Ref, desired: Manifest, agent: Identity, *, remember: bool = True) -> None:
        """What counts is what is stored, not what the reply to the write said."""
        stored = await self._read(ref)
        if stored is None or not self._right(ref, desired, stored):
            raise Requeue(f"{ref.kind} {ref.name} is not stored as written yet")
        if remember:
            self._remember(ref, stored, agent)

    async def _read(self, ref: Ref) -> Object | None:
        try:
            live = await self.kube.get(ref.path)
        except NotFound:
            self.cache.children.pop(ref, None)
            return None
        self.cache.observe_child("MODIFIED", live, ref.kind)
        return live

    def _right(self, ref: Ref, desired: Manifest, live: Object) -> bool:
        if not metadata_matches(desired, live):
            return False
        completed = (content_hash(desired), content_hash(live))
        return content_matches(desired, live) or self._completed.get(ref) == completed

    def _is_ours(self, ref: Ref, live: Object, agent: Identity) -> bool:
        # The second half: an edit that strips the owner must not make our own object look like a stranger's.
        mine = self._mine.get(ref)
        known = mine is not None and (mine.agent_uid, mine.uid) == (agent.uid, live["metadata"]["uid"])
        return controller_uid(live) == agent.uid or known

    def _require_ours(self, ref: Ref, live: Object, agent: Identity) -> None:
        if self._is_ours(ref, live, agent):
            return
        if controlled_by_earlier(live, agent.name, agent.uid):
            raise Requeue(
                f"{ref.kind} {ref.name} belongs to an earlier AgentDeployment of this name and is still there"
            )
        raise OwnershipConflict(ref)

    def _remember(self, ref: Ref, live: Object, agent: Identity) -> None:
        self._mine[ref] = OwnershipRecord(agent.uid, live["metadata"]["uid"], written_from(live))

    def _forget(self, ref: Ref) -> None:
        self._mine.pop(ref, None)
        self._completed.pop(ref, None)
        self._absent.pop(ref, None)

    def guard(self) -> None:
        """Raise NotLeading where another replica may lead. Before each write, whatever is written."""
        if not self.leading():
            raise NotLeading("the lease is not held any more")


def repaired(ref: Ref, agent: Identity, rule: str, author: Author = UNKNOWN) -> Repair:
    """Count and tell one child that was put back. Who deleted something, the API server's book does not say."""
    VIOLATIONS.labels("drift", rule, agent.namespace).inc()
    AGENT_COLLECTOR.repaired((agent.namespace, agent.name))
    about = {"agent": agent.name, "namespace": agent.namespace, "kind": ref.kind, "name": ref.name}
    log.warning("put back", **about, rule=rule, **author.told())
    return Repair(ref, rule)


def _managers(stored: Object) -> set[str]:
    return {str(entry.get("manager")) for entry in stored["metadata"].get("managedFields") or []}
