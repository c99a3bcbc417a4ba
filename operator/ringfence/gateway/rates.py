"""How often a host may be asked.

The count is kept by the cluster, not by a route: a bucket of a route is full again after each change of any route of
its listener, and who may change the list would have no bound. Each cluster of a host counts by itself: that of
WebSockets, and that of each place of a key.
"""

from .model import Host
from .shapes import Json, extension

_ALL = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}


def filters(host: Host) -> list[Json]:
    """Of a cluster: more requests in a minute are answered 429. None where nothing is bounded."""
    count = host.requests_per_minute
    if not count:
        return []
    return [
        extension(
            "envoy.filters.http.local_ratelimit",
            "LocalRateLimit",
            stat_prefix="rate",
            token_bucket={"max_tokens": count, "tokens_per_fill": count, "fill_interval": "60s"},
            filter_enabled=_ALL,
            filter_enforced=_ALL,
        )
    ]
