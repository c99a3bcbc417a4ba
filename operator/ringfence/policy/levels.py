"""The four levels of permissions, each a set of atoms that holds the one before it: made from `grants.py`.

The last level is the ceiling of all agents: the chart's ClusterRole `ringfence-agent-ceiling` is `ceiling_rules()`, so
the API server itself refuses more.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final

from ringfence.api.permissions import Level

from .atoms import Atom, Catalogue, PermissionSet, RuleLike, expand, spelled_out
from .grants import GRANTS

LEVELS: Final[tuple[Level, ...]] = ("ReadOnly", "LimitedWrite", "Admin", "Critical")
"""From least to most."""

VERB_ORDER: Final = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
"""All verbs that Kubernetes' own objects know, in the order in which documentation lists them."""

VERBS: Final = frozenset(VERB_ORDER)


def _atoms(level: Level) -> frozenset[Atom]:
    held = LEVELS[: LEVELS.index(level) + 1]
    return frozenset(Atom(one.group, one.resource, verb) for one in GRANTS if one.level in held for verb in one.verbs)


ATOMS: Final[Mapping[Level, frozenset[Atom]]] = {level: _atoms(level) for level in LEVELS}
"""What each level holds."""

CEILING: Final[frozenset[Atom]] = reduce(frozenset.union, ATOMS.values())
"""The most that any agent can ever be given."""


def _catalogue(atoms: Iterable[Atom]) -> Catalogue:
    found: dict[str, dict[str, frozenset[str]]] = {}
    for group, resource, verb in atoms:
        resources = found.setdefault(group, {})
        resources[resource] = resources.get(resource, frozenset()) | {verb}
    return found


CATALOGUE: Final[Catalogue] = _catalogue(CEILING)
"""The ceiling by group and resource: the closed world."""


def _lowest() -> Mapping[tuple[str, str], Mapping[str, Level]]:
    found: dict[tuple[str, str], dict[str, Level]] = {}
    for level in reversed(LEVELS):
        for group, resource, verb in ATOMS[level]:
            found.setdefault((group, resource), {})[verb] = level
    return found


LOWEST: Final = _lowest()
"""(group, resource) -> verb -> the first level that holds it."""


def _held(level: Level) -> Mapping[tuple[str, str], frozenset[str]]:
    found: dict[tuple[str, str], frozenset[str]] = {}
    for group, resource, verb in ATOMS[level]:
        found[group, resource] = found.get((group, resource), frozenset()) | {verb}
    return found


HELD: Final[Mapping[Level, Mapping[tuple[str, str], frozenset[str]]]] = {level: _held(level) for level in LEVELS}
"""What each level holds, as (group, resource) -> verbs."""


@dataclass(frozen=True)
class World:
    """What agents may be given: the built-in permissions, and those on custom resources that policies add."""

    catalogue: Catalogue
    lowest: Mapping[tuple[str, str], Mapping[str, Level]]

    def held(self, level: Level, group: str, resource: str) -> frozenset[str]:
        """The verbs that a level holds."""
        if (group, resource) in LOWEST:
            return HELD[level].get((group, resource), frozenset())
        verbs = self.lowest.get((group, resource), {})
        return frozenset(verb for verb, needed in verbs.items() if not above(needed, level))

    def and_also(self, custom: Mapping[tuple[str, str], Mapping[str, Level]]) -> "World":
        """With custom resources: of other groups than these."""
        catalogue = {group: dict(resources) for group, resources in self.catalogue.items()}
        for (group, resource), verbs in custom.items():
            catalogue.setdefault(group, {})[resource] = frozenset(verbs)
        return World(catalogue, {**self.lowest, **custom})


BUILT_IN: Final = World(CATALOGUE, LOWEST)
"""Without any custom resource."""


def above(level: Level, other: Level) -> bool:
    """Whether `level` stands above `other`."""
    return LEVELS.index(level) > LEVELS.index(other)


def ordered(verbs: Iterable[str]) -> list[str]:
    """`verbs` in the order of `VERB_ORDER`."""
    return sorted(verbs, key=VERB_ORDER.index)


def ceiling_rules() -> list[dict[str, Any]]:
    """The ceiling as RBAC rules, sorted; resources of one group with the same verbs share a rule."""
    return role_rules(CEILING)


def role_rules(atoms: Iterable[Atom]) -> list[dict[str, Any]]:
    """Exactly `atoms` (of the ceiling) as RBAC rules, in the form of `ceiling_rules`."""
    shared: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for group, resources in sorted(_catalogue(atoms).items()):
        for resource, verbs in sorted(resources.items()):
            shared.setdefault((group, tuple(ordered(verbs))), []).append(resource)
    return [
        {"apiGroups": [group], "resources": resources, "verbs": list(verbs)}
        for (group, verbs), resources in shared.items()
    ]


def expand_asked(rules: Sequence[RuleLike]) -> PermissionSet:
    """What rules ask for that were decided on: of groups that are not built in, by their words.

    Which custom resources there are, policies say; who is to hold them is asked about all the same.
    """
    return expand(rules, {**spelled_out(rules), **CATALOGUE})
