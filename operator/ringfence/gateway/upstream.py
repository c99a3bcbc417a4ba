"""Behind a corporate proxy: hosts are resolved and their addresses checked as without one, and then the proxy is asked.

Each connection to a host begins with CONNECT to the address that was checked, so the proxy resolves nothing; TLS to the
host is inside, with its name. That CONNECT goes to an inner listener first, which adds the credentials from the mounted
Secret: the transport that asks for it knows none. The agent has no way to that listener.
"""

from typing import Any, Final

from ringfence.api.names import UPSTREAM_CREDENTIALS

from . import credentials, log
from .model import Gateway, Upstream
from .routes import NOT_UPSTREAM
from .shapes import Json, extension, seconds, socket, typed, watched

NAME: Final = "upstream-proxy"
"""The inner listener, and the cluster of the proxy's addresses."""
FILE: Final = "sds-upstream-proxy.json"
HEADER: Final = "proxy-authorization"
BY_ADDRESS: Final = {"envoy.reloadable_features.http_11_proxy_connect_legacy_format": True}
"""Of the runtime: CONNECT says the address. Without it the host's name, which the proxy would resolve once more."""

_ADDRESS: Final = r"(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|\[[0-9a-f:.]+\]):[0-9]{1,5}"
_CONNECT_SECONDS: Final = 2
_BASIC: Final = f"""
function envoy_on_request(handle)
  local value = handle:headers():get("{HEADER}") or ""
  handle:headers():replace("{HEADER}", "Basic " .. handle:base64Escape(value))
end
"""
"""Lua: the credentials as RFC 7617 has them."""


def transport(gateway: Gateway, secured: Json | None) -> dict[str, Any]:
    """Of a host's cluster, whose endpoints need `of_endpoint`: others are dialled. `secured`: its TLS; None: none."""
    if gateway.upstream is None:
        return {"transport_socket": secured} if secured else {}
    inside = secured or extension("envoy.transport_sockets.raw_buffer", "RawBuffer")
    return {
        "transport_socket": extension("envoy.transport_sockets.http_11_proxy", "Http11Proxy", transport_socket=inside)
    }


def of_endpoint(gateway: Gateway) -> dict[str, Any]:
    """Of a host's endpoint, whose address CONNECT says: where that is asked for."""
    if gateway.upstream is None:
        return {}
    inner = typed("Address", envoy_internal_address={"server_listener_name": NAME})
    return {"metadata": {"typed_filter_metadata": {"envoy.http11_proxy_transport_socket.proxy_address": inner}}}


def listener(settings: dict[str, Any]) -> Json:
    """The inner one. `settings`: of every connection manager, with its filters."""
    whole = {"name": ":authority", "string_match": {"safe_regex": {"regex": _ADDRESS}}}
    route = {
        "name": NAME,
        "match": {"connect_matcher": {}, "headers": [whole]},
        "route": {
            "cluster": NAME,
            "timeout": "0s",
            "upgrade_configs": [{"upgrade_type": "CONNECT"}],
            "retry_policy": {"retry_on": "connect-failure", "num_retries": 1},
        },
        "request_headers_to_remove": [name for name in NOT_UPSTREAM if name != HEADER],
    }
    manager = extension(
        "envoy.filters.network.http_connection_manager",
        "HttpConnectionManager",
        stat_prefix=NAME,
        codec_type="HTTP1",
        route_config={"name": NAME, "virtual_hosts": [{"name": NAME, "domains": ["*"], "routes": [route]}]},
        upgrade_configs=[{"upgrade_type": "CONNECT"}],
        **settings | {"access_log": log.of_upstream_proxy()},
    )
    return typed(
        "Listener",
        name=NAME,
        internal_listener={},
        ignore_global_conn_limit=True,  # the agent's connections are counted where they come in
        filter_chains=[{"name": NAME, "filters": [manager]}],
    )


def filters(gateway: Gateway) -> list[Json]:
    """Of what the proxy answers nothing but its status goes on: the transport reads a short head."""
    every = [{"remove_on_match": {"key_matcher": {"safe_regex": {"regex": "[^:].*"}}}}]
    shortened = extension(credentials.TRAILERS, "HeaderMutation", mutations={"response_mutations": every})
    asked = gateway.upstream is not None and gateway.upstream.credentials
    return [*(_credentials(gateway) if asked else []), shortened]


def _credentials(gateway: Gateway) -> list[Json]:
    """Without a value nothing goes to the proxy: 401 from the filter itself."""
    source = {"name": NAME, "sds_config": watched(gateway.paths.config, FILE)}
    generic = typed("Generic", credential=source, header=HEADER)
    injected = {"name": "envoy.http.injected_credentials.generic", "typed_config": generic}
    return [
        extension("envoy.filters.http.credential_injector", "CredentialInjector", overwrite=True, credential=injected),
        extension("envoy.filters.http.lua", "Lua", default_source_code={"inline_string": _BASIC}),
    ]


def secret(gateway: Gateway) -> Json:
    """Where Envoy reads the value: the mounted file, anew after each swap."""
    value = {"filename": f"{gateway.paths.upstream}/{UPSTREAM_CREDENTIALS}"}
    return typed("Secret", name=NAME, generic_secret={"secret": value})


def cluster(upstream: Upstream, bounds: dict[str, Any]) -> Json:
    """The proxy, at addresses of the configuration: DNS does not say where it is. `bounds`: how much it may take."""
    endpoints = [{"endpoint": {"address": socket(address, upstream.port)}} for address in upstream.addresses]
    options = typed("HttpProtocolOptions", explicit_http_config={"http_protocol_options": {}})
    return typed(
        "Cluster",
        name=NAME,
        type="STATIC",
        load_assignment={"cluster_name": NAME, "endpoints": [{"lb_endpoints": endpoints}]},
        typed_extension_protocol_options={"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
        **bounds | {"connect_timeout": seconds(_CONNECT_SECONDS)},
    )
