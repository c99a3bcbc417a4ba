"""Tunnels: TLS goes through to the host, and the gateway binds its name: SNI, CONNECT and what is resolved are one.

`tcp_proxy` knows no check of addresses. So a connection goes by an inner CONNECT to an inner listener, whose requests
pass the same filters as all others.
"""

from typing import Any, Final

from . import connect, naming
from .model import Gateway, Host, Mode
from .shapes import Json, extension, seconds, typed

INNER: Final = "tunnel"
"""The inner listener, its cluster, and its route configuration."""
FILE: Final = "rds-tunnel.json"


def wanted(gateway: Gateway) -> bool:
    """Whether any host is tunnelled."""
    return any(host.mode is Mode.TUNNEL for host in gateway.hosts)


def chain(gateway: Gateway, host: Host, port: int) -> Json:
    """The filter chain of a name whose TLS goes through."""
    name = "%REQUESTED_SERVER_NAME%" if host.wildcard else host.name
    proxy = extension(
        "envoy.filters.network.tcp_proxy",
        "TcpProxy",
        stat_prefix=INNER,
        cluster=INNER,
        tunneling_config={"hostname": f"{name}:{port}"},
        idle_timeout=seconds(gateway.limits.idle_seconds),
        **_longest(host),
    )
    return {
        "name": naming.site(host, port),
        "filter_chain_match": {"server_names": [host.name], "transport_protocol": "tls"},
        "filters": [proxy],
    }


def _longest(host: Host) -> dict[str, Any]:
    longest = host.max_stream_seconds
    return {"max_downstream_connection_duration": seconds(longest)} if longest else {}


def listener(gateway: Gateway, settings: dict[str, Any]) -> Json:
    """Takes the inner CONNECT. `settings`: of every connection manager."""
    chains = [connect.filter_chain(gateway, INNER, FILE, settings)]
    return typed("Listener", name=INNER, internal_listener={}, filter_chains=chains)


def cluster() -> Json:
    """The way to the inner listener."""
    return connect.way(INNER, {"envoy_internal_address": {"server_listener_name": INNER}})


def configuration(gateway: Gateway) -> Json:
    """The inner CONNECT, for the declared names alone."""
    pairs = [(host, port) for port in gateway.ports for host in gateway.at(port) if host.mode is Mode.TUNNEL]
    return typed(
        "RouteConfiguration",
        name=INNER,
        virtual_hosts=[
            connect.closed(naming.site(host, port), host.closed)
            if host.closed
            else connect.virtual_host(naming.site(host, port), "tunnel", naming.site(host, port))
            for host, port in pairs
        ],
    )
