"""Writes children: server-side apply, read back, never an object that is not ours, never without the lease."""

from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from ringfence.api.names import FIELD_MANAGER
from ringfence.kube import Conflict, Kube, NotFound, Object
from ringfence.metrics import CHILD_WRITES, VIOLATIONS
from ringfence.resources import Identity, Manifest
from ringfence.resources.compare import (
    content_hash,
    content_matches,
    controller_uid,
    edited,
    matches,
    metadata_matches,
)

from .cache import Cache, Key, Ref, agent_path

log = structlog.get_logger()

EDITED = "ChildEdited"
DELETED = "ChildDeleted"
"""Rules of source `drift` in ringfence_violations_total."""


class NotOurs(Exception):
    """An object of a child's name exists and does not belong to the agent. It is left as it is."""

    def __init__(self, ref: Ref) -> None:
        super().__init__(
            f"{ref.kind} {ref.name} exists already and does not belong to this AgentDeployment; it was left untouched. "
            "Delete or rename it, and Ringfence goes on by itself."
        )
        self.ref = ref


class NotYet(Exception):
    """The write has to wait for something that will happen by itself (an object that is being deleted)."""


class AgentGone(Exception):
    """The agent itself is gone: its children went with it, and are not to come back."""


class NotLeading(Exception):
    """Another replica may be leading: nothing is written."""


@dataclass
class Repair:
    """One child that somebody changed and that was put back."""

    ref: Ref
    rule: str


@dataclass
class Writer:
    """The only place that writes children."""

    kube: Kube
    cache: Cache
    leading: Callable[[], bool]
    _ours: dict[Ref, str] = field(default_factory=dict)
    _completed: dict[Ref, tuple[str, str]] = field(default_factory=dict)

    async def ensure(self, desired: Manifest, agent: Identity, *, known: bool) -> Repair | None:
        """Have `desired` stored exactly, and read back.

        `known`: whether it had been written for this generation before, so that an absence is somebody's deletion.
        Raises NotOurs, NotYet, NotLeading, AgentGone, ApiError, Unreachable.
        """
        ref = Ref.of(desired)
        live = self.cache.children.get(ref)
        if live is not None and self._is_ours(ref, live, agent) and self._right(ref, desired, live):
            return None
        live = await self._read(ref)  # the cache may be behind; what is decided on is fresh
        if live is None:
            deleted = known or ref in self._ours
            if deleted:
                await self._still_there(agent)
            await self._create(ref, desired)
            return self._repaired(ref, agent, DELETED) if deleted else None
        if not self._is_ours(ref, live, agent):
            raise NotOurs(ref)
        if live["metadata"].get("deletionTimestamp"):
            raise NotYet(f"{ref.kind} {ref.name} is being deleted")
        if self._right(ref, desired, live):
            self._remember(ref, live)
            return None
        changed = await self._correct(ref, desired, live)
        return self._repaired(ref, agent, EDITED) if changed and edited(desired, live) else None

    async def remove(self, ref: Ref, agent: Identity) -> None:
        """Delete a child of ours that is not wanted any more; whatever is not ours stays."""
        live = await self._read(ref)
        if live is None or not self._is_ours(ref, live, agent):
            self.cache.children.pop(ref, None)
            return
        self._guard()
        await self.kube.delete(ref.path, uid=live["metadata"]["uid"])
        CHILD_WRITES.labels(ref.kind, "delete").inc()
        self.cache.children.pop(ref, None)
        self._forget(ref)

    def forget(self, namespace: str, name: str) -> None:
        """Drop what is remembered of a deleted agent's children."""
        for ref in [ref for ref in self._ours if ref.namespace == namespace and ref.name.startswith(name)]:
            if ref not in self.cache.children:
                self._forget(ref)

    async def _still_there(self, agent: Identity) -> None:
        """The garbage collector deletes as well, and news of the agent's end may come after that, or never did."""
        try:
            found = await self.kube.get(agent_path(Key(agent.namespace, agent.name)))
        except NotFound as failure:
            raise AgentGone(agent.uid) from failure
        if found["metadata"]["uid"] != agent.uid or found["metadata"].get("deletionTimestamp"):
            raise AgentGone(agent.uid)

    async def _create(self, ref: Ref, desired: Manifest) -> None:
        # Not forced: should somebody's object of that name appear in this very moment, it conflicts and stays theirs.
        self._guard()
        try:
            await self.kube.apply(ref.path, desired, manager=FIELD_MANAGER, force=False)
        except Conflict as failure:
            raise NotOurs(ref) from failure
        CHILD_WRITES.labels(ref.kind, "create").inc()
        await self._read_back(ref, desired)

    async def _correct(self, ref: Ref, desired: Manifest, live: Object) -> bool:
        """Apply; and where others' additions remain, which apply leaves alone, replace the object. True: it changed."""
        self._guard()
        body = desired | {"metadata": desired["metadata"] | {"uid": live["metadata"]["uid"]}}
        stored = await self.kube.apply(ref.path, body, manager=FIELD_MANAGER)
        if not matches(desired, stored):
            self._guard()
            stored = await self.kube.replace(ref.path, _whole(desired, stored), manager=FIELD_MANAGER)
            # What differs after the whole object was replaced is how the API server completes it.
            self._completed[ref] = (content_hash(desired), content_hash(stored))
        changed: bool = stored["metadata"]["resourceVersion"] != live["metadata"]["resourceVersion"]
        if changed:
            CHILD_WRITES.labels(ref.kind, "update").inc()
        await self._read_back(ref, desired)
        return changed

    async def _read_back(self, ref: Ref, desired: Manifest) -> None:
        """What counts is what is stored, not what the reply to the write said."""
        stored = await self._read(ref)
        if stored is None or not self._right(ref, desired, stored):
            raise NotYet(f"{ref.kind} {ref.name} is not stored as written yet")
        self._remember(ref, stored)

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
        return controller_uid(live) == agent.uid or self._ours.get(ref) == live["metadata"]["uid"]

    def _remember(self, ref: Ref, live: Object) -> None:
        self._ours[ref] = live["metadata"]["uid"]

    def _forget(self, ref: Ref) -> None:
        self._ours.pop(ref, None)
        self._completed.pop(ref, None)

    def _guard(self) -> None:
        if not self.leading():
            raise NotLeading("the lease is not held any more")

    def _repaired(self, ref: Ref, agent: Identity, rule: str) -> Repair:
        VIOLATIONS.labels("drift", rule, agent.namespace).inc()
        log.warning("put back", agent=agent.name, namespace=agent.namespace, kind=ref.kind, name=ref.name, rule=rule)
        return Repair(ref, rule)


def _whole(desired: Manifest, live: Object) -> Manifest:
    """`desired` as the whole object: others' labels and finalizers stay, their content goes."""
    mine, found = desired["metadata"], live["metadata"]
    metadata = mine | {
        "uid": found["uid"],
        "resourceVersion": found["resourceVersion"],
        "labels": found.get("labels", {}) | mine["labels"],
        "annotations": found.get("annotations", {}) | mine["annotations"],
        "finalizers": sorted({*found.get("finalizers", []), *mine.get("finalizers", [])}),
    }
    return desired | {"metadata": metadata}
