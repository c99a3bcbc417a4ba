"""Below which names anybody gets one: the public suffix list, and a kept list of hosting suffixes (`tenants.json`).

The list comes with the library `publicsuffixlist`, as data: nothing is fetched. A wildcard at or above such a name
would reach whoever registers one.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final, NamedTuple

from publicsuffixlist import PSLFILE, PublicSuffixList

from ringfence.api.hostnames import Host

_ICANN: Final = ("// ===BEGIN ICANN DOMAINS===", "// ===END ICANN DOMAINS===")


@dataclass(frozen=True)
class Tenants:
    """`suffix`: as it stands in the list, with a star for any one label. `what` is to be had below it."""

    suffix: str
    what: str
    source: str


class _Part(NamedTuple):
    """One part of the public suffix list. `parents`: all names that one of its suffixes ends with."""

    suffixes: PublicSuffixList
    parents: frozenset[str]

    def reaches(self, base: str) -> bool:
        """Whether a name is a suffix, or a suffix ends with it."""
        return self.suffixes.is_public(base) or base in self.parents


@cache
def tenants() -> tuple[Tenants, ...]:
    """The kept list, in its own order."""
    text = files("ringfence.policy").joinpath("tenants.json").read_text("utf-8")
    return tuple(Tenants(**one) for one in json.loads(text)["suffixes"])


def public_suffix(host: Host) -> bool:
    """Whether a wildcard stands at or above a suffix of registries, such as com or co.uk. No policy opens that."""
    if not host.is_wildcard:
        return False
    return _parts()[0].reaches(host.base)


def shared_suffix(host: Host) -> Tenants | None:
    """What a wildcard stands at or above, where anybody gets a name; None where nobody does, and for exact names."""
    if not host.is_wildcard:
        return None
    labels = host.base.split(".")
    kept = next((one for one in tenants() if _at_or_above(labels, one.suffix.split("."))), None)
    if kept is not None:
        return kept
    if _parts()[1].reaches(host.base):
        return Tenants(host.base, "names that anybody gets from its owner", "publicsuffix.org, private domains")
    return None


def _at_or_above(labels: Sequence[str], suffix: Sequence[str]) -> bool:
    """Whether a suffix ends with the labels; a star in it is any one."""
    pairs = zip(reversed(labels), reversed(suffix), strict=False)
    return len(labels) <= len(suffix) and all(mark in {"*", label} for label, mark in pairs)


@cache
def _parts() -> tuple[_Part, _Part]:
    """The suffixes of registries, and all of the list, as A-labels. Read once, where a wildcard is looked at."""
    lines = [*map(_a_label, Path(PSLFILE).read_text("utf-8").splitlines())]
    registries = lines[lines.index(_ICANN[0]) : lines.index(_ICANN[1])]
    return _part(registries), _part(lines)


def _part(lines: Sequence[str]) -> _Part:
    parents = frozenset(parent for line in lines if line and not line.startswith("//") for parent in _above(line))
    # It would encode each line, also what is ASCII, which takes most of a tenth of a second.
    return _Part(PublicSuffixList(lines, accept_encoded_idn=False), parents)


def _above(line: str) -> Iterator[str]:
    labels = line.partition(" ")[0].lstrip("!*.").split(".")
    return (".".join(labels[count:]) for count in range(1, len(labels)))


def _a_label(line: str) -> str:
    """A line as it stands, with a suffix that is not ASCII as A-labels."""
    if line.isascii() or line.startswith("//"):
        return line
    import idna  # noqa: PLC0415 - see ringfence.api.hostnames

    rule = line.partition(" ")[0]
    suffix = rule.lstrip("!*.")
    return rule.replace(suffix, idna.encode(suffix).decode())
