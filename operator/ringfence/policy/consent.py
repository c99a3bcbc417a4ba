"""What a namespace's owner lets agents of other namespaces be given in it.

An annotation of the Namespace: whoever may write to it decides already whether agents are let in at all, and who the
delegate is; what a namespace's own `edit` or `admin` holds does not reach it. It goes with the namespace.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from ringfence.api.names import CONSENT_ANNOTATION
from ringfence.api.permissions import Level

from .levels import LEVELS, above
from .text import quote

FORM: Final = "NAMESPACE=LEVEL or NAMESPACE/AGENT=LEVEL, several with a comma between"
_NAME: Final = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_ENTRY: Final = re.compile(rf"({_NAME})(?:/({_NAME}))?=({'|'.join(LEVELS)})")
_MOST: Final = 16384
"""Characters that are read: two hundred entries and more."""


class Entry(NamedTuple):
    """One agent, or (None) all of a namespace, and the most that it may be given."""

    namespace: str
    agent: str | None
    level: Level


@dataclass(frozen=True)
class Consent:
    """`malformed`: the annotation, where it cannot be read; then it lets nobody in."""

    entries: tuple[Entry, ...] = ()
    malformed: str | None = None

    def level(self, namespace: str, agent: str) -> Level | None:
        """The most that an agent may be given; None: nothing. Of several entries the highest counts."""
        found = [one.level for one in self.entries if one.namespace == namespace and one.agent in {None, agent}]
        return max(found, key=LEVELS.index, default=None)

    def covers(self, namespace: str, agent: str, level: Level) -> bool:
        """Whether the agent may be given what takes `level`."""
        most = self.level(namespace, agent)
        return most is not None and not above(level, most)


NOBODY: Final = Consent()
Consents = Mapping[str, Consent]
"""By namespace; one that is not among them lets nobody in."""


def read_consent(annotation: str) -> Consent:
    """The consent that an annotation gives. One word that cannot be read, and it gives none."""
    texts = annotation[: _MOST + 1].split(",") if annotation.strip() else []
    entries = []
    for text in texts if len(annotation) <= _MOST else [annotation]:
        match = _ENTRY.fullmatch(text.strip())
        if match is None:
            return Consent(malformed=annotation)
        entries.append(Entry(match[1], match[2], _level(match[3])))
    return Consent(tuple(entries))


def _level(word: Any) -> Level:
    return LEVELS[LEVELS.index(word)]


def lacking(consent: Consent, target: str, namespace: str, agent: str, level: Level) -> str:
    """Why `target` does not consent to what takes `level`, and what its owner writes where he agrees."""
    fix = (
        f"its owner agrees with kubectl annotate namespace {target} {CONSENT_ANNOTATION}={namespace}/{agent}={level} "
        "(more entries go behind a comma)"
    )
    if consent.malformed is not None:
        return (
            f"the annotation {CONSENT_ANNOTATION} of namespace {quote(target)} is {quote(consent.malformed)}, which "
            f"cannot be read, so that it lets nobody in: write {FORM}"
        )
    most = consent.level(namespace, agent)
    if most is None:
        return f"namespace {quote(target)} does not consent to permissions of this agent in it: {fix}"
    return f"namespace {quote(target)} consents to {most} for this agent, and this takes {level}: {fix}"
