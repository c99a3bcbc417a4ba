"""Labels and annotations of an agent's pods: none without a policy that names them.

A label makes a pod one of those that a Service or a policy of others selects; an annotation is read by whoever likes.
"""

from collections.abc import Iterator, Mapping, Sequence

from ringfence.api.marks import PodMark

from .model import NamedPolicy, RuleName, Violation
from .text import quote


def check_marks(
    labels: Mapping[str, str], annotations: Mapping[str, str], policies: Sequence[NamedPolicy]
) -> Iterator[Violation]:
    """All policies must name each."""
    for policy in policies if labels or annotations else ():
        pods, by = policy.spec.pods, f"policy {quote(policy.name)}"
        for key, value in labels.items():
            if not _named(key, value, pods.labels):
                message = f"{by} gives no agent's pods {quote(f'{key}={value}')}: {_fix('labels')}"
                yield Violation("spec.podLabels", RuleName.MARK_ABOVE_POLICY, message)
        for key in annotations:
            if key not in pods.annotations:
                message = f"{by} gives no agent's pods an annotation {quote(key)}: {_fix('annotations')}"
                yield Violation("spec.podAnnotations", RuleName.MARK_ABOVE_POLICY, message)


def _named(key: str, value: str, allowed: Sequence[PodMark]) -> bool:
    return any(one.key == key and one.value in {None, value} for one in allowed)


def _fix(field: str) -> str:
    return f"leave it out, or have it added to the policy's spec.pods.{field}"
