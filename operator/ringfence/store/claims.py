"""What the agents of a namespace ask for, as far as AgentPolicy.spec.limits needs it: a few numbers for each agent."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ringfence.policy.limits import Claim, asks_of, before, limited
from ringfence.policy.model import NOTHING, Facts, NamedPolicy
from ringfence.resources.stored import resource_version

from .tables import Table

Place = tuple[str, str]
"""Namespace and name of an agent."""


@dataclass(frozen=True, slots=True)
class StoredClaim:
    """Of one AgentDeployment."""

    key: Place
    uid: str
    version: int
    claim: Claim


def claim_of(body: Mapping[str, Any]) -> Claim:
    """By the status: an earlier spec that was accepted is not stored any more, and counts as the present one does."""
    metadata, status = body["metadata"], body.get("status") or {}
    generation = metadata.get("generation", 0)
    accepted = status.get("acceptedGeneration")
    asks = asks_of(body.get("spec"))
    looked = any(
        one.get("type") == "Accepted" and one.get("status") == "False" and one.get("observedGeneration") == generation
        for one in status.get("conditions") or []
    )
    return Claim(
        name=metadata["name"],
        created=str(metadata.get("creationTimestamp") or ""),
        asks=asks,
        accepted=accepted == generation,
        refused=looked and accepted != generation,
        held=NOTHING if accepted is None else asks,
    )


def read_claim(body: Mapping[str, Any]) -> StoredClaim:
    """What is kept of an AgentDeployment."""
    metadata = body["metadata"]
    key = metadata["namespace"], metadata["name"]
    return StoredClaim(key, str(metadata["uid"]), resource_version(body), claim_of(body))


class Claims:
    """The agents of the cluster, as the admission server needs them: it knows no more of them than this."""

    def __init__(self) -> None:
        self.table: Table[Place, StoredClaim] = Table(read_claim, lambda one: one.key, self._changed)
        self.listed = False
        self._in: dict[str, dict[str, Claim]] = {}

    def heard(self) -> None:
        """They were listed, or one of them changed."""
        self.listed = True

    def of(self, namespace: str) -> list[Claim]:
        """Those of a namespace."""
        return list(self._in.get(namespace, {}).values())

    def _changed(self, old: StoredClaim | None, new: StoredClaim | None) -> None:
        record = new or old
        if record is None:
            return
        namespace, name = record.key
        if new is not None:
            self._in.setdefault(namespace, {})[name] = new.claim
            return
        self._in[namespace].pop(name, None)
        if not self._in[namespace]:
            del self._in[namespace]


def at_admission(facts: Facts, name: str, claims: list[Claim], policies: list[NamedPolicy]) -> Facts:
    """The facts with the room that is left: everybody who is there goes before whoever comes or wants more.

    What the agent has already, it may keep.
    """
    if not limited(policies):
        return facts
    own = next((claim for claim in claims if claim.name == name), None)
    rest = [claim for claim in claims if claim.name != name]
    held = own.asks if own is not None and own.accepted else NOTHING
    return dataclasses.replace(facts, others=before(name, rest, policies), held=held)
