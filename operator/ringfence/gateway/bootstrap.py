"""What Envoy starts with. It holds nothing of hosts: a changed list needs no start."""

from typing import Final

from . import log, naming, reports, upstream, versions
from .model import Gateway
from .shapes import Json, extension, seconds, socket, watched

_QUERY_SECONDS: Final = 3
_HEAP_CLOSED: Final = 0.95
_COUNTED: Final = (
    *({"prefix": f"{part}."} for part in ("cluster_manager", "listener_manager", "overload", "server")),
    *({"suffix": f".{what}"} for what in ("update_rejected", "config_fail", versions.FIGURE)),
    {"prefix": f"{log.FIGURES}."},
    {"safe_regex": {"regex": r"http\..*\.rds\..*\.(update_success|update_failure|version)"}},
)
"""Figures that are kept: their number does not grow with what the agent asks for. `update_rejected`: Envoy refused a
file, and goes on with the one before.
"""

_RUNTIME: Final = {"re2.max_program_size.error_level": 1000, "re2.max_program_size.warn_level": 1000}
"""Envoy refuses expressions of more than 100 steps otherwise. RE2 is linear in what it reads, whatever they are."""


def bootstrap(gateway: Gateway) -> Json:
    """The static part: the administration on a socket, where files are, bounds of the whole process."""
    config = gateway.paths.config
    return {
        "node": {"id": gateway.name, "cluster": "ringfence"},
        "admin": {"address": {"pipe": {"path": gateway.paths.admin, "mode": 0o600}}},
        "dynamic_resources": {
            "lds_config": watched(config, naming.LISTENERS),
            "cds_config": watched(config, naming.CLUSTERS),
        },
        "static_resources": {"clusters": [_admin(gateway)], "listeners": [_observe(gateway)]},
        "stats_config": {"stats_matcher": {"inclusion_list": {"patterns": list(_COUNTED)}}},
        "typed_dns_resolver_config": _resolver(gateway),
        "layered_runtime": {"layers": [{"name": "static", "static_layer": _runtime(gateway)}]},
        "overload_manager": _overload(gateway),
        "bootstrap_extensions": [extension("envoy.bootstrap.internal_listener", "InternalListener")],
    }


def _runtime(gateway: Gateway) -> Json:
    return _RUNTIME | (upstream.BY_ADDRESS if gateway.upstream else {})


def _resolver(gateway: Gateway) -> Json:
    """Names as they stand, without the search domains of a pod."""
    found: Json = {
        "dns_resolver_options": {"no_default_search_domain": True},
        "query_timeout_seconds": _QUERY_SECONDS,
        "query_tries": 2,
    }
    if gateway.resolvers:
        found["resolvers"] = [socket(*_server(text)) for text in gateway.resolvers]
    return extension("envoy.network.dns_resolver.cares", "CaresDnsResolverConfig", **found)


def _server(text: str) -> tuple[str, int]:
    """`ADDRESS`, `ADDRESS:PORT` or `[ADDRESS]:PORT`."""
    if text.startswith("["):
        address, _, port = text[1:].partition("]:")
        return address, int(port)
    address, _, port = text.partition(":")
    return (address, int(port)) if port.isdecimal() else (text, 53)


def _overload(gateway: Gateway) -> Json:
    most = gateway.limits.connections
    monitors = [
        extension(
            "envoy.resource_monitors.global_downstream_max_connections",
            "DownstreamConnectionsConfig",
            max_active_downstream_connections=most,
        )
    ]
    actions: list[Json] = []
    if gateway.limits.heap_bytes:
        heap = "envoy.resource_monitors.fixed_heap"
        monitors.append(extension(heap, "FixedHeapConfig", max_heap_size_bytes=gateway.limits.heap_bytes))
        full = {"name": heap, "threshold": {"value": _HEAP_CLOSED}}
        actions.append({"name": "envoy.overload_actions.stop_accepting_requests", "triggers": [full]})
    return {"refresh_interval": "0.25s", "resource_monitors": monitors, **({"actions": actions} if actions else {})}


def _admin(gateway: Gateway) -> Json:
    endpoint = {"endpoint": {"address": {"pipe": {"path": gateway.paths.admin}}}}
    return {
        "name": naming.ADMIN,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": naming.ADMIN, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


_READY: Final = "/ready"


def _observe(gateway: Gateway) -> Json:
    """Readiness and figures, and nothing else of the administration: no other path, method or query gets there."""
    get = {"name": ":method", "string_match": {"exact": "GET"}}
    routes: list[Json] = []
    for path in (_READY, "/stats/prometheus"):
        whole = {"name": ":path", "string_match": {"exact": path}}  # without a query: it holds orders, too
        to = {"cluster": naming.ADMIN, "timeout": "5s"}
        routes.append({"match": {"path": path, "headers": [get, whole]}, "route": to})
    routes.append({"match": {"prefix": "/"}, "direct_response": {"status": 404}})
    source = {"inline_string": versions.script(gateway, _READY)}
    manager = extension(
        "envoy.filters.network.http_connection_manager",
        "HttpConnectionManager",
        stat_prefix="observe",
        codec_type="HTTP1",
        normalize_path=True,
        path_with_escaped_slashes_action="REJECT_REQUEST",
        use_remote_address=True,
        internal_address_config={"unix_sockets": False},
        stream_idle_timeout=seconds(10),
        request_headers_timeout=seconds(5),
        route_config={"virtual_hosts": [{"name": "observe", "domains": ["*"], "routes": routes}]},
        http_filters=[
            extension("versions", "Lua", default_source_code=source),
            extension("envoy.filters.http.router", "Router", suppress_envoy_headers=True),
        ],
        access_log=log.of_versions(reported=reports.wanted(gateway)),
    )
    return {
        "name": "observe",
        "address": socket(gateway.address, gateway.observe_port),
        "per_connection_buffer_limit_bytes": 32768,
        "ignore_global_conn_limit": True,
        "filter_chains": [{"filters": [manager]}],
    }
