"""CONNECT from one part of Envoy to another: the way there, and the route that takes it."""

from . import log
from .shapes import Json, typed


def way(name: str, address: Json) -> Json:
    """A cluster of one address inside of Envoy."""
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    return typed(
        "Cluster",
        name=name,
        type="STATIC",
        connect_timeout="5s",
        load_assignment={"cluster_name": name, "endpoints": endpoints},
    )


def route(name: str, site: str, cluster: str) -> Json:
    """Ends CONNECT to `site` and sends what is inside on to a cluster. `name`: in the log."""
    to: Json = {
        "cluster": cluster,
        "timeout": "0s",
        "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {}}],
    }
    return {
        "name": name,
        "match": {"connect_matcher": {}},
        "route": to,
        "metadata": log.verdict(log.ALLOWED, site),
    }
