"""Reviews of the admission server as metrics and as lines of the log."""

from typing import Any

import structlog

from ringfence.telemetry import metrics
from ringfence.telemetry.reviews import ReviewDecided, ReviewFailed

log = structlog.get_logger("ringfence.admission")


def record_review(event: Any) -> None:
    """Take an event; those that are about no review are nothing to it."""
    if isinstance(event, ReviewDecided):
        if event.counted:
            _count(event)
        _tell(event)
    elif isinstance(event, ReviewFailed):
        metrics.ADMISSION_FAILURES.labels(event.reason).inc()


def _count(event: ReviewDecided) -> None:
    metrics.series(metrics.ADMISSION_REQUESTS, event.operation, str(event.allowed).lower()).inc()
    for rule in event.rules:
        metrics.series(metrics.ADMISSION_REFUSALS, rule).inc()
        metrics.VIOLATIONS.labels("admission", rule, event.counted_namespace).inc()


def _tell(event: ReviewDecided) -> None:
    """The same fields whatever was decided.

    What changes nothing is said at debug: whoever applies the same manifest each minute makes no news.
    """
    fields: dict[str, Any] = {
        "uid": event.uid,
        "operation": event.operation,
        "kind": event.kind,
        "namespace": event.namespace,
        "name": event.name,
        "user": event.user,
        "groups": list(event.groups),
        "dryRun": event.dry_run,
        "allowed": event.allowed,
        "rules": list(event.rules),
        "paths": list(event.paths),
        "reason": event.reason,
    }
    if event.operation == UNREAD:
        log.warning("refused", **fields)
    elif not event.allowed:
        log.info("refused", **fields)
    elif event.changes_nothing:
        log.debug("allowed", **fields)
    else:
        log.info("allowed", **fields)


UNREAD = "UNKNOWN"
"""The operation of a review that could not be read."""
