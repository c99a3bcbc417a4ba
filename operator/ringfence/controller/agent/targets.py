"""What an agent has in other namespaces, and which of them consent to it now. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ringfence.api.permissions import AgentRule, Level, Permissions
from ringfence.policy.consent import NOBODY, Consents
from ringfence.policy.elsewhere import granted, places
from ringfence.policy.levels import LEVELS
from ringfence.policy.model import Facts, NamedPolicy
from ringfence.policy.opened import opening
from ringfence.resources import Agent
from ringfence.resources.stored import StoredChild
from ringfence.store.records import Key


def consents(facts: Facts) -> Consents:
    """Without the namespaces that are closed to agents, whatever they say."""
    return {name: one for name, one in (facts.consents or {}).items() if not opening(name, facts).is_for_good}


def given(
    permissions: Permissions, key: Key, bound: Sequence[NamedPolicy], facts: Facts
) -> Mapping[str, tuple[Level, Sequence[AgentRule]]]:
    """What other namespaces give an agent now, as `Agent.elsewhere`."""
    if not any(rule.namespaces for rule in permissions.rules):
        return {}
    return granted(permissions, key.name, key.namespace, bound, consents(facts))


def unconsented(key: Key, owned: Iterable[StoredChild], facts: Facts) -> Iterator[StoredChild]:
    """Children in namespaces that do not consent any more to as much as they were written for."""
    known = consents(facts)
    for child in owned:
        if child.elsewhere:
            level = next((one for one in LEVELS if one == child.level), LEVELS[-1])
            if not known.get(child.ref.namespace, NOBODY).covers(key.namespace, key.name, level):
                yield child


def withheld(agent: Agent) -> list[str]:
    """The namespaces that do not give it all that its spec asks for in them."""
    asked = [place for rule in agent.spec.permissions.rules for place in places(rule, agent.namespace)]
    there = [place for place, (_, rules) in agent.elsewhere.items() for _ in rules]
    return sorted({place for place in asked if place != agent.namespace and asked.count(place) > there.count(place)})
