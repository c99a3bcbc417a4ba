"""Label selectors, as Kubernetes matches them (apimachinery, labels/selector.go)."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ringfence.api.agentpolicy import LabelRequirement, LabelSelector


def matches(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Whether all parts of `selector` match; an empty one matches everything."""
    wanted = all(labels.get(key) == value for key, value in selector.match_labels.items())
    return wanted and all(_holds(term, labels) for term in selector.match_expressions)


def may_match(selector: LabelSelector, known: Mapping[str, str]) -> bool:
    """Whether `selector` can match labels of which only those `known` are known: no part of it speaks against that."""
    wanted = all(known.get(key, value) == value for key, value in selector.match_labels.items())
    return wanted and all(term.key not in known or _holds(term, known) for term in selector.match_expressions)


def asks_for(selector: LabelSelector) -> frozenset[str]:
    """The keys of the labels that `selector` looks at."""
    return frozenset([*selector.match_labels, *(term.key for term in selector.match_expressions)])


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """The same of a selector as the API server has stored it, in whatever object: empty it selects everything."""
    wanted = all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())
    return wanted and all(
        _holds(_Term(term["key"], term["operator"], term.get("values") or []), labels)
        for term in selector.get("matchExpressions") or []
    )


class _Term(NamedTuple):
    """One expression."""

    key: str
    operator: str
    values: Sequence[str] = ()


def _holds(term: LabelRequirement | _Term, labels: Mapping[str, str]) -> bool:
    match term.operator:
        case "In":
            return term.key in labels and labels[term.key] in term.values
        case "NotIn":
            return term.key not in labels or labels[term.key] not in term.values
        case "Exists":
            return term.key in labels
        case "DoesNotExist":
            return term.key not in labels
        case _:
            return True  # an operator of a later Kubernetes: better told once too often
