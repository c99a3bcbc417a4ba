"""How long an agent may take to end: an agent that is stopped goes on until then."""

from collections.abc import Iterator, Sequence

from ringfence.api.secrets import duration
from ringfence.api.stop import GRACE, Stop

from .model import NamedPolicy, RuleName, Violation
from .text import quote


def check_stop(stop: Stop | None, policies: Sequence[NamedPolicy]) -> Iterator[Violation]:
    """All policies must allow it."""
    if stop is None or duration(stop.grace_period) <= duration(GRACE):
        return
    for policy in policies:
        most = policy.spec.pods.max_grace_period
        if duration(stop.grace_period) > duration(most):
            message = (
                f"policy {quote(policy.name)} gives agents {most} to end at the most: write that, or have the policy's "
                "spec.pods.maxGracePeriod raised"
            )
            yield Violation("spec.stop.gracePeriod", RuleName.GRACE_ABOVE_POLICY, message)
