"""What is told of each review, once: see telemetry/events.py and its sinks for who makes what of it."""

from typing import Final

from ringfence.policy.text import clean
from ringfence.telemetry.reviews import ReviewDecided, ReviewFailed

from .answer import MAX_LINES, Verdict
from .request import Operation, Request
from .validators import VALIDATORS

MAX_NAME: Final = 253
"""Characters of a name in a log line: as long as a name of Kubernetes can be."""
MAX_REASON: Final = 600
MAX_GROUPS: Final = 10
"""Groups of the requester in a line: who is in more is told by the first ones and the name."""


def decided(request: Request, verdict: Verdict, *, counted: bool = True, known_namespace: bool = True) -> ReviewDecided:
    """One review that was decided. `counted`: whether the metrics count it; a dry run is not: nobody tried anything."""
    validator = VALIDATORS.get(request.resource)
    return ReviewDecided(
        uid=clean(request.uid, MAX_NAME),
        operation=request.operation.value,
        kind=validator.kind if validator else clean(request.resource, MAX_NAME),
        namespace=clean(request.namespace, MAX_NAME),
        name=clean(request.name, MAX_NAME),
        user=clean(request.user, MAX_NAME),
        groups=_groups(request),
        dry_run=request.dry_run,
        allowed=verdict.allowed,
        rules=tuple(sorted({violation.rule.value for violation in verdict.violations})),
        paths=tuple(violation.path for violation in verdict.violations[:MAX_LINES]),
        # The sentences of violated rules are in the answer, and may be long: the rules and the paths stand for them.
        reason="" if verdict.allowed or verdict.violations else clean(verdict.message, MAX_REASON),
        changes_nothing=verdict.allowed and request.changes_nothing,
        counted=counted and not request.dry_run,
        # Whoever reaches the port without the API server could otherwise mint label values.
        counted_namespace=request.namespace if known_namespace else "",
    )


def _groups(request: Request) -> tuple[str, ...]:
    given = request.user_info.get("groups")
    texts = [one for one in given if isinstance(one, str)] if isinstance(given, list) else []
    return tuple(clean(one, MAX_NAME) for one in texts[:MAX_GROUPS])


def unreadable(kind: str, reason: str, *, uid: str | None = None) -> tuple[ReviewFailed, ReviewDecided]:
    """A review that could not even be read, and so was refused. `kind`: label of the metric."""
    request = Request(uid=uid or "", operation=Operation.UNKNOWN, resource="")
    told = decided(request, Verdict(allowed=False, message=reason), counted=False)
    return ReviewFailed(kind), told
