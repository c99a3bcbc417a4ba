"""CONNECT from one part of Envoy to another: the way there, and the route that takes it."""

from typing import Any

from . import log
from .model import Gateway
from .shapes import Json, extension, typed, watched


def filter_chain(gateway: Gateway, name: str, file: str, settings: dict[str, Any]) -> Json:
    """Takes CONNECT by the routes of a file. `settings`: of every connection manager."""
    manager = extension(
        "envoy.filters.network.http_connection_manager",
        "HttpConnectionManager",
        stat_prefix=name,
        rds={"route_config_name": name, "config_source": watched(gateway.paths.config, file)},
        upgrade_configs=[{"upgrade_type": "CONNECT"}],
        **settings,
    )
    return {"name": name, "filters": [manager]}


def virtual_host(site: str, kind: str, cluster: str, *otherwise: Json) -> Json:
    """Of one declared name and port. `kind`: of this CONNECT, in the log; `otherwise`: routes of what is none."""
    return {"name": site, "domains": [site], "routes": [_route(f"{site}/{kind}", site, cluster), *otherwise]}


def closed(site: str, why: str) -> Json:
    """Of a name and port to which nothing leads. `why`: nobody reads it but in Envoy's own files."""
    route = {
        "name": f"{site}/closed",
        "match": {"connect_matcher": {}},
        "direct_response": {"status": 503, "body": {"inline_string": why}},
        "metadata": log.verdict(log.FAILED, site, log.FIELD_HOST),
    }
    return {"name": site, "domains": [site], "routes": [route]}


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


def _route(name: str, site: str, cluster: str) -> Json:
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
