"""What is recorded of each review: metrics, and one line of the log, which has the same fields whatever was decided."""

from typing import Any, Final

import structlog

from ringfence.policy.text import clean
from ringfence.store.context import PolicyContext
from ringfence.telemetry.metrics import ADMISSION_FAILURES, ADMISSION_REFUSALS, ADMISSION_REQUESTS, VIOLATIONS

from .answer import MAX_LINES, Verdict
from .request import Operation, Request
from .validators import VALIDATORS

log = structlog.get_logger(__name__)

MAX_NAME: Final = 253
"""Characters of a name in a log line: as long as a name of Kubernetes can be."""
MAX_REASON: Final = 600


def record(request: Request, verdict: Verdict, context: PolicyContext) -> None:
    """One review that was decided. A dry run leaves no trace in the metrics: nobody tried anything."""
    if not request.dry_run:
        ADMISSION_REQUESTS.labels(request.operation.value, str(verdict.allowed).lower()).inc()
        for rule in _rules(verdict):
            ADMISSION_REFUSALS.labels(rule).inc()
            # Whoever reaches the port without the API server could otherwise mint label values.
            namespace = request.namespace if context.knows(request.namespace) else ""
            VIOLATIONS.labels("admission", rule, namespace).inc()
    log_decision(request, verdict)


def log_decision(request: Request, verdict: Verdict) -> None:
    """The line. What changes nothing is said at debug: whoever applies the same manifest each minute makes no news."""
    if not verdict.allowed:
        log.info("refused", **_line(request, verdict))
    elif request.changes_nothing:
        log.debug("allowed", **_line(request, verdict))
    else:
        log.info("allowed", **_line(request, verdict))


def record_unreadable(kind: str, reason: str, *, uid: str | None = None) -> None:
    """A review that could not even be read, and so was refused. `kind`: label of the metric."""
    ADMISSION_FAILURES.labels(kind).inc()
    request = Request(uid=uid or "", operation=Operation.UNKNOWN, resource="")
    log.warning("refused", **_line(request, Verdict(allowed=False, message=reason)))


def _line(request: Request, verdict: Verdict) -> dict[str, Any]:
    validator = VALIDATORS.get(request.resource)
    return {
        "uid": clean(request.uid, MAX_NAME),
        "operation": request.operation.value,
        "kind": validator.kind if validator else clean(request.resource, MAX_NAME),
        "namespace": clean(request.namespace, MAX_NAME),
        "name": clean(request.name, MAX_NAME),
        "user": clean(request.user, MAX_NAME),
        "dryRun": request.dry_run,
        "allowed": verdict.allowed,
        "rules": _rules(verdict),
        "paths": [violation.path for violation in verdict.violations[:MAX_LINES]],
        # The sentences of broken rules are in the answer, and may be long: the rules and the paths stand for them.
        "reason": "" if verdict.allowed or verdict.violations else clean(verdict.message, MAX_REASON),
    }


def _rules(verdict: Verdict) -> list[str]:
    return sorted({violation.rule.value for violation in verdict.violations})
