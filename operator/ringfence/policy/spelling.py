"""What a misspelt word of a rule was perhaps meant to be. For messages only: nothing is ever repaired."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from .levels import CATALOGUE, VERB_ORDER
from .text import quote

_KNOWN: Final = frozenset(name for resources in CATALOGUE.values() for name in resources)
_VERBS: Final[Mapping[str, str]] = {
    "read": "get, list, watch",
    "view": "get, list, watch",
    "write": "create, update, patch",
    "edit": "update, patch",
    "add": "create",
    "post": "create",
    "put": "update",
    "remove": "delete",
}
_GROUPS: Final[Mapping[str, str]] = {
    "core": '"" (the core group has no name)',
    "v1": '"" (the core group has no name)',
    "extensions": "apps or networking.k8s.io",
    "discovery": "discovery.k8s.io",
    "networking": "networking.k8s.io",
    "coordination": "coordination.k8s.io",
    "events": "events.k8s.io",
}
_RESOURCES: Final[Mapping[str, str]] = {
    "cm": "configmaps",
    "deploy": "deployments",
    "ds": "daemonsets",
    "ep": "endpoints",
    "ev": "events",
    "hpa": "horizontalpodautoscalers",
    "ing": "ingresses",
    "logs": "pods/log",
    "pdb": "poddisruptionbudgets",
    "po": "pods",
    "pods/logs": "pods/log",
    "pvc": "persistentvolumeclaims",
    "rs": "replicasets",
    "sts": "statefulsets",
    "svc": "services",
}


def verb(word: str) -> str:
    """The fix for an unknown verb."""
    plain = word.lower()
    if plain in VERB_ORDER:
        return f"verbs are lower case: write {plain}"
    return f"write {_VERBS.get(plain, 'one or more of ' + ', '.join(VERB_ORDER))}"


def group(word: str) -> str:
    """The fix for an unknown group."""
    plain = word.lower().partition("/")[0]
    if plain in CATALOGUE and plain:
        return f"write {plain}, in lower case and without a version"
    known = ", ".join(name or quote(name) for name in sorted(CATALOGUE))
    return f"write {_GROUPS.get(plain, f'one of {known}')}"


@lru_cache(maxsize=256)
def resource(word: str) -> str:
    """The fix for a resource that none of its rule's groups knows."""
    meant = next(_readings(word.lower()), None)
    if meant is None:
        return "leave it out: an agent may ask only for what the levels in docs/reference/rules.md list"
    groups = [name or quote(name) for name, resources in sorted(CATALOGUE.items()) if meant in resources]
    return f"write {meant}, in a rule of its own with apiGroups: [{' or '.join(groups)}]"


def _readings(plain: str) -> Iterator[str]:
    for meant in (plain, f"{plain}s", f"{plain}es", _RESOURCES.get(plain, "")):
        if meant in _KNOWN:
            yield meant
