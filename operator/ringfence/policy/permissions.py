"""Permissions that an agent asks for: known word by word, within its level, within every policy.

The decision is closed: an atom is allowed when the agent's level holds it and every policy's `allow` does.
All else is refused; the rule's name and the message only tell why.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from ringfence.api.permissions import AgentRule, Level, Permissions, PolicyRule

from . import forbidden, levels, spelling
from .atoms import NAMELESS_VERBS, WILDCARD, expand
from .custom import world
from .levels import World
from .model import NamedPolicy, RuleName, Violation
from .text import listed, quote

_AT = "spec.permissions"

_NAMES_IGNORED = {
    "list": "the API server looks at the name only in requests with a metadata.name field selector",
    "watch": "the API server looks at the name only in requests with a metadata.name field selector",
    "create": "a new object's name is not known when the API server decides",
    "deletecollection": "it names no single object",
}


def check_permissions(permissions: Permissions, policies: Sequence[NamedPolicy], own: str) -> Iterator[Violation]:
    """Every violation of the rules about permissions, wherever they hold. Adding a rule never removes one.

    `own`: the agent's namespace.
    """
    for policy in policies:
        yield from _check_level(permissions.level, policy)
    if not permissions.rules:
        return
    known = world([policy.custom_resources for policy in policies])
    for index, rule in enumerate(permissions.rules):
        at = f"{_AT}.rules[{index}]"
        yield from _check_words(at, rule, known)
        yield from _check_resources(at, _Known.of(rule, known), permissions.level)
    yield from _check_allowed(permissions.rules, policies, known)
    yield from _check_names(permissions.rules, known, own)


def _check_level(level: Level, policy: NamedPolicy) -> Iterator[Violation]:
    most = policy.spec.permissions.max_level
    if levels.above(level, most):
        fix = most if most == levels.LEVELS[0] else f"{most} or lower"
        message = f"level {level} is above what policy {quote(policy.name)} allows: write {fix}"
        yield Violation(f"{_AT}.level", RuleName.LEVEL_ABOVE_POLICY, message)


def _check_words(at: str, rule: PolicyRule, known: World) -> Iterator[Violation]:
    """Words that are wrong whatever stands beside them."""
    for index, verb in enumerate(rule.verbs):
        if verb not in levels.VERBS:
            yield _wrong_verb(f"{at}.verbs[{index}]", verb)
    for index, group in enumerate(rule.api_groups):
        if group not in known.catalogue:
            yield _wrong_group(f"{at}.apiGroups[{index}]", group)
    for index, resource in enumerate(rule.resources):
        if WILDCARD in resource:
            yield _wildcard(f"{at}.resources[{index}]", resource, "resource, such as resources: [pods, configmaps]")


def _wildcard(path: str, word: str, fix: str) -> Violation:
    message = f"{quote(word)} is a wildcard and takes in what does not exist yet: name each {fix}"
    return Violation(path, RuleName.RIGHTS_WILDCARD, message)


def _wrong_verb(path: str, verb: str) -> Violation:
    if WILDCARD in verb:
        return _wildcard(path, verb, "verb, such as verbs: [get, list]")
    if why := forbidden.of_verb(verb):
        return _escalation(path, f"verb {quote(verb)}", why)
    message = f"{quote(verb)} is not a known verb: {spelling.verb(verb)}"
    return Violation(path, RuleName.RIGHTS_UNKNOWN, message)


def _wrong_group(path: str, group: str) -> Violation:
    if WILDCARD in group:
        return _wildcard(path, group, 'group, such as apiGroups: ["", apps]')
    if why := forbidden.of_group(group):
        return _escalation(path, f"group {quote(group)}", why)
    message = f"{quote(group)} is not a group that an agent may use: {spelling.group(group)}"
    return Violation(path, RuleName.RIGHTS_UNKNOWN, message)


def _escalation(path: str, what: str, why: str) -> Violation:
    return Violation(path, RuleName.RIGHTS_ESCALATION, f"{what} is never given to an agent, since {why}: leave it out")


@dataclass(frozen=True)
class _Known:
    """A rule, and those of its groups (sorted) and verbs that the ceiling knows: the same for all its resources."""

    rule: PolicyRule
    world: World
    groups: tuple[str, ...]
    verbs: frozenset[str]

    @classmethod
    def of(cls, rule: PolicyRule, known: World) -> Self:
        groups = tuple(sorted(known.catalogue.keys() & rule.api_groups))
        return cls(rule, known, groups, levels.VERBS.intersection(rule.verbs))

    def groups_with(self, resource: str) -> list[str]:
        """The groups in which `resource` exists."""
        return [group for group in self.groups if resource in self.world.catalogue[group]]


def _check_resources(at: str, known: _Known, level: Level) -> Iterator[Violation]:
    for index, resource in enumerate(known.rule.resources):
        if WILDCARD in resource:
            continue
        path = f"{at}.resources[{index}]"
        if forbidden.base(resource) in forbidden.SECRETS:
            yield _secrets(path, resource)
        elif why := forbidden.of_resource(resource):
            yield _escalation(path, f"resource {quote(resource)}", why)
        else:
            groups = known.groups_with(resource)
            yield from _check_writes(path, resource, groups, known)
            if len(groups) < len(known.groups):
                yield _unknown(path, resource, [group for group in known.groups if group not in groups])
            yield from _check_atoms(path, resource, groups, known, level)


def _secrets(path: str, resource: str) -> Violation:
    message = (
        f"{quote(resource)} are never given to an agent, whatever the verb: leave it out, "
        "and keep settings that are not secret in a configmap"
    )
    return Violation(path, RuleName.RIGHTS_SECRETS, message)


def _check_writes(path: str, resource: str, groups: Sequence[str], known: _Known) -> Iterator[Violation]:
    """Dangerous verbs on `resource`, unless each group that knows it gives them at some level."""
    if not forbidden.is_read_only(resource):
        return
    given = frozenset.intersection(*(known.world.catalogue[group][resource] for group in groups)) if groups else ()
    refused: dict[str, list[str]] = {}
    for verb in levels.ordered(known.verbs.difference(given)):
        if why := forbidden.of_write(resource, verb):
            refused.setdefault(why, []).append(verb)
    for why, found in refused.items():
        yield _escalation(path, f"{', '.join(found)} on {quote(resource)}", why)


def _unknown(path: str, resource: str, strange: Sequence[str]) -> Violation:
    """`strange`: groups of the rule, themselves known, in which `resource` does not exist."""
    groups = listed([quote(group) for group in strange])
    message = f"{quote(resource)} is not known in group {groups}: {spelling.resource(resource)}"
    return Violation(path, RuleName.RIGHTS_UNKNOWN, message)


def _check_atoms(path: str, resource: str, groups: Sequence[str], known: _Known, level: Level) -> Iterator[Violation]:
    """Atoms that the level does not hold."""
    missing: dict[Level | None, set[str]] = {}
    for group in groups:
        lowest = known.world.lowest[group, resource]
        for verb in known.verbs.difference(known.world.held(level, group, resource)):
            needed = lowest.get(verb)
            # A write that no level gives is told of by _check_writes.
            if needed is not None or not forbidden.of_write(resource, verb):
                missing.setdefault(needed, set()).add(verb)
    if not missing:
        return
    for needed in (*levels.LEVELS, None):
        if needed in missing:
            yield _above_level(
                path, f"{', '.join(levels.ordered(missing[needed]))} on {quote(resource)}", level, needed
            )


def _above_level(path: str, what: str, level: Level, needed: Level | None) -> Violation:
    if needed is None:
        message = f"no level gives {what}: leave it out"
    else:
        message = f"level {level} does not give {what}: leave it out, or write level: {needed} if policies allow it"
    return Violation(path, RuleName.RIGHTS_ABOVE_LEVEL, message)


def _check_allowed(rules: Sequence[PolicyRule], policies: Sequence[NamedPolicy], known: World) -> Iterator[Violation]:
    """Atoms that a policy's `allow` does not list. A wildcard there is no atom and lists nothing."""
    bounded = [(policy, policy.allowed_permissions) for policy in policies]
    for index, rule in enumerate(rules if any(allowed is not None for _, allowed in bounded) else ()):
        asked = expand([rule], known.catalogue)
        for policy, allowed in bounded:
            if allowed is not None and (beyond := asked.beyond(allowed)):
                what = listed(str(atom) for atom in beyond)
                message = (
                    f"policy {quote(policy.name)} does not allow {what}: keep to its spec.permissions.allow "
                    "(name by name, wildcards there count for nothing), or have it added there"
                )
                yield Violation(f"{_AT}.rules[{index}]", RuleName.RIGHTS_ABOVE_POLICY, message)


def _check_names(rules: Sequence[AgentRule], known: World, own: str) -> Iterator[Violation]:
    """Names that do not narrow anything."""
    for index, rule in enumerate(rules):
        if not rule.resource_names:
            continue
        here = set(rule.namespaces or [own])
        # What another rule gives in one of its namespaces alone, this one is not useless for in the others.
        wider = [one for one in rules if not one.resource_names and here <= set(one.namespaces or [own])]
        everywhere = expand(wider, known.catalogue)
        at = f"{_AT}.rules[{index}]"
        for place, verb in enumerate(rule.verbs):
            if verb in NAMELESS_VERBS:
                message = (
                    f"resourceNames do not narrow {verb}, since {_NAMES_IGNORED[verb]}: "
                    f"move {verb} to a rule without resourceNames, or leave it out"
                )
                yield Violation(f"{at}.verbs[{place}]", RuleName.RIGHTS_NAMES_IGNORED, message)
        undone = [atom for atom in expand([rule], known.catalogue).atoms if everywhere.allows(atom)]
        if undone:
            message = (
                f"resourceNames have no effect, since another rule gives {listed(map(str, sorted(undone)))} "
                "on every object: narrow that rule, or leave this one out"
            )
            yield Violation(f"{at}.resourceNames", RuleName.RIGHTS_NAMES_IGNORED, message)
