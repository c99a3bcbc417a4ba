"""Who of a namespace has what of AgentPolicy.spec.limits: by the agents' status, and by what was decided since.

Between a decision and the status that tells of it, an agent is at work already: whoever is decided on meanwhile must
count it. So two that are made at once are never both accepted where there is room for one.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ringfence.policy.limits import Claim, before
from ringfence.policy.model import NOTHING, Asks, Facts, NamedPolicy

from .records import Key, StoredAgent


@dataclass(frozen=True, slots=True)
class _Taken:
    """What an agent was accepted with."""

    uid: str
    generation: int
    asks: Asks


class LimitUsage:
    """Bounded by the number of agents."""

    def __init__(self) -> None:
        self._taken: dict[Key, _Taken] = {}
        self._refused: dict[Key, int] = {}
        """Agents whose present spec is not accepted, by its generation."""
        self._no_room: dict[str, set[Key]] = {}

    def facts(self, facts: Facts, key: Key, agents: Iterable[StoredAgent], policies: Sequence[NamedPolicy]) -> Facts:
        """The facts about one agent of a namespace: what the others have, and what it has itself."""
        claims = [self._claim(agent) for agent in agents]
        own = next((claim for claim in claims if claim.name == key.name), None)
        held = own.held if own is not None and not own.accepted else NOTHING
        return dataclasses.replace(facts, others=before(key.name, claims, policies), held=held)

    def refused(self, namespace: str) -> list[Key]:
        """Agents that did not fit when they were looked at last."""
        return sorted(self._no_room.get(namespace, ()))

    def note(self, agent: StoredAgent, *, accepted: bool, no_room: bool) -> bool:
        """Take a decision about an agent as it is stored. Whether others may have more room than before."""
        key = agent.key
        known = self._taken.get(key)
        places = self._no_room.setdefault(key.namespace, set())
        (places.add if no_room else places.discard)(key)
        if not places:
            del self._no_room[key.namespace]
        if not accepted:
            news = self._refused.get(key) != agent.generation
            self._refused[key] = agent.generation
            return news
        self._refused.pop(key, None)
        self._taken[key] = _Taken(agent.uid, agent.generation, agent.claim.asks)
        return known is not None and any(map(int.__gt__, known.asks, agent.claim.asks))

    def forget(self, key: Key) -> None:
        """The agent is gone."""
        self._taken.pop(key, None)
        self._refused.pop(key, None)
        if places := self._no_room.get(key.namespace):
            places.discard(key)
            if not places:
                del self._no_room[key.namespace]

    def _claim(self, agent: StoredAgent) -> Claim:
        """As the status says it, and newer where this process decided since."""
        claim, taken = agent.claim, self._taken.get(agent.key)
        if taken is not None and taken.uid == agent.uid:
            accepted = taken.generation == agent.generation
            claim = dataclasses.replace(claim, accepted=accepted, held=taken.asks)
        if self._refused.get(agent.key) == agent.generation:
            claim = dataclasses.replace(claim, refused=True)
        return claim
