"""Envoy's own shapes, in few words. Each returns JSON as Envoy reads it."""

from typing import Any, Final

Json = dict[str, Any]
DATA: Final = "..data"
"""The link that a kubelet swaps in a folder of a ConfigMap, of a Secret, or of both (its atomic writer)."""

_TYPES: Final = {
    "Cluster": "envoy.config.cluster.v3.Cluster",
    "Listener": "envoy.config.listener.v3.Listener",
    "RouteConfiguration": "envoy.config.route.v3.RouteConfiguration",
    "Secret": "envoy.extensions.transport_sockets.tls.v3.Secret",
    "DownstreamTlsContext": "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
    "UpstreamTlsContext": "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
    "HttpConnectionManager": ("envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
    "HttpProtocolOptions": "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
    "TcpProxy": "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
    "TlsInspector": "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
    "Router": "envoy.extensions.filters.http.router.v3.Router",
    "RBAC": "envoy.extensions.filters.http.rbac.v3.RBAC",
    "Lua": "envoy.extensions.filters.http.lua.v3.Lua",
    "UpstreamCodec": "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec",
    "StdoutAccessLog": "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
    "Stats": "envoy.extensions.access_loggers.stats.v3.Config",
    "OpenTelemetry": "envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig",
    "ExpressionFilter": "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
    "CaresDnsResolverConfig": "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
    "DownstreamConnectionsConfig": (
        "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
    ),
    "Address": "envoy.config.core.v3.Address",
    "Http11Proxy": "envoy.extensions.transport_sockets.http_11_proxy.v3.Http11ProxyUpstreamTransport",
    "RawBuffer": "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer",
    "UpstreamIpPortMatcher": "envoy.extensions.rbac.matchers.upstream_ip_port.v3.UpstreamIpPortMatcher",
    "DnsCluster": "envoy.extensions.clusters.dns.v3.DnsCluster",
    "CredentialInjector": "envoy.extensions.filters.http.credential_injector.v3.CredentialInjector",
    "Generic": "envoy.extensions.http.injected_credentials.generic.v3.Generic",
    "HeaderMutation": "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
    "HeaderMutationPerRoute": "envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute",
    "ForwardProxyFilter": "envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig",
    "ForwardProxyPerRoute": "envoy.extensions.filters.http.dynamic_forward_proxy.v3.PerRouteConfig",
    "ForwardProxyCluster": "envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig",
    "Buffer": "envoy.extensions.filters.http.buffer.v3.Buffer",
    "BufferPerRoute": "envoy.extensions.filters.http.buffer.v3.BufferPerRoute",
    "LocalRateLimit": "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
    "SetFilterState": "envoy.extensions.filters.http.set_filter_state.v3.Config",
    "FixedHeapConfig": "envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig",
    "InternalListener": "envoy.extensions.bootstrap.internal_listener.v3.InternalListener",
}


def typed(kind: str, **content: Any) -> Json:
    """A message with its type, as `typed_config` wants it. Raises KeyError for a kind that is not used here."""
    return {"@type": f"type.googleapis.com/{_TYPES[kind]}", **content}


def extension(name: str, kind: str, **content: Any) -> Json:
    """An extension by its name, with its configuration."""
    return {"name": name, "typed_config": typed(kind, **content)}


def discovered(name: str, kind: str, source: Json) -> Json:
    """The place of an extension that is found elsewhere, by its name."""
    return {"name": name, "config_discovery": {"config_source": source, "type_urls": [typed(kind)["@type"]]}}


def discoverable(name: str, kind: str, **content: Any) -> Json:
    """Such an extension, as a resource."""
    kept = {"@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"}
    return kept | extension(name, kind, **content)


def whole_path(expression: str, *, matches: bool = True) -> Json:
    """A condition of a route: that the path and its query are, or are not, of this form from end to end (RE2)."""
    found = {"name": ":path", "string_match": {"safe_regex": {"regex": expression}}}
    return found if matches else found | {"invert_match": True}


def watched(folder: str, file: str) -> Json:
    """Where a resource comes from: a file that is read anew when the folder is swapped, as a kubelet does.

    By the link that is swapped: the link of a new file's own name is made only after that, too late for who is told.
    """
    source = {"path": f"{folder}/{DATA}/{file}", "watched_directory": {"path": folder}}
    return {"path_config_source": source, "resource_api_version": "V3"}


def socket(address: str, port: int) -> Json:
    """An address to listen at, or to ask."""
    return {"socket_address": {"address": address, "port_value": port}}


def seconds(number: float) -> str:
    """A duration."""
    return f"{number:g}s"


def resources(*found: Json) -> Json:
    """A file of xDS."""
    return {"resources": list(found)}
