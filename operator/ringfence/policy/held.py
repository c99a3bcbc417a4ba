"""What somebody does not hold himself of what an agent is to get, as violations. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ringfence.api.permissions import Permissions
from ringfence.api.status import Reason

from .atoms import Atom, Names, PermissionSet
from .delegate import Subject
from .elsewhere import CLUSTER, READS, RULES, places, reads
from .levels import expand_asked
from .model import RuleName, Violation
from .text import listed, quote

GET_SECRETS: Final = Atom("", "secrets", "get")
__all__ = ["ALL", "GET_SECRETS", "RULES", "Held", "not_held", "too_many", "unreadable"]


@dataclass(frozen=True)
class Held:
    """What the delegate, or who asked, does not hold, as violations.

    `again`: seconds until it is to be asked again; None: never. `who`: about whom it was asked, in words; empty where
    there is nothing that anybody must hold. `unknown`: why it is not known whether somebody holds it.
    """

    violations: tuple[Violation, ...] = ()
    again: float | None = None
    who: str = ""
    unknown: tuple[Reason, str] | None = None


ALL: Final = Held()
"""There is nothing that anybody must hold."""


def unreadable(secrets: Mapping[str, str], hidden: PermissionSet, subject: Subject) -> Iterator[Violation]:
    """One for each Secret that he may not get. `secrets`: name -> path of the field; `hidden`: what he may not get."""
    for name in sorted(hidden.atoms.get(GET_SECRETS) or (), key=list(secrets).index):
        if subject.who is None:
            message = (
                f"you may not get Secret {quote(name)} in this namespace, so you may not give it to an agent or change "
                "what an agent with it runs, or what is sent with it: ask somebody who may, or for that permission"
            )
        else:
            message = f"{subject.who}, may not get Secret {quote(name)}, so {subject.consequence}: {subject.remedy}"
        yield Violation(secrets[name], RuleName.SECRET_UNREADABLE, message)


def not_held(
    permissions: Permissions, own: str, lacking: Mapping[str, PermissionSet], subject: Subject
) -> Iterator[Violation]:
    """One for each rule and namespace that asks for something that he lacks there, `lacking` by namespace.

    `own`: the agent's namespace. Cluster-wide reads are under `CLUSTER`.
    """
    for index, rule in enumerate(permissions.rules if lacking else ()):
        for place in places(rule, own):
            if found := _missing(expand_asked([rule]), lacking.get(place, PermissionSet())):
                where = "this namespace" if place == own else f"namespace {quote(place)}"
                message = _sentence(listed(found), where, subject)
                yield Violation(f"{RULES}[{index}]", RuleName.PERMISSION_NOT_HELD, message)
    for index, name in enumerate(permissions.cluster_reads if lacking else ()):
        asked = PermissionSet(dict.fromkeys(reads([name])))
        if found := _missing(asked, lacking.get(CLUSTER, PermissionSet())):
            message = _sentence(listed(found), "the whole cluster", subject)
            yield Violation(f"{READS}[{index}]", RuleName.PERMISSION_NOT_HELD, message)


def _missing(asked: PermissionSet, lacking: PermissionSet) -> list[str]:
    """What is asked for and lacking, in words."""
    missing = {
        atom: names if (these := lacking.atoms[atom]) is None or names is None else names & these
        for atom, names in asked.atoms.items()
        if atom in lacking.atoms
    }
    return [_words(atom, names) for atom, names in sorted(missing.items()) if names is None or names]


def too_many(count: object, most: int) -> Violation:
    """More permissions on single objects than are asked about."""
    message = (
        f"{count} permissions on single objects would have to be asked about, and {most} are the most: name "
        "fewer objects in resourceNames, or ask for permission on all objects of the resource yourself"
    )
    return Violation(RULES, RuleName.PERMISSION_NOT_HELD, message)


def _words(atom: Atom, names: Names) -> str:
    return f"{atom} {listed(map(quote, sorted(names)), 2)}" if names else str(atom)


def _sentence(what: str, where: str, subject: Subject) -> str:
    if subject.who is None:
        return (
            f"you may not do this yourself in {where}, so you may not give it to an agent or change what an "
            f"agent with it runs: {what}; leave it out, or ask somebody who may, or for that permission"
        )
    return (
        f"{subject.who}, may not do this in {where}, so {subject.consequence}: {what}; leave it out, or "
        f"{subject.remedy}"
    )
