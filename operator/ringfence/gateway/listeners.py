"""Where the agent's connections come in: one listener for each declared port, one filter chain for each name."""

from typing import Any, Final

from . import bodies, credentials, log, naming, proxy, reports, tunnel, upstream, wildcards
from .model import Gateway, Host, Mode
from .routes import PLAIN_PORT
from .shapes import Json, discoverable, discovered, extension, seconds, socket, typed, watched

_HANDSHAKE_SECONDS: Final = 10
_DRAIN_SECONDS: Final = 600
_WINDOW: Final = 1 << 20
"""Bytes under way of one HTTP/2 stream, and of a connection: enough for a wide link, and bounded."""


def listeners(gateway: Gateway) -> list[Json]:
    """All listeners, by port; the tunnel's inner one, the proxy, the ways to a corporate one and for reports."""
    found = [_listener(gateway, port) for port in gateway.ports]
    if tunnel.wanted(gateway):
        found.append(tunnel.listener(gateway, settings(gateway, _tunnel_filters())))
    if gateway.proxy_port:
        connects = {"access_log": log.of_connects(reported=reports.wanted(gateway))}
        found.append(proxy.listener(gateway, settings(gateway, [router()]) | connects))
    if gateway.upstream:
        found.append(upstream.listener(settings(gateway, [*upstream.filters(gateway), router()])))
    if reports.wanted(gateway):
        found.append(reports.listener())
    return found


def _tunnel_filters() -> list[Json]:
    return [*wildcards.http_filters(), router()]


def _listener(gateway: Gateway, port: int) -> Json:
    """Another name, no name, no TLS: no filter chain fits, and Envoy ends the connection."""
    inspect = [] if port == PLAIN_PORT else [extension("envoy.filters.listener.tls_inspector", "TlsInspector")]
    chains = (
        [_plain(gateway, port)] if port == PLAIN_PORT else [_chain(gateway, host, port) for host in gateway.at(port)]
    )
    return typed(
        "Listener",
        name=naming.routes(port),
        address=socket(gateway.address, port),
        per_connection_buffer_limit_bytes=gateway.limits.buffer_bytes,
        listener_filters=inspect,
        listener_filters_timeout=seconds(_HANDSHAKE_SECONDS),
        filter_chains=chains,
        access_log=log.of_refused_connections(reported=reports.wanted(gateway)),
    )


def _chain(gateway: Gateway, host: Host, port: int) -> Json:
    if host.mode is Mode.TUNNEL:
        return tunnel.chain(gateway, host, port)
    return {
        "name": naming.site(host, port),
        "filter_chain_match": {"server_names": [host.name], "transport_protocol": "tls"},
        "transport_socket": _leaf(gateway, host),
        "transport_socket_connect_timeout": seconds(_HANDSHAKE_SECONDS),
        "filters": [_manager(gateway, port)],
    }


def _plain(gateway: Gateway, port: int) -> Json:
    return {"name": naming.routes(port), "filters": [_manager(gateway, port)]}


def _leaf(gateway: Gateway, host: Host) -> Json:
    """TLS with the agent's own leaf for the host, read anew when it is renewed."""
    leaf = {"name": naming.leaf(host.name), "sds_config": watched(gateway.paths.config, naming.leaf_file(host.name))}
    common = {
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_certificate_sds_secret_configs": [leaf],
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"},
    }
    return extension("envoy.transport_sockets.tls", "DownstreamTlsContext", common_tls_context=common)


def _manager(gateway: Gateway, port: int) -> Json:
    """By its name: in a file of its own it stands once for a port, not once for each host."""
    source = watched(gateway.paths.config, naming.manager_file(port))
    return discovered(naming.routes(port), "HttpConnectionManager", source)


def manager(gateway: Gateway, port: int) -> Json:
    """Decides each request, also each later one of a connection, by the routes of this listener."""
    return discoverable(
        naming.routes(port),
        "HttpConnectionManager",
        stat_prefix=naming.routes(port),
        rds={
            "route_config_name": naming.routes(port),
            "config_source": watched(gateway.paths.config, naming.routes_file(port)),
        },
        upgrade_configs=[{"upgrade_type": "websocket", "enabled": False}],
        **settings(gateway, _filters()),
    )


def _filters() -> list[Json]:
    """Those that are there whatever the hosts are do nothing but what a route says: a changed list changes no chain."""
    return [credentials.trailers_filter(), bodies.http_filter(), *wildcards.http_filters(), router()]


def settings(gateway: Gateway, filters: list[Json]) -> dict[str, Any]:
    """What holds for every connection manager."""
    limits = gateway.limits
    window = {"initial_stream_window_size": _WINDOW, "initial_connection_window_size": _WINDOW}
    return {
        "http_filters": filters,
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "common_http_protocol_options": {
            "headers_with_underscores_action": "REJECT_REQUEST",
            "idle_timeout": seconds(limits.idle_seconds),
            "max_headers_count": limits.headers,
        },
        "http_protocol_options": {},
        "http2_protocol_options": {"max_concurrent_streams": limits.streams, **window},
        "max_request_headers_kb": limits.header_kib,
        "stream_idle_timeout": seconds(limits.idle_seconds),
        "request_headers_timeout": seconds(_HANDSHAKE_SECONDS),
        "drain_timeout": "5s",
        # Without these two, headers of the agent's would steer Envoy, which trusts private addresses.
        "use_remote_address": True,
        "internal_address_config": {"unix_sockets": False},
        "skip_xff_append": True,
        "generate_request_id": False,
        "preserve_external_request_id": True,
        "server_header_transformation": "PASS_THROUGH",
        "local_reply_config": log.replies(),
        "access_log": log.of_requests(reported=reports.wanted(gateway)),
    }


def router() -> Json:
    """Early data after CONNECT is refused: CVE-2025-64763 is open where that is not said."""
    return extension(
        "envoy.filters.http.router", "Router", suppress_envoy_headers=True, reject_connect_request_early_data=True
    )
