"""Rights that an agent asks for: known word by word, within its level, within every policy.

The decision is closed: an atom is allowed when the agent's level holds it and every policy's `allow` does.
All else is refused; the rule's name and the message only tell why.
"""

from collections.abc import Iterator, Sequence

from ringfence.api.permissions import Level, Permissions, PolicyRule

from . import forbidden, levels, spelling
from .atoms import NAMELESS_VERBS, WILDCARD, Atom, expand
from .model import NamedPolicy, RuleName, Violation
from .text import listed, quote

_AT = "spec.permissions"

_NAMES_IGNORED = {
    "list": "the API server looks at the name only in requests with a metadata.name field selector",
    "watch": "the API server looks at the name only in requests with a metadata.name field selector",
    "create": "a new object's name is not known when the API server decides",
    "deletecollection": "it names no single object",
}


def check_rights(permissions: Permissions, policies: Sequence[NamedPolicy]) -> Iterator[Violation]:
    """Every violation of the rules about rights. Adding a rule to `permissions` never removes one."""
    for policy in policies:
        yield from _check_level(permissions.level, policy)
    for index, rule in enumerate(permissions.rules):
        at = f"{_AT}.rules[{index}]"
        yield from _check_words(at, rule)
        yield from _check_resources(at, rule, permissions.level)
    for policy in policies:
        yield from _check_allowed(permissions.rules, policy)
    yield from _check_names(permissions.rules)


def _check_level(level: Level, policy: NamedPolicy) -> Iterator[Violation]:
    most = policy.spec.permissions.max_level
    if levels.above(level, most):
        fix = most if most == levels.LEVELS[0] else f"{most} or lower"
        message = f"level {level} is above what policy {quote(policy.name)} allows: write {fix}"
        yield Violation(f"{_AT}.level", RuleName.LEVEL_ABOVE_POLICY, message)


def _check_words(at: str, rule: PolicyRule) -> Iterator[Violation]:
    """Words that are wrong whatever stands beside them."""
    for index, verb in enumerate(rule.verbs):
        yield from _check_verb(f"{at}.verbs[{index}]", verb)
    for index, group in enumerate(rule.api_groups):
        yield from _check_group(f"{at}.apiGroups[{index}]", group)
    for index, resource in enumerate(rule.resources):
        if WILDCARD in resource:
            yield _wildcard(f"{at}.resources[{index}]", resource, "resource, such as resources: [pods, configmaps]")


def _wildcard(path: str, word: str, fix: str) -> Violation:
    message = f"{quote(word)} is a wildcard and takes in what does not exist yet: name each {fix}"
    return Violation(path, RuleName.RIGHTS_WILDCARD, message)


def _check_verb(path: str, verb: str) -> Iterator[Violation]:
    if WILDCARD in verb:
        yield _wildcard(path, verb, "verb, such as verbs: [get, list]")
    elif why := forbidden.of_verb(verb):
        yield _escalation(path, f"verb {quote(verb)}", why)
    elif verb not in levels.VERB_ORDER:
        message = f"{quote(verb)} is not a known verb: {spelling.verb(verb)}"
        yield Violation(path, RuleName.RIGHTS_UNKNOWN, message)


def _check_group(path: str, group: str) -> Iterator[Violation]:
    if WILDCARD in group:
        yield _wildcard(path, group, 'group, such as apiGroups: ["", apps]')
    elif why := forbidden.of_group(group):
        yield _escalation(path, f"group {quote(group)}", why)
    elif group not in levels.CATALOGUE:
        message = f"{quote(group)} is not a group that an agent may use: {spelling.group(group)}"
        yield Violation(path, RuleName.RIGHTS_UNKNOWN, message)


def _escalation(path: str, what: str, why: str) -> Violation:
    return Violation(path, RuleName.RIGHTS_ESCALATION, f"{what} is never given to an agent, since {why}: leave it out")


def _check_resources(at: str, rule: PolicyRule, level: Level) -> Iterator[Violation]:
    for index, resource in enumerate(rule.resources):
        path = f"{at}.resources[{index}]"
        if WILDCARD in resource:
            continue
        if forbidden.base(resource) in forbidden.SECRETS:
            yield _secrets(path, resource)
        elif why := forbidden.of_resource(resource):
            yield _escalation(path, f"resource {quote(resource)}", why)
        else:
            yield from _check_writes(path, resource, rule)
            yield from _check_known(path, resource, rule)
            yield from _check_atoms(path, resource, rule, level)


def _secrets(path: str, resource: str) -> Violation:
    message = (
        f"{quote(resource)} are never given to an agent, whatever the verb: leave it out, "
        "and keep settings that are not secret in a configmap"
    )
    return Violation(path, RuleName.RIGHTS_SECRETS, message)


def _known_groups(resource: str, rule: PolicyRule) -> list[str]:
    return [group for group in sorted(set(rule.api_groups)) if resource in levels.CATALOGUE.get(group, {})]


def _check_writes(path: str, resource: str, rule: PolicyRule) -> Iterator[Violation]:
    """Dangerous verbs on `resource`, unless each group that knows it gives them at some level."""
    groups = _known_groups(resource, rule)
    given = {verb for verb in rule.verbs if groups and all(_given(group, resource, verb) for group in groups)}
    refused: dict[str, list[str]] = {}
    for verb in levels.ordered(set(rule.verbs) & set(levels.VERB_ORDER)):
        why = forbidden.of_write(resource, verb)
        if why and verb not in given:
            refused.setdefault(why, []).append(verb)
    for why, verbs in refused.items():
        yield _escalation(path, f"{', '.join(verbs)} on {quote(resource)}", why)


def _given(group: str, resource: str, verb: str) -> bool:
    return levels.lowest(Atom(group, resource, verb)) is not None


def _check_known(path: str, resource: str, rule: PolicyRule) -> Iterator[Violation]:
    """Groups of the rule, themselves known, in which `resource` does not exist."""
    known = sorted(set(rule.api_groups) & levels.CATALOGUE.keys())
    strange = [group for group in known if resource not in levels.CATALOGUE[group]]
    if strange:
        groups = listed(quote(group) for group in strange)
        message = f"{quote(resource)} is not known in group {groups}: {spelling.resource(resource)}"
        yield Violation(path, RuleName.RIGHTS_UNKNOWN, message)


def _check_atoms(path: str, resource: str, rule: PolicyRule, level: Level) -> Iterator[Violation]:
    """Atoms that the level does not hold."""
    missing: dict[Level | None, set[str]] = {}
    for group in _known_groups(resource, rule):
        for verb in set(rule.verbs) & set(levels.VERB_ORDER):
            atom = Atom(group, resource, verb)
            if atom not in levels.ATOMS[level] and (_given(*atom) or not forbidden.of_write(resource, verb)):
                missing.setdefault(levels.lowest(atom), set()).add(verb)
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


def _check_allowed(rules: Sequence[PolicyRule], policy: NamedPolicy) -> Iterator[Violation]:
    """Atoms that the policy's `allow` does not list. A wildcard there is no atom and lists nothing."""
    allow = policy.spec.permissions.allow
    if allow is None:
        return
    allowed = expand(allow, levels.CATALOGUE)
    for index, rule in enumerate(rules):
        beyond = expand([rule], levels.CATALOGUE).beyond(allowed)
        if beyond:
            what = listed(str(atom) for atom in beyond)
            message = (
                f"policy {quote(policy.name)} does not allow {what}: keep to its spec.permissions.allow "
                "(name by name, wildcards there count for nothing), or have it added there"
            )
            yield Violation(f"{_AT}.rules[{index}]", RuleName.RIGHTS_ABOVE_POLICY, message)


def _check_names(rules: Sequence[PolicyRule]) -> Iterator[Violation]:
    """Names that do not narrow anything."""
    everywhere = expand([rule for rule in rules if not rule.resource_names], levels.CATALOGUE)
    for index, rule in enumerate(rules):
        if not rule.resource_names:
            continue
        at = f"{_AT}.rules[{index}]"
        for place, verb in enumerate(rule.verbs):
            if verb in NAMELESS_VERBS:
                message = (
                    f"resourceNames do not narrow {verb}, since {_NAMES_IGNORED[verb]}: "
                    f"move {verb} to a rule without resourceNames, or leave it out"
                )
                yield Violation(f"{at}.verbs[{place}]", RuleName.RIGHTS_NAMES_IGNORED, message)
        undone = [atom for atom in expand([rule], levels.CATALOGUE).atoms if everywhere.allows(atom)]
        if undone:
            message = (
                f"resourceNames have no effect, since another rule gives {listed(map(str, sorted(undone)))} "
                "on every object: narrow that rule, or leave this one out"
            )
            yield Violation(f"{at}.resourceNames", RuleName.RIGHTS_NAMES_IGNORED, message)
