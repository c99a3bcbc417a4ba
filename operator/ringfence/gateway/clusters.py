"""Where requests go out: clusters, one for each host and port, and what each request passes on its way."""

from collections.abc import Iterator
from typing import Any, Final

from . import credentials, naming, proxy, rates, reports, tunnel, upstream, wildcards
from .model import WILDCARD, Gateway, Host, Mode
from .routes import PLAIN_PORT
from .shapes import Json, discoverable, discovered, extension, seconds, socket, typed, watched

ADDRESS_CHECK: Final = "address-check"
"""The extension that refuses addresses, and the policy that its refusals name."""

_REFRESH_SECONDS: Final = 60
_FAILED_SECONDS: Final = (1, 10)
_UPSTREAM_IDLE_SECONDS: Final = 60
_WINDOW: Final = 1 << 20


def clusters(gateway: Gateway) -> list[Json]:
    """All clusters, by port and host: with a secret one for each place; for WebSockets with HTTP/1 alone."""
    found = [one for port in gateway.ports for host in gateway.at(port) for one in _of_host(gateway, host, port)]
    if gateway.upstream:
        found.append(upstream.cluster(gateway.upstream, bounds(gateway)))
    else:
        found += [_shared(gateway, tls=tls) for tls in (True, False)]
    if tunnel.wanted(gateway):
        found.append(tunnel.cluster())
    if gateway.proxy_port:
        found += proxy.clusters(gateway)
    if reports.wanted(gateway):
        found += reports.clusters(gateway)
    return found


def _of_host(gateway: Gateway, host: Host, port: int) -> Iterator[Json]:
    if host.wildcard and gateway.upstream:
        return  # nothing leads there
    if host.mode is Mode.TUNNEL:
        spoken = _protocol(gateway, [], http1=True, names=host.wildcard)
        yield _cluster(gateway, host, port, naming.site(host, port), spoken, tls=False)
        return
    tls, counted = port != PLAIN_PORT, rates.filters(host)
    for name, place, http1 in credentials.clusters(host, port):
        spoken = _protocol(gateway, [*counted, *credentials.filters(gateway, place, name)], http1=http1 or not tls)
        yield _cluster(gateway, host, port, name, spoken, tls=tls)
    if host.secret or wildcards.shares(host):
        return
    for http1 in (False, True) if host.websocket and not host.wildcard else (False,):
        spoken = _protocol(gateway, counted, http1=http1 or not tls, names=host.wildcard)
        yield _cluster(gateway, host, port, naming.cluster(host, port, http1=http1), spoken, tls=tls)


def _shared(gateway: Gateway, *, tls: bool) -> Json:
    """One for all hosts that are the same to it, which makes one for each name and port when that is used.

    It is there whatever the hosts are, and never another: Envoy (1.40) ends by a segmentation fault when one is removed
    that has made some.
    """
    spoken = _protocol(gateway, [], http1=not tls, names=True)
    return _cluster(gateway, Host(WILDCARD), 0, naming.shared(tls=tls), spoken, tls=tls)


def _cluster(gateway: Gateway, host: Host, port: int, name: str, spoken: Json, *, tls: bool) -> Json:
    """One host at one port: its name resolved, each address checked before it is dialled, its certificate verified."""
    options = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": spoken}
    secured = upstream.transport(gateway, _tls(gateway, host) if tls else None)
    found = wildcards.cluster_type() if host.wildcard else _named(gateway, host, port, name)
    return typed(
        "Cluster",
        name=name,
        **found,
        **bounds(gateway),
        **secured,
        typed_extension_protocol_options=options,
    )


def _named(gateway: Gateway, host: Host, port: int, name: str) -> dict[str, Any]:
    """Each address is an endpoint of its own.

    One that holds several tries the next one by itself, which no check has seen. DNS that is silent keeps nothing else
    from being served (`wait_for_warm_on_init`).
    """
    endpoint = {
        "endpoint": {"address": socket(host.name, port), "hostname": host.name},
        **upstream.of_endpoint(gateway),
    }
    return {
        "wait_for_warm_on_init": False,
        "cluster_type": extension("envoy.cluster.dns", "DnsCluster", **resolution()),
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def resolution() -> dict[str, Any]:
    """Again when an answer has aged."""
    base, longest = _FAILED_SECONDS
    return {
        "all_addresses_in_single_endpoint": False,
        "dns_lookup_family": "V4_PREFERRED",
        "respect_dns_ttl": True,
        "dns_refresh_rate": seconds(_REFRESH_SECONDS),
        "dns_failure_refresh_rate": {"base_interval": seconds(base), "max_interval": seconds(longest)},
    }


def bounds(gateway: Gateway) -> dict[str, Any]:
    """How much one host may take."""
    most = gateway.limits.upstream_requests
    threshold = {
        "max_connections": most,
        "max_pending_requests": most,
        "max_requests": most,
        "max_retries": 16,
    }
    return {
        "connect_timeout": seconds(gateway.limits.connect_seconds),
        "per_connection_buffer_limit_bytes": gateway.limits.buffer_bytes,
        "circuit_breakers": {"thresholds": [threshold]},
    }


def _protocol(gateway: Gateway, added: list[Json], *, http1: bool, names: bool = False) -> Json:
    """HTTP/2 where the host offers it. Connections of different hosts are never merged: that has to be asked for.

    `names`: the name for TLS and for the certificate is the request's. A wildcard's cluster demands that, with TLS or
    without.
    """
    h2 = {
        "max_concurrent_streams": gateway.limits.streams,
        "initial_stream_window_size": _WINDOW,
        "initial_connection_window_size": _WINDOW,
    }
    if http1:
        spoken: Json = {"explicit_http_config": {"http_protocol_options": {}}}
    else:
        spoken = {"auto_config": {"http_protocol_options": {}, "http2_protocol_options": h2}}
    return typed(
        "HttpProtocolOptions",
        common_http_protocol_options={
            "idle_timeout": seconds(_UPSTREAM_IDLE_SECONDS),
            "max_headers_count": gateway.limits.headers,
        },
        **({"upstream_http_protocol_options": {"auto_sni": True, "auto_san_validation": True}} if names else {}),
        http_filters=[address_check(gateway), *added, codec()],
        **spoken,
    )


def address_check(gateway: Gateway) -> Json:
    """Refuses an address before it is dialled. Its ranges stand once, in a file of their own; without it: 500."""
    return discovered(ADDRESS_CHECK, "RBAC", watched(gateway.paths.config, naming.ADDRESS_FILE))


def codec() -> Json:
    """The end of a cluster's filters."""
    return extension("envoy.filters.http.upstream_codec", "UpstreamCodec")


def denied_addresses(gateway: Gateway) -> Json:
    """The ranges, as the extension that `address_check` names."""
    policy = {"permissions": [_address(network) for network in gateway.denied], "principals": [{"any": True}]}
    rules = {"action": "DENY", "policies": {ADDRESS_CHECK: policy}}
    return discoverable(ADDRESS_CHECK, "RBAC", rules=rules)


def _address(network: str) -> Json:
    prefix, _, length = network.partition("/")
    within = {"address_prefix": prefix, "prefix_len": int(length)}
    return {"matcher": extension("envoy.rbac.matchers.upstream_ip_port", "UpstreamIpPortMatcher", upstream_ip=within)}


def _tls(gateway: Gateway, host: Host) -> Json:
    """The host's certificate, by name. Both ends of the versions are said: Envoy's own highest is TLS 1.2."""
    names = [] if host.wildcard else [{"san_type": "DNS", "matcher": {"exact": host.name}}]
    common = {
        "tls_params": {
            "tls_minimum_protocol_version": "TLSv1_2" if host.tls_1_2 else "TLSv1_3",
            "tls_maximum_protocol_version": "TLSv1_3",
        },
        "validation_context": {
            "trusted_ca": {"filename": gateway.paths.authorities},
            **({"match_typed_subject_alt_names": names} if names else {}),
        },
    }
    asked = {} if host.wildcard else {"sni": host.name}
    return extension("envoy.transport_sockets.tls", "UpstreamTlsContext", common_tls_context=common, **asked)
