"""What can go wrong on the way to an end, as one family.

`RingfenceError` is the root; its `kind` says what to do about it:

* `RETRY`: it passes by itself (busy, a conflict, no answer): try again later, tell nobody.
* `REFUSED`: the same request would be refused again: tell, and try again as rarely as the world changes.
* `NOT_OURS`: somebody else's object is in the way: leave it, tell.
* `GONE`: what this was about is not there any more: forget it.

The edge raises `ApiError` (the API server answered with an error) with its subclasses `NotFound` and `Conflict`, and
`Unreachable` (no answer came: the request may or may not have been carried out).
"""

from enum import StrEnum
from http import HTTPStatus

import orjson

PASSING = {HTTPStatus.UNAUTHORIZED, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS}
"""Refusals that pass by themselves."""
LONGEST_ASKED = 5.0
"""Seconds for which an API server that asks for patience (Retry-After) gets it, where the own pause is shorter."""
BUSY = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}


class ErrorKind(StrEnum):
    """What to do about an error."""

    RETRY = "retry"
    REFUSED = "refused"
    NOT_OURS = "not ours"
    GONE = "gone"


class RingfenceError(Exception):
    """The root.

    `retry_after`: seconds that the other side asks to be left alone. `longest_pause`: the longest one between tries, in
    seconds, where what waits for it cannot wait long; None: the usual one.
    """

    kind: ErrorKind = ErrorKind.RETRY
    retry_after: float | None = None
    longest_pause: float | None = None

    def pause(self, seconds: float) -> float:
        """The pause before the next try, of `seconds` by itself: as long as the other side asks, within bounds."""
        return max(seconds, min(self.retry_after or 0.0, LONGEST_ASKED))


class ApiError(RingfenceError):
    """The API server answered with an error. `message` is its sentence for a person."""

    def __init__(self, status: int, reason: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after
        self.kind = ErrorKind.RETRY if self.terminating or self.passing else ErrorKind.REFUSED

    @property
    def terminating(self) -> bool:
        """Whether the namespace is being deleted and takes nothing new."""
        return self.status == HTTPStatus.FORBIDDEN and "being terminated" in self.message

    @property
    def passing(self) -> bool:
        """Whether the API server is merely busy, starting or stopping: not worth a word to anybody."""
        return self.status in BUSY

    @property
    def final(self) -> bool:
        """Whether the same request would be refused again: the request itself is not acceptable."""
        return HTTPStatus.BAD_REQUEST <= self.status < HTTPStatus.INTERNAL_SERVER_ERROR and self.status not in PASSING


class NotFound(ApiError):
    """404: no such object, or no such resource."""

    def __init__(self, status: int, reason: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(status, reason, message, retry_after)
        self.kind = ErrorKind.GONE


class Conflict(ApiError):
    """409: it exists already, another field manager owns a field, or a precondition does not hold."""

    def __init__(self, status: int, reason: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(status, reason, message, retry_after)
        self.kind = ErrorKind.RETRY


class NotServed(RingfenceError):
    """The cluster does not serve a kind: its API group is switched off, or not installed."""

    kind = ErrorKind.REFUSED

    def __init__(self, kind: str, group_version: str) -> None:
        super().__init__(
            f"the cluster does not serve {kind} ({group_version}): have its administrator switch {group_version} on "
            "(--runtime-config of the API server)"
        )


class Unreachable(RingfenceError):
    """No answer: connection refused, reset or timed out."""


def api_error(status: int, phrase: str | None, retry_after: str, body: bytes) -> ApiError:
    """The error of an answer: a Status object of Kubernetes, or whatever a proxy says."""
    try:
        told = orjson.loads(body)
        reason, message = str(told.get("reason", "")), str(told.get("message", ""))
    except (orjson.JSONDecodeError, AttributeError):
        reason, message = phrase or "", body[:200].decode(errors="replace")
    kind = {404: NotFound, 409: Conflict}.get(status, ApiError)
    return kind(status, reason, message, float(retry_after) if retry_after.isdigit() else None)
