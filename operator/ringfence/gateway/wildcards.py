"""Names that are resolved when they are asked for, each as a cluster of its own, its addresses checked.

Those below a wildcard, and exact ones that share a cluster: the roots that a cluster believes are a quarter of a MiB
for each, and so only what was asked for within some minutes has them.
"""

import re
from typing import Any, Final

from . import naming
from .model import WILDCARD, Host, Mode
from .shapes import Json, extension, seconds, typed

DEFAULT_PORTS: Final = (80, 443)
FILTER: Final = "envoy.filters.http.dynamic_forward_proxy"
_MOST_NAMES: Final = 256
_FORGOTTEN_SECONDS: Final = 300
_LABEL: Final = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"


_STATE: Final = "envoy.filters.http.set_filter_state"
_HTTP1: Final = {"envoy.network.application_protocols": "http/1.1"}
"""What Envoy offers the host in TLS, of one request: for a WebSocket, which HTTP/2 mostly does not carry."""


def http_filters() -> list[Json]:
    """Of a connection manager: resolve what a route sends to such a cluster, after all has been decided."""
    state = extension(_STATE, "SetFilterState") | {"disabled": True}
    return [state, extension(FILTER, "ForwardProxyFilter", sub_cluster_config={"cluster_init_timeout": seconds(10)})]


def cluster_type() -> dict[str, Any]:
    """Instead of a name: the part of a cluster that makes one for each name.

    Not the cache of names that this extension has, too: its hosts hold all addresses of a name, and a client that tries
    the next one by itself dials what no check has seen.
    """
    made = {
        "lb_policy": "ROUND_ROBIN",
        "max_sub_clusters": _MOST_NAMES,
        "sub_cluster_ttl": seconds(_FORGOTTEN_SECONDS),
    }
    kind = extension("envoy.clusters.dynamic_forward_proxy", "ForwardProxyCluster", sub_clusters_config=made)
    return {"cluster_type": kind, "lb_policy": "CLUSTER_PROVIDED", "dns_lookup_family": "V4_PREFERRED"}


def authority(host: Host, port: int) -> str:
    """What Host must be, as an expression: one label below the wildcard, which is all that a leaf's name covers."""
    parent = re.escape(host.name.removeprefix(WILDCARD))
    return rf"(?i){_LABEL}\.{parent}(?::{port})?"


def domains(host: Host, port: int) -> list[str]:
    """Of the virtual host. A wildcard's port may be left out only where it goes without saying: it is read there."""
    bare = [] if host.wildcard and port not in DEFAULT_PORTS else [host.name]
    return [*bare, naming.site(host, port)]


def shares(host: Host) -> bool:
    """Whether it shares a cluster: what is counted, keyed, tunnelled or spoken to with TLS 1.2 has one of its own.

    So has all behind a corporate proxy (`Host.shares`).
    """
    return host.shares and host.mode is Mode.TERMINATE and not (host.secret or host.requests_per_minute or host.tls_1_2)


def dynamic(host: Host) -> bool:
    """Whether the names of its cluster are resolved when they are asked for."""
    return host.wildcard or shares(host)


def of_requests(host: Host, port: int) -> dict[str, Any]:
    """Of the virtual host: which name and port it is. Nothing where the request says it, or its cluster is its own.

    It is resolved with the dot at its end that no client writes: what is made for it has another name than what a
    wildcard makes, so that neither is taken away with the other.
    """
    if host.wildcard or not shares(host):
        return {}
    return {
        FILTER: typed("ForwardProxyPerRoute", host_rewrite_literal=f"{_absolute(host)}:{port}"),
        _STATE: _set(_destination(host, port)),
    }


def of_websockets(host: Host, port: int) -> dict[str, Any]:
    """Of a route to such a cluster, for a WebSocket."""
    return {_STATE: _set(({} if host.wildcard else _destination(host, port)) | _HTTP1)}


def _absolute(host: Host) -> str:
    return f"{host.name}."


def _destination(host: Host, port: int) -> dict[str, str]:
    return {"envoy.upstream.dynamic_host": _absolute(host), "envoy.upstream.dynamic_port": str(port)}


def _set(state: dict[str, str]) -> Json:
    values = [
        {"object_key": key, "format_string": {"text_format_source": {"inline_string": value}}}
        for key, value in state.items()
    ]
    return typed("SetFilterState", on_request_headers=values)
