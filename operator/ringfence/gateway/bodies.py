"""How much a request may carry, where that is bounded: it is held until it is whole, whatever its form."""

from typing import Any, Final

from .shapes import Json, extension, typed

FILTER: Final = "envoy.filters.http.buffer"
_MOST: Final = 1 << 26


def http_filter() -> Json:
    """Of a connection manager: does nothing but what a route says."""
    return extension(FILTER, "Buffer", max_request_bytes=_MOST) | {"disabled": True}


def at_most(count: int) -> dict[str, Any]:
    """Of a route: a longer body is answered 413, also one that does not say its length."""
    return {FILTER: typed("BufferPerRoute", buffer={"max_request_bytes": min(count, _MOST)})}
