"""`ringfence policy check --against-cluster`: reads what the cluster has, and shows whom policies would hit."""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import click

from ringfence.api.names import API_VERSION
from ringfence.policy.model import NamedPolicy
from ringfence.policy.reading import read_policy

from . import cluster, formatting

if TYPE_CHECKING:
    from ringfence.kube import Kube
    from ringfence.store.store import Store

    from .impact import Impact

FITS, HIT = 0, 1
"""Exit codes; 2 where the cluster cannot be read."""
QUIET_SECONDS: Final = 2.0
"""For so long nothing is said of how far it is."""
_WORDS: Final = {
    "Runs": "fits",
    "RunsOn": "runs on as accepted",
    "Suspended": "suspended, no pods",
    "NotStarted": "not started",
}


@dataclass
class Progress:
    """Says on standard error how far it is, every two seconds."""

    clock: Callable[[], float] = monotonic
    _said: float = field(init=False)

    def __post_init__(self) -> None:
        self._said = self.clock()

    def __call__(self, sentence: str) -> None:
        """Say it, unless something was said a moment ago."""
        if self.clock() - self._said >= QUIET_SECONDS:
            self._said = self.clock()
            click.echo(sentence, err=True)


class Reader:
    """Reads what decisions depend on.

    `policies`: those that are stored. `missing`: what the API server says of rights that are missing. `unseen`: what
    was left out for that.
    """

    def __init__(self, kube: "Kube", namespace: str | None, progress: Progress) -> None:
        self._kube, self._namespace, self._progress = kube, namespace, progress
        self.policies: list[NamedPolicy] = []
        self.missing: list[str] = []
        self.unseen: list[str] = []

    async def read(self) -> "Store | None":
        """All of it; None where a right is missing without which nothing can be told. Raises ApiError, Unreachable."""
        from ringfence.store.context import PolicyContext  # noqa: PLC0415 - heavy
        from ringfence.store.records import read_agent  # noqa: PLC0415 - heavy
        from ringfence.store.sources import AGENT_POLICY, NAMESPACE, NODE, SERVICE_CIDR, SOURCES  # noqa: PLC0415 - heavy
        from ringfence.store.store import Store  # noqa: PLC0415 - heavy

        store = Store(PolicyContext())
        async for one in self._objects(AGENT_POLICY, SOURCES[AGENT_POLICY].path):
            self._take(one["metadata"]["name"], one.get("spec"))
        place = f"/{self._namespace}" if self._namespace is not None else ""
        async for one in self._objects(NAMESPACE, SOURCES[NAMESPACE].path + place):
            store.context.observe(NAMESPACE, None, one)
        async for one in self._objects("AgentDeployment", path_of_agents(self._namespace)):
            store.agents.take(read_agent(one))
        if self.missing:
            return None
        for kind in (NODE, SERVICE_CIDR):
            async for one in self._objects(kind, SOURCES[kind].path):
                store.context.observe(kind, None, one)
            if self.missing:
                self.unseen.append(SOURCES[kind].plural)
                self.missing.clear()
        return store

    def _take(self, name: str, spec: Any) -> None:
        policy, errors = read_policy(name, spec)
        self.policies.append(policy)
        if errors:
            what = f"AgentPolicy {name} of the cluster cannot be read by this version, and allows nothing"
            click.echo(f"{what}: {errors[0].path}: {errors[0].message}", err=True)

    async def _objects(self, kind: str, path: str) -> AsyncIterator[Any]:
        """Of a collection, or the one of that path."""
        from ringfence.kube import ApiError, NotFound  # noqa: PLC0415 - heavy

        count = 0
        try:
            if self._namespace is not None and path.endswith(f"/namespaces/{self._namespace}"):
                try:
                    yield await self._kube.get(path)
                except NotFound:
                    click.echo(
                        f"there is no namespace {self._namespace} (yet): it counts as not open to agents", err=True
                    )
                return
            async for page, _ in self._kube.pages(path):
                for one in page:
                    yield one
                count += len(page)
                self._progress(f"read {count} objects of kind {kind}")
        except ApiError as failure:
            if failure.status != HTTPStatus.FORBIDDEN:
                raise
            self.missing.append(failure.message)


def path_of_agents(namespace: str | None) -> str:
    """Of one namespace, or (None) of all."""
    from ringfence.kube import path_of  # noqa: PLC0415 - heavy

    return path_of(API_VERSION, cluster.AGENTS, namespace)


async def check(session: cluster.Session, policies: Sequence[NamedPolicy], namespace: str | None, output: str) -> int:
    """The exit code. `namespace`: look at its agents alone; None: at all. Raises ApiError, Unreachable."""
    from .impact import impacts  # noqa: PLC0415 - heavy

    progress = Progress()
    reader = Reader(session.kube, namespace, progress)
    store = await reader.read()
    if store is None:
        for sentence in reader.missing:
            cluster.refuse(*cluster.explain_refusal(HTTPStatus.FORBIDDEN, sentence))
        return cluster.NO_CLUSTER
    found: list[Impact] = []
    for one in impacts(store, reader.policies, policies):
        found.append(one)
        progress(f"decided on {len(found)} agents")
    if output == "json":
        click.echo(json.dumps({"agents": [one.as_json() for one in found], "notLookedAt": reader.unseen}, indent=2))
    else:
        for line in lines(found):
            click.echo(line)
    if reader.unseen:
        what = f"not looked at: {' and '.join(reader.unseen)}, which you may not list"
        click.echo(f"{what}: an agent may seem to fit whose addresses are the cluster's own", err=True)
    return HIT if any(one.hit for one in found) else FITS


def lines(found: Sequence["Impact"]) -> Iterator[str]:
    """Those that do not fit, or did not; the others are counted."""
    shown = [one for one in found if {one.now, one.then} != {"Runs"}]
    if shown:
        rows = [[one.namespace, one.name, _WORDS[one.now], _WORDS[one.then]] for one in shown]
        head, *table = formatting.table(["NAMESPACE", "NAME", "NOW", "WITH THE CHANGE"], rows)
        yield head
        for one, line in zip(shown, table, strict=True):
            yield click.style(line, fg="red") if one.hit else line
            for violation in one.violations:
                yield f"  {violation.path}: {click.style(str(violation.rule), bold=True)}: {violation.message}"
    hit = sum(one.hit for one in found)
    suspended = sum(one.then == "Suspended" for one in found if one.hit)
    again = sum(one.then == "Runs" for one in shown)
    more = f", {again} would fit again" if again else ""
    yield f"{len(found)} agents bound, {hit} would be hit, {suspended} of them suspended{more}"
