"""Names below a wildcard: resolved when they are asked for, each as a cluster of its own, its addresses checked."""

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


def http_filter() -> Json:
    """Of a connection manager: resolves what a route sends to such a cluster, after all has been decided."""
    return extension(FILTER, "ForwardProxyFilter", sub_cluster_config={"cluster_init_timeout": seconds(10)})


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


def own_websockets(host: Host) -> bool:
    """Whether a host's WebSockets need clusters of its own: to add its key, to count its requests, behind a proxy."""
    return (
        host.mode is Mode.TERMINATE and host.websocket and bool(host.key or host.requests_per_minute or not host.shares)
    )


def shares_websockets(host: Host) -> bool:
    """Whether they go by the cluster of all such hosts, which makes one for each name when it is used."""
    return host.mode is Mode.TERMINATE and host.websocket and not own_websockets(host)


def resolves(host: Host, port: int) -> Json:
    """Of a route to such a cluster: which name and port it is."""
    return {FILTER: typed("ForwardProxyPerRoute", host_rewrite_literal=naming.site(host, port))}
