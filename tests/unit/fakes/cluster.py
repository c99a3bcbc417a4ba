"""What the fake API server stores, and how a write changes it."""

import asyncio
import copy
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from ringfence.kube import Conflict, NotFound, Object

from .fields import Manager, Owners, fields_match, labels_match

KEPT = ("name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp")
"""Metadata that a write does not change by itself."""
PATH = re.compile(
    r"(?P<root>/api/v1|/apis/[^/]+/[^/]+)(?:/namespaces/(?P<namespace>[^/]+)(?=/[^/]))?"
    r"/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?(?:/(?P<subresource>[^/]+))?"
)
Event = tuple[str, Object]


@dataclass(frozen=True)
class Location:
    """What a path of the API names."""

    root: str
    namespace: str | None
    plural: str
    name: str | None
    subresource: str | None

    @classmethod
    def of(cls, path: str) -> "Location":
        found = PATH.fullmatch(path.partition("?")[0])
        assert found, f"no path of the API: {path}"
        root, namespace, plural, name, subresource = (unquote(part or "") for part in found.groups())
        return cls(root, namespace or None, plural, name or None, subresource or None)

    def holds(self, other: "Location") -> bool:
        """Whether this collection, in one namespace or in all, has that object in it."""
        same = (self.root, self.plural) == (other.root, other.plural)
        return same and self.namespace in {None, other.namespace} and other.name is not None


@dataclass(frozen=True)
class Watch:
    """One watch that runs."""

    collection: Location
    selector: str | None
    events: asyncio.Queue[Event | None]
    """None ends it."""


class FakeCluster:
    """`objects` by path. A test may edit them in place; watches hear of `put`, `remove` and of clients' writes."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.owners: dict[str, Owners] = {}
        self.answers: dict[str, Callable[[Object], Object]] = {}
        """Collections of which nothing is stored (reviews): path -> the answer to what is created there."""
        self.watches: list[Watch] = []
        self.time = "2026-01-01T00:00:00Z"
        """What the API server takes for now."""
        self.version = 0
        self.forgotten = 0
        """Versions up to this one are too old to watch from."""
        self._history: list[tuple[int, str, Object | None, Object | None]] = []

    def begin(self, watch: Watch, version: int) -> bool:
        """Let a watch hear of all that happened since `version`. Whether that is forgotten, and it hears nothing."""
        if version < self.forgotten:
            return True
        for at, path, before, after in self._history:
            if at > version:
                self._tell_one(watch, path, before, after)
        self.watches.append(watch)
        return False

    def forget(self) -> None:
        """Make a gap: every watch ends, and none can go on from a version of before."""
        self.forgotten = self.version + 1
        self._next()
        for watch in self.watches:
            watch.events.put_nowait(None)

    def put(self, path: str, body: Object) -> Object:
        """Store an object as it is, by nobody's request. Returns what is stored, to be edited in place."""
        before = self.objects.get(path)
        stored = copy.deepcopy(body)
        stored["metadata"] = self._born(path) | stored["metadata"]
        self.objects[path] = stored
        self.owners.setdefault(path, Owners())
        self._tell(path, before, stored)
        return stored

    def remove(self, path: str) -> None:
        """Take an object away, by nobody's request."""
        gone = self.objects.pop(path)
        self.owners.pop(path, None)
        self._tell(path, gone, None)

    def found(self, path: str) -> Object:
        """What is stored at `path`, itself. Raises NotFound."""
        if path not in self.objects:
            raise NotFound(404, "NotFound", f"{path} not found")
        return self.objects[path]

    def select(self, path: str, labels: str | None = None, fields: str | None = None) -> list[Object]:
        """The objects of a collection."""
        collection = Location.of(path)
        return [
            copy.deepcopy(body)
            for at, body in sorted(self.objects.items())
            if collection.holds(Location.of(at)) and labels_match(labels, body) and fields_match(fields, body)
        ]

    def write(self, path: str, after: Object, *, owners: Owners, manager: Manager, dry_run: bool) -> Object:
        """Store what a write made of an object. Without a difference nothing is stored, as a real one does."""
        before = self.objects.get(path)
        if before is not None and _bare(before) == _bare(after) and owners == self.owners.get(path):
            return copy.deepcopy(before)
        born, stored = self._born(path), copy.deepcopy(after)
        kept = born if before is None else {key: before["metadata"][key] for key in KEPT if key in before["metadata"]}
        metadata = {key: value for key, value in stored["metadata"].items() if key not in KEPT} | kept
        if before is not None and before.get("spec") != stored.get("spec"):
            metadata["generation"] = before["metadata"].get("generation", 0) + 1
        owners.times[manager] = self.time
        stored["metadata"] = metadata | {"resourceVersion": born["resourceVersion"], "managedFields": owners.told()}
        if dry_run:
            return stored
        self.objects[path], self.owners[path] = stored, owners
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            self.remove(path)
        else:
            self._tell(path, before, stored)
        return copy.deepcopy(stored)

    def delete(self, path: str, uid: str | None, grace: int | None = None) -> Object:
        """Raises NotFound, Conflict. What has finalizers stays until they are taken away.

        With a `grace` it is there until that is over; of what is ending already it only shortens it.
        """
        live = self.found(path)
        if uid is not None and live["metadata"]["uid"] != uid:
            raise Conflict(409, "Conflict", f"the UID in the precondition ({uid}) is not that of {path}")
        if grace:
            shorter = min(grace, live["metadata"].get("deletionGracePeriodSeconds", grace))
            marks = {"deletionTimestamp": self.time, "deletionGracePeriodSeconds": shorter}
            marks["resourceVersion"] = self._next()
            self.put(path, live | {"metadata": live["metadata"] | marks})
        elif not live["metadata"].get("finalizers"):
            self.remove(path)
        elif not live["metadata"].get("deletionTimestamp"):
            marks = {"deletionTimestamp": self.time, "resourceVersion": self._next()}
            self.put(path, live | {"metadata": live["metadata"] | marks})
        return self.objects.get(path, live)

    def _next(self) -> str:
        self.version += 1
        return str(self.version)

    def _born(self, path: str) -> Object:
        """The metadata of an object that is new."""
        at, version = Location.of(path), self._next()
        given = {"name": at.name} | ({"namespace": at.namespace} if at.namespace else {})
        made = {"uid": f"uid-{version}", "creationTimestamp": self.time, "generation": 1}
        return given | made | {"resourceVersion": version}

    def _tell(self, path: str, before: Object | None, after: Object | None) -> None:
        if after is None and before is not None:
            before = before | {"metadata": before["metadata"] | {"resourceVersion": self._next()}}
        self._history.append((self.version, path, before, copy.deepcopy(after)))
        for watch in self.watches:
            self._tell_one(watch, path, before, after)

    def _tell_one(self, watch: Watch, path: str, before: Object | None, after: Object | None) -> None:
        if not watch.collection.holds(Location.of(path)):
            return
        was = before is not None and labels_match(watch.selector, before)
        stays = after is not None and labels_match(watch.selector, after)
        if was or stays:
            event = ("MODIFIED" if was else "ADDED") if stays else "DELETED"
            watch.events.put_nowait((event, copy.deepcopy(after or before or {})))


def preconditions(live: Object, body: Object) -> None:
    """Raise Conflict where a write was meant for another object, or for an earlier state of it."""
    for name in ("uid", "resourceVersion"):
        wanted = (body.get("metadata") or {}).get(name)
        if wanted is not None and wanted != live["metadata"].get(name):
            raise Conflict(409, "Conflict", f"metadata.{name} is {live['metadata'].get(name)}, not {wanted}")


def _bare(body: Object) -> Object:
    """An object without what every write changes."""
    metadata = {key: value for key, value in body["metadata"].items() if key not in {*KEPT, "managedFields"}}
    return body | {"metadata": metadata}
