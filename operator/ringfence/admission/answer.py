"""The answer to a review: as the API server wants it, and as the user reads it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from ringfence.policy.model import Violation
from ringfence.policy.text import clean

from .request import REVIEW_VERSION

MAX_LINES: Final = 20
"""Violations that one message lists. Whoever violates more rules reads the rest after fixing these."""
MAX_LINE: Final = 600
MAX_WARNING: Final = 240
"""Kubernetes cuts warnings longer than 256 characters."""


@dataclass(frozen=True)
class Verdict:
    """What was decided. `code` and `reason` are those of the HTTP answer that the user's request gets."""

    allowed: bool
    message: str = ""
    code: int = 200
    reason: str = ""
    violations: tuple[Violation, ...] = ()
    warnings: tuple[str, ...] = ()


def allow(*warnings: str) -> Verdict:
    """Let it in."""
    return Verdict(allowed=True, warnings=warnings)


def deny(message: str, *, code: int = 403, reason: str = "Forbidden") -> Verdict:
    """Refuse for a reason that is not a violation of a rule."""
    return Verdict(allowed=False, message=clean(message, MAX_LINE), code=code, reason=reason)


def forbid(violations: Sequence[Violation]) -> Verdict:
    """Refuse for `violations`, at least one; the message lists them."""
    return Verdict(
        allowed=False, message=_listed(violations), code=403, reason="Forbidden", violations=tuple(violations)
    )


def respond(uid: str, verdict: Verdict) -> bytes:
    """The AdmissionReview to send back."""
    response: dict[str, Any] = {"uid": uid, "allowed": verdict.allowed}
    if verdict.warnings:
        response["warnings"] = [clean(warning, MAX_WARNING) for warning in verdict.warnings]
    if not verdict.allowed:
        response["status"] = _status(verdict)
    return orjson.dumps({"apiVersion": REVIEW_VERSION, "kind": "AdmissionReview", "response": response})


def line(violation: Violation) -> str:
    """`spec.network.egress[0].cidr: EgressUnrestricted: what is wrong and what to write instead`."""
    return clean(f"{violation.path}: {violation.rule}: {violation.message}", MAX_LINE)


def _listed(violations: Sequence[Violation]) -> str:
    if len(violations) == 1:
        return line(violations[0])
    lines = [
        f"violates {len(violations)} rules:",
        *map(line, violations[:MAX_LINES]),
    ]
    if len(violations) > MAX_LINES:
        lines.append(f"and {len(violations) - MAX_LINES} more")
    return "\n  ".join(lines)


def _status(verdict: Verdict) -> dict[str, Any]:
    status: dict[str, Any] = {
        "status": "Failure",
        "code": verdict.code,
        "reason": verdict.reason,
        "message": verdict.message,
    }
    causes = [
        {"field": clean(one.path, MAX_LINE), "reason": one.rule.value, "message": line(one)}
        for one in verdict.violations[:MAX_LINES]
    ]
    if causes:
        status["details"] = {"causes": causes}
    return status
