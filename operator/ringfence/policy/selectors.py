"""Label selectors, as Kubernetes matches them (apimachinery, labels/selector.go)."""

from collections.abc import Mapping

from ringfence.api.agentpolicy import LabelRequirement, LabelSelector


def matches(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Whether all parts of `selector` match; an empty one matches everything."""
    wanted = all(labels.get(key) == value for key, value in selector.match_labels.items())
    return wanted and all(_holds(term, labels) for term in selector.match_expressions)


def _holds(term: LabelRequirement, labels: Mapping[str, str]) -> bool:
    match term.operator:
        case "In":
            return term.key in labels and labels[term.key] in term.values
        case "NotIn":
            return term.key not in labels or labels[term.key] not in term.values
        case "Exists":
            return term.key in labels
        case "DoesNotExist":
            return term.key not in labels
