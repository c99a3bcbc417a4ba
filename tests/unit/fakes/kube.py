"""An API server in memory behind the interface of `Kube`, for tests that need no real one.

    cluster = FakeCluster()
    kube, other = FakeKube(cluster), FakeKube(cluster)   # two clients of it, each with failures of its own
    cluster.put(path, manifest)                          # what is there already; no client asked for it
    kube.refuse(ApiError(403, "Forbidden", "no"), verb="create", path=path)
    assert [str(one) for one in kube.writes] == ["create secrets/a", "apply deployments/a"]

It keeps uids, resourceVersions, generations, finalizers, preconditions (uid, resourceVersion), the status as a
subresource, the owners of fields with their conflicts (server-side apply), and watches.
It does not fill in defaults, validate, check permissions, ask for a namespace to exist, or collect garbage.
"""

import asyncio
import builtins
import contextlib
import copy
from asyncio import sleep  # by name: tests that patch asyncio.sleep leave this one alone
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

from ringfence.kube import Conflict, Kube, NotFound, Object, Unreachable

from .cluster import FakeCluster, Location, Watch, preconditions
from .fields import Manager, Owners, merged, patched

__all__ = ["FakeCluster", "FakeKube", "Request"]

READS = {"get", "get_metadata", "list", "watch"}
T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """One request as a client sent it. `str()` gives it in short: `apply deployments/a`."""

    verb: str
    path: str
    body: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def object_path(self) -> str:
        """The path of the object that it is about: of one that is to be made too."""
        name = ((self.body or {}).get("metadata") or {}).get("name") if self.verb == "create" else None
        return f"{self.path}/{quote(name, safe='')}" if name else _object(self.path)

    def __str__(self) -> str:
        at = Location.of(self.path)
        name = at.name or ((self.body or {}).get("metadata") or {}).get("name")
        return "/".join(filter(None, (f"{self.verb} {at.plural}", name, at.subresource)))


Hook = Callable[[Request], None]
"""May raise, and may change what is stored, as somebody who was faster would."""


class FakeKube(Kube):
    """One client. `requests` is all that it sent; `writes` is what of it was carried out and was no read."""

    def __init__(self, cluster: FakeCluster | None = None) -> None:
        self.cluster = cluster or FakeCluster()
        self.requests: list[Request] = []
        self.writes: list[Request] = []
        self.closed = False
        self.down = False
        """No answer comes, to nothing."""
        self.served: set[tuple[str, str]] = set()
        """Versions of groups with resources that are asked about by themselves, and are there."""
        self.gate = asyncio.Event()
        """While it is clear, every request waits."""
        self.gate.set()
        self.before: list[Hook] = []
        """Called before a request is carried out."""
        self.after: list[Hook] = []
        """Called after it: who raises there has the reply lost."""

    async def serves(self, group_version: str, plural: str) -> bool:
        return (group_version, plural) in self.served

    @property
    def objects(self) -> dict[str, Object]:
        return self.cluster.objects

    @property
    def verbs(self) -> builtins.list[str]:
        """The verbs of the writes."""
        return [one.verb for one in self.writes]

    def refuse(
        self, failure: BaseException, *, verb: str | None = None, path: str | None = None, times: int | None = None
    ) -> None:
        """Have requests of that verb and path (None: any) fail, so many times (None: until `allow`)."""
        left = times

        def hook(request: Request) -> None:
            nonlocal left
            if verb in {None, request.verb} and path in {None, request.object_path, request.path} and left != 0:
                left = None if left is None else left - 1
                raise failure

        self.before.append(hook)

    def allow(self) -> None:
        """Forget what was refused, and all that was to happen before or after a request."""
        self.before.clear()
        self.after.clear()

    async def close(self) -> None:
        self.closed = True

    async def get(self, path: str) -> Object:
        return await self._carry_out(Request("get", path), lambda: self._stored(path))

    async def get_metadata(self, path: str) -> Object:
        partial = {"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata"}
        request = Request("get_metadata", path)
        return await self._carry_out(request, lambda: partial | {"metadata": self._stored(path)["metadata"]})

    async def list(
        self, path: str, *, label_selector: str | None = None, field_selector: str | None = None
    ) -> builtins.list[Object]:
        options = {"label_selector": label_selector, "field_selector": field_selector}
        request = Request("list", path, options=options)
        return await self._carry_out(request, lambda: self.cluster.select(path, label_selector, field_selector))

    async def pages(
        self,
        path: str,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        metadata_only: bool = False,
        limit: int = 0,
    ) -> AsyncIterator[tuple[builtins.list[Object], str]]:
        """One page, whatever its length."""
        options = {"label_selector": label_selector, "field_selector": field_selector, "metadata_only": metadata_only}
        request = Request("list", path, options=options)

        def read() -> tuple[builtins.list[Object], str]:
            found = self.cluster.select(path, label_selector, field_selector)
            found = [{"metadata": one["metadata"]} for one in found] if metadata_only else found
            return found, str(self.cluster.version)

        yield await self._carry_out(request, read)

    async def create(self, path: str, body: Object, *, manager: str | None = None) -> Object:
        def make() -> Object:
            if answer := self.cluster.answers.get(path):
                return answer(copy.deepcopy(body))
            at = f"{path}/{quote(body['metadata']['name'], safe='')}"
            if at in self.objects:
                raise Conflict(409, "AlreadyExists", f"{at} already exists")
            return self._update(at, {"metadata": {}}, body, manager)

        return await self._carry_out(Request("create", path, body, {"manager": manager} if manager else {}), make)

    async def apply(
        self, path: str, body: Object, *, manager: str, force: bool = True, dry_run: bool = False
    ) -> Object:
        request = Request("apply", path, body, {"manager": manager, "force": force, "dry_run": dry_run})
        return await self._carry_out(
            request, lambda: self._apply(path, body, manager=manager, force=force, dry_run=dry_run)
        )

    async def apply_new(self, path: str, body: Object, *, manager: str) -> Object:
        def make() -> Object:
            if _object(path) in self.objects:
                raise Conflict(409, "Conflict", f"{path} has been modified")
            return self._apply(path, body, manager=manager, force=False, dry_run=False)

        return await self._carry_out(Request("apply_new", path, body, {"manager": manager}), make)

    async def replace(self, path: str, body: Object, *, manager: str | None = None, dry_run: bool = False) -> Object:
        def change() -> Object:
            return self._update(path, self._live(path, body), body, manager, dry_run=dry_run)

        return await self._carry_out(Request("replace", path, body, {"manager": manager, "dry_run": dry_run}), change)

    async def merge(self, path: str, body: Object, *, manager: str | None = None) -> Object:
        def change() -> Object:
            live = self._live(path, body)
            return self._update(path, live, merged(live, body), manager)

        return await self._carry_out(Request("merge", path, body, {"manager": manager}), change)

    async def json_patch(self, path: str, operations: Sequence[Object]) -> Object:
        def change() -> Object:
            live = self._live(path)
            return self._update(path, live, patched(live, operations))

        return await self._carry_out(Request("json_patch", path, {"operations": list(operations)}), change)

    async def delete(
        self, path: str, *, uid: str | None = None, grace: int | None = None, foreground: bool = False
    ) -> Object | None:
        with contextlib.suppress(NotFound):
            options: dict[str, Any] = {"uid": uid} | ({} if grace is None else {"grace": grace})
            request = Request("delete", path, options=options | ({"foreground": True} if foreground else {}))
            return await self._carry_out(request, lambda: self.cluster.delete(path, uid, grace))
        return None

    async def watch(
        self, path: str, version: str, *, label_selector: str | None = None
    ) -> AsyncIterator[tuple[str, Object]]:
        """What happened since `version`, then what happens; ERROR where the cluster has forgotten that version."""
        watch = Watch(Location.of(path), label_selector, asyncio.Queue())
        request = Request("watch", path, options={"label_selector": label_selector, "version": version})
        gone = await self._carry_out(request, lambda: self.cluster.begin(watch, int(version)))
        if gone:
            yield "ERROR", {"code": 410, "message": "too old resource version"}
            return
        try:
            while True:
                event = await watch.events.get()
                if event is None:
                    return
                yield event
        finally:
            self.cluster.watches = [one for one in self.cluster.watches if one is not watch]

    async def _carry_out(self, request: Request, work: Callable[[], T]) -> T:
        self.requests.append(copy.deepcopy(request))
        await sleep(0)  # another task may be faster, as with a real one
        await self.gate.wait()
        if self.down:
            raise Unreachable(f"{request.verb} {request.path}: down")
        for hook in [*self.before]:
            hook(request)
        result = work()
        if request.verb not in READS:
            self.writes.append(copy.deepcopy(request))
        for hook in [*self.after]:
            hook(request)
        return result

    def _stored(self, path: str) -> Object:
        path = path.partition("?")[0]
        if Location.of(path).name is None:
            return {"metadata": {"resourceVersion": str(self.cluster.version)}, "items": self.cluster.select(path)}
        return copy.deepcopy(self.cluster.found(_object(path)))

    def _live(self, path: str, body: Object | None = None) -> Object:
        live = self.cluster.found(_object(path))
        preconditions(live, body or {})
        return live

    def _apply(self, path: str, body: Object, *, manager: str, force: bool, dry_run: bool) -> Object:
        at, new = _object(path), _object(path) not in self.objects
        if new:
            preconditions({"metadata": {}}, body)
        live = {"metadata": {}} if new else self._live(path, body)
        wanted = body if _subresource(path) else {key: value for key, value in body.items() if key != "status"}
        owners = copy.deepcopy(self.cluster.owners.get(at, Owners()))
        who = Manager(manager, "Apply", _subresource(path))
        after = {key: body[key] for key in ("apiVersion", "kind")} | owners.apply(live, wanted, who, force=force)
        return self.cluster.write(at, after, owners=owners, manager=who, dry_run=dry_run)

    def _update(
        self, path: str, live: Object, wanted: Object, manager: str | None = None, *, dry_run: bool = False
    ) -> Object:
        """The status is written by its subresource only, and nothing else is by that."""
        at, status = _object(path), _subresource(path) == "status"
        source, base = (wanted, live) if status else (live, wanted)
        after = {key: value for key, value in base.items() if key != "status"}
        after |= {"status": source["status"]} if "status" in source else {}
        owners = copy.deepcopy(self.cluster.owners.get(at, Owners()))
        who = Manager(manager or "unknown", "Update", _subresource(path))
        owners.update(live, after, who)
        return self.cluster.write(at, after, owners=owners, manager=who, dry_run=dry_run)


def _object(path: str) -> str:
    """The path of the object whose subresource this may be."""
    path = path.partition("?")[0]
    subresource = Location.of(path).subresource
    return path.removesuffix(f"/{subresource}") if subresource else path


def _subresource(path: str) -> str:
    return Location.of(path).subresource or ""
