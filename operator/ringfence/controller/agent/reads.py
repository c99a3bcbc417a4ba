"""Lists agents in the chart's bindings of cluster-wide reads, and takes them off. The only place that writes these."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from ringfence.api.names import FIELD_MANAGER
from ringfence.kube import Conflict, Kube, NotFound, Object, path_of
from ringfence.resources.reads import BINDINGS, readers, subjects
from ringfence.store.records import Key
from ringfence.store.store import Store
from ringfence.telemetry.events import ChildWritten, Emit

from .errors import NotLeading, ReadsMissing, Requeue

KIND = "ClusterRoleBinding"


@dataclass
class ClusterReads:
    """Works on one agent at a time; a binding lists all, so that two never write the same one at once."""

    kube: Kube
    store: Store
    leading: Callable[[], bool]
    emit: Emit
    _locks: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def put(self, key: Key, wanted: Collection[str]) -> list[str]:
        """Have an agent listed for exactly what is wanted. The bindings that were changed.

        What is taken away comes first. Raises ReadsMissing, Requeue, NotLeading, ApiError, Unreachable.
        """
        listed, changed = self.store.readers.of(key), []
        for binding, read in sorted(BINDINGS.items(), key=lambda one: one[1] in wanted):
            if (read in wanted) != (read in listed):
                async with self._locks[binding]:
                    if await self._put(binding, key, present=read in wanted):
                        changed.append(binding)
        return changed

    async def _put(self, binding: str, key: Key, *, present: bool) -> bool:
        path = path_of("rbac.authorization.k8s.io/v1", "clusterrolebindings", name=binding)
        try:
            found = await self.kube.get(path)
        except NotFound as failure:
            if present:
                raise ReadsMissing(binding) from failure
            return False
        role = found.get("roleRef") or {}
        if (role.get("kind"), role.get("name")) != ("ClusterRole", binding):
            if present:
                raise ReadsMissing(binding)
            return False  # it is nothing of ours any more; the guard `own` lets nobody make such a one
        agents = {Key(*one) for one in readers(found.get("subjects"))}
        if (key in agents) == present:
            self._took(found)
            return False
        if not self.leading():
            raise NotLeading("the lease is not held any more")
        agents ^= {key}
        metadata = {name: found["metadata"][name] for name in ("uid", "resourceVersion")}
        body = {"metadata": metadata, "subjects": subjects(agents)}
        try:
            self._took(await self.kube.merge(path, body, manager=FIELD_MANAGER))
        except Conflict as failure:
            raise Requeue(f"{KIND} {binding} was changed by somebody else at the same moment") from failure
        self.emit(ChildWritten(KIND, "update"))
        return True

    def _took(self, found: Object) -> None:
        table = self.store.wider.cluster_wide[KIND]
        table.take(table.record({"kind": KIND, **found}))
