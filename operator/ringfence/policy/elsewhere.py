"""Permissions of an agent outside of its namespace: in other namespaces with their consent, and cluster-wide reads."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from ringfence.api.permissions import AgentRule, ClusterRead, Level, Permissions

from .atoms import Atom, PermissionSet
from .consent import NOBODY, Consents, lacking
from .custom import world
from .grants import CLUSTER_READS
from .levels import LEVELS, World, above, expand_asked
from .malformed import readable_rules
from .model import AgentObject, Facts, NamedPolicy, RuleName, Violation
from .opened import closed_for_good, opening
from .text import quote

RULES: Final = "spec.permissions.rules"
READS: Final = "spec.permissions.clusterReads"
CLUSTER: Final = ""
"""In place of a namespace: what is outside of all."""


def places(rule: AgentRule, own: str) -> list[str]:
    """The namespaces in which a rule holds, each once."""
    return list(dict.fromkeys(rule.namespaces)) or [own]


def by_place(permissions: Permissions, own: str) -> dict[str, PermissionSet]:
    """What is asked for in each namespace, `own` first, and last under `CLUSTER` what is outside of all."""
    rules: dict[str, list[AgentRule]] = {own: []}
    for rule in permissions.rules:
        for place in places(rule, own):
            rules.setdefault(place, []).append(rule)
    found = {place: expand_asked(asked) for place, asked in rules.items()}
    found[CLUSTER] = PermissionSet(dict.fromkeys(reads(permissions.cluster_reads)))
    return {place: asked for place, asked in found.items() if asked}


def with_own(asked: Mapping[str, PermissionSet], own: str, more: PermissionSet) -> dict[str, PermissionSet]:
    """The same, with more in the agent's own namespace."""
    return (
        {own: asked.get(own, PermissionSet()).union(more), **{k: v for k, v in asked.items() if k != own}}
        if more
        else dict(asked)
    )


def reads(names: Collection[ClusterRead]) -> list[Atom]:
    """The atoms of cluster-wide reads."""
    return [Atom(one.group, one.resource, verb) for one in CLUSTER_READS if one.resource in names for verb in one.verbs]


def target_namespaces(spec: Any) -> list[str]:
    """All that the rules of a spec name, whatever else is wrong with it; sorted."""
    return sorted({name for rule in readable_rules(spec) for name in rule.namespaces})


def needed(rule: AgentRule, known: World) -> Level:
    """The lowest level that holds all of a rule; the highest one for what nobody knows."""
    asked = [
        known.lowest.get((group, resource), {}).get(verb, LEVELS[-1])
        for group in rule.api_groups
        for resource in rule.resources
        for verb in rule.verbs
    ]
    return max(asked, key=LEVELS.index, default=LEVELS[-1])


def granted(
    permissions: Permissions, name: str, own: str, policies: Sequence[NamedPolicy], consents: Consents
) -> Mapping[str, tuple[Level, list[AgentRule]]]:
    """By namespace other than `own`: the rules that it consents to now, and the lowest level that holds them."""
    known = world([policy.custom_resources for policy in policies])
    found: dict[str, tuple[Level, list[AgentRule]]] = {}
    for rule in permissions.rules:
        level = needed(rule, known)
        for place in places(rule, own):
            if place == own or not consents.get(place, NOBODY).covers(own, name, level):
                continue
            before, rules = found.get(place, (LEVELS[0], []))
            found[place] = (max(before, level, key=LEVELS.index), [*rules, rule])
    return found


def check_elsewhere(
    permissions: Permissions, agent: AgentObject, policies: Sequence[NamedPolicy], facts: Facts
) -> Iterator[Violation]:
    """Every violation of the rules about what is outside of the agent's own namespace."""
    yield from _check_reads(permissions, policies)
    if not any(rule.namespaces for rule in permissions.rules):
        return
    known = world([policy.custom_resources for policy in policies])
    for index, rule in enumerate(permissions.rules):
        for place, target in enumerate(rule.namespaces):
            if target != agent.namespace:
                path = f"{RULES}[{index}].namespaces[{place}]"
                yield from _check_target(path, target, needed(rule, known), agent, policies, facts)


def _check_target(  # noqa: PLR0917 - one namespace of one rule, for whom, by what
    path: str, target: str, level: Level, agent: AgentObject, policies: Sequence[NamedPolicy], facts: Facts
) -> Iterator[Violation]:
    where = opening(target, facts)
    if where.is_for_good:
        yield Violation(path, RuleName.NAMESPACE_NOT_OPENED, f"{closed_for_good(target, where)}: leave it out")
        return
    for policy in policies:
        if target not in policy.target_namespaces:
            message = (
                f"policy {quote(policy.name)} does not allow permissions in namespace {quote(target)}: leave it out, "
                "or have it added to its spec.permissions.namespaces"
            )
            yield Violation(path, RuleName.RIGHTS_ABOVE_POLICY, message)
    if facts.consents is not None:
        consent = facts.consents.get(target, NOBODY)
        if not consent.covers(agent.namespace, agent.name, level):
            message = lacking(consent, target, agent.namespace, agent.name, level)
            yield Violation(path, RuleName.CONSENT_MISSING, message)


def _check_reads(permissions: Permissions, policies: Sequence[NamedPolicy]) -> Iterator[Violation]:
    lowest = {one.resource: one.level for one in CLUSTER_READS}
    for index, name in enumerate(permissions.cluster_reads):
        path, level = f"{READS}[{index}]", lowest[name]
        if above(level, permissions.level):
            message = (
                f"level {permissions.level} does not give reads of {name}, which are outside of all namespaces: leave "
                f"it out, or write level: {level} if policies allow it"
            )
            yield Violation(path, RuleName.RIGHTS_ABOVE_LEVEL, message)
        for policy in policies:
            if name not in policy.spec.permissions.cluster_reads:
                message = (
                    f"policy {quote(policy.name)} does not allow reads of {name}: leave it out, or have it added to "
                    "its spec.permissions.clusterReads"
                )
                yield Violation(path, RuleName.RIGHTS_ABOVE_POLICY, message)
