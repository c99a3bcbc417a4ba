"""`ringfence lint --cluster`: the world as a cluster has it, with what the files would change of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING

import click

from ringfence.policy.model import Facts, NamedPolicy

from . import cluster
from .against_cluster import Progress, Reader
from .impact import replaced
from .judge import Files
from .manifests import Document
from .objects import objects

if TYPE_CHECKING:
    from ringfence.store.store import Store


@dataclass(frozen=True)
class Live:
    """A `judge.World`. `files`: policies and Namespaces that take the places of those in `store`."""

    store: "Store"
    policies: Sequence[NamedPolicy]
    files: Files

    def of(self, namespace: str, name: str) -> tuple[Sequence[NamedPolicy], Facts]:
        """By the cluster's namespaces, policies, networks and agents."""
        from ringfence.store.records import Key  # noqa: PLC0415 - heavy

        facts = self.store.facts(Key(namespace, name), self.policies)
        labels = self.files.namespaces.get(namespace)
        return self.policies, facts if labels is None else replace(facts, namespace_labels=labels)


async def observe(session: cluster.Session, files: Files, documents: Sequence[Document], namespace: str) -> Live | None:
    """What the cluster has; None, and a sentence said, where a right is missing. Raises ApiError, Unreachable."""
    agents = [one for each in documents for one in objects(each) if one.is_ours("AgentDeployment")]
    places = {str(one.metadata.get("namespace") or namespace) for one in agents}
    reader = Reader(session.kube, places.pop() if len(places) == 1 else None, Progress())
    store = await reader.read()
    if store is None:
        for sentence in reader.missing:
            cluster.refuse(*cluster.explain_refusal(HTTPStatus.FORBIDDEN, sentence))
        return None
    if reader.unseen:
        what = f"not looked at: {' and '.join(reader.unseen)}, which you may not list"
        click.echo(f"{what}: an agent may seem to fit whose addresses are the cluster's own", err=True)
    return Live(store, replaced(reader.policies, files.policies), files)
