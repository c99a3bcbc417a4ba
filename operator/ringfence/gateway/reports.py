"""Refusals are reported to the controller: Envoy's own access logger sends them (OTLP over HTTP), nobody waits for it.

What is reported of one is its reason, a word of this configuration: nothing that the agent wrote gets there. The way
leads through an inner listener, which tries again (a replica that stands by does not listen) and bounds how often it is
tried at all: a flood of refusals is dropped here.
"""

from typing import Final

from . import connect
from .model import Gateway
from .shapes import Json, extension, seconds, socket, typed

REASON: Final = "reason"
"""The attribute with the reason, as `log.Reason`."""
NOT_IN_FORCE: Final = "NotInForce"
"""In the place of a reason: Envoy refused a file of the configuration, and goes by the one before."""
PATH: Final = "/v1/logs"
"""As OTLP over HTTP has it."""
WAY: Final = "reports"
"""The inner listener, and the cluster that leads to it."""
CONTROLLER: Final = "controller"
MOST_A_MINUTE: Final = 30
"""Requests to the controller: each holds the refusals of `FLUSH_SECONDS`, or a full buffer of some hundred."""
FLUSH_SECONDS: Final = 5
BUFFER_BYTES: Final = 16384
_TRIES: Final = 12
"""Each of them finds any replica of the controller."""
_TRIED_SECONDS: Final = 30


def wanted(gateway: Gateway) -> bool:
    """Whether anybody wants them."""
    return bool(gateway.reports_to)


def logger(reason: str) -> Json:
    """Reports each refusal. `reason`: a format of Envoy's."""
    values = [{"key": REASON, "value": {"string_value": reason}}]
    return extension(
        "envoy.access_loggers.open_telemetry",
        "OpenTelemetry",
        log_name="egress",
        disable_builtin_labels=True,
        attributes={"values": values},
        http_service={"http_uri": {"uri": f"http://{CONTROLLER}{PATH}", "cluster": WAY, "timeout": "60s"}},
        buffer_flush_interval=seconds(FLUSH_SECONDS),
        buffer_size_bytes=BUFFER_BYTES,
    )


def listener() -> Json:
    """The inner one."""
    bucket = {"max_tokens": MOST_A_MINUTE, "tokens_per_fill": MOST_A_MINUTE, "fill_interval": "60s"}
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    bounded = extension(
        "envoy.filters.http.local_ratelimit",
        "LocalRateLimit",
        stat_prefix=WAY,
        token_bucket=bucket,
        filter_enabled=always,
        filter_enforced=always,
    )
    route = {
        "cluster": CONTROLLER,
        "timeout": seconds(_TRIED_SECONDS),
        "retry_policy": {
            "retry_on": "connect-failure,reset-before-request,retriable-status-codes",
            "retriable_status_codes": [503],
            "num_retries": _TRIES,
            "retry_back_off": {"base_interval": "0.1s", "max_interval": "5s"},
        },
    }
    hosts = [{"name": WAY, "domains": ["*"], "routes": [{"match": {"path": PATH}, "route": route}]}]
    manager = extension(
        "envoy.filters.network.http_connection_manager",
        "HttpConnectionManager",
        stat_prefix=WAY,
        codec_type="HTTP1",
        route_config={"name": WAY, "virtual_hosts": hosts},
        http_filters=[bounded, extension("envoy.filters.http.router", "Router", suppress_envoy_headers=True)],
        use_remote_address=True,
        internal_address_config={"unix_sockets": False},
        generate_request_id=False,
    )
    return typed("Listener", name=WAY, internal_listener={}, filter_chains=[{"name": WAY, "filters": [manager]}])


def clusters(gateway: Gateway) -> list[Json]:
    """The way to the inner listener, and from there to the controller. A connection that idles is closed."""
    address, _, port = gateway.reports_to.rpartition(":")
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": socket(address.strip("[]"), int(port))}}]}]
    few = {"max_connections": 1, "max_pending_requests": 8, "max_requests": 8, "max_retries": 8}
    options = typed(
        "HttpProtocolOptions",
        common_http_protocol_options={"idle_timeout": "10s"},
        explicit_http_config={"http_protocol_options": {}},
    )
    controller = typed(
        "Cluster",
        name=CONTROLLER,
        type="STATIC",
        connect_timeout="2s",
        load_assignment={"cluster_name": CONTROLLER, "endpoints": endpoints},
        circuit_breakers={"thresholds": [few]},
        typed_extension_protocol_options={"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
    )
    return [connect.way(WAY, {"envoy_internal_address": {"server_listener_name": WAY}}), controller]
