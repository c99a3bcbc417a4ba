"""Permissions as sets of atoms: one verb on one resource of one API group, maybe on named objects only.

The world is closed: `expand` sees only what a catalogue of known resources names, letter by letter. Nothing
is lower-cased, trimmed or otherwise repaired: what is not known grants nothing and is refused by `permissions.py`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

WILDCARD = "*"

NAMELESS_VERBS = frozenset({"list", "watch", "create", "deletecollection"})
"""Requests with these verbs carry no object name, so resourceNames do not do for them what a reader thinks.

`create` and `deletecollection` then never match; `list` and `watch` match only requests that carry a
`metadata.name` field selector (Kubernetes documentation, "Using RBAC Authorization", resourceNames).
"""


class Atom(NamedTuple):
    """One permission: `resource` may be RESOURCE/SUBRESOURCE; `group` is "" for the core group."""

    group: str
    resource: str
    verb: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}" + (f".{self.group}" if self.group else "")


Catalogue = Mapping[str, Mapping[str, frozenset[str]]]
"""Group -> resource -> verbs."""

Names = frozenset[str] | None
"""The objects that an atom is about; None means every object of the resource."""


class RuleLike(Protocol):
    """What is needed of a PolicyRule."""

    @property
    def api_groups(self) -> list[str]: ...
    @property
    def resources(self) -> list[str]: ...
    @property
    def resource_names(self) -> list[str]: ...
    @property
    def verbs(self) -> list[str]: ...


@dataclass(frozen=True)
class PermissionSet:
    """A set of atoms, each for every object or for named ones."""

    atoms: Mapping[Atom, Names] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.atoms)

    def allows(self, atom: Atom, names: Names = None) -> bool:
        """Whether the set holds `atom` on all of `names` (None: on every object)."""
        if atom not in self.atoms:
            return False
        held = self.atoms[atom]
        return held is None or (names is not None and names <= held)

    def beyond(self, other: "PermissionSet") -> list[Atom]:
        """The atoms of this set that `other` does not hold in full, sorted."""
        return sorted(atom for atom, names in self.atoms.items() if not other.allows(atom, names))

    def union(self, other: "PermissionSet") -> "PermissionSet":
        """Both: of an atom, every object wins over named ones."""
        if not other:
            return self
        atoms = dict(self.atoms)
        for atom, names in other.atoms.items():
            held = atoms.get(atom, frozenset())
            atoms[atom] = None if names is None or held is None else held | names
        return PermissionSet(atoms)

    def without(self, other: "PermissionSet") -> "PermissionSet":
        """What of this set `other` does not hold; of an atom on named objects, those objects alone."""
        left: dict[Atom, Names] = {}
        for atom in self.beyond(other):
            names, held = self.atoms[atom], other.atoms.get(atom)
            left[atom] = names if names is None or held is None else names - held
        return PermissionSet(left)


def pairs(rule: RuleLike, known: Catalogue) -> Iterator[tuple[str, str]]:
    """The (group, resource) pairs of `rule` that `known` holds, each once, sorted."""
    for group in sorted(set(rule.api_groups) & known.keys()):
        for resource in sorted(set(rule.resources) & known[group].keys()):
            yield group, resource


def spelled_out(rules: Iterable[RuleLike]) -> Catalogue:
    """The words of `rules` themselves as a catalogue: for what was found to be allowed already."""
    known: dict[str, dict[str, frozenset[str]]] = {}
    for rule in rules:
        for group in rule.api_groups:
            for resource in rule.resources:
                resources = known.setdefault(group, {})
                resources[resource] = resources.get(resource, frozenset()).union(rule.verbs)
    return known


def expand(rules: Iterable[RuleLike], known: Catalogue) -> PermissionSet:
    """The union of the known atoms of `rules`.

    Two rules about one atom add up: every object wins over named ones.
    """
    atoms: dict[Atom, Names] = {}
    for rule in rules:
        names = frozenset(rule.resource_names) or None
        for group, resource in pairs(rule, known):
            for verb in set(rule.verbs) & known[group][resource]:
                atom = Atom(group, resource, verb)
                held = atoms.get(atom, frozenset())
                atoms[atom] = None if names is None or held is None else held | names
    return PermissionSet(atoms)
