"""What is let through, request by request: route configurations, one for each listener."""

import json
import re
from collections.abc import Iterator
from typing import Final

from . import log, naming
from .model import BELOW, Gateway, Host, Mode, Rule
from .shapes import Json, seconds, typed

PLAIN_PORT: Final = 80
"""The one port where names are served without TLS."""

NOT_UPSTREAM: Final = (
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-client-cert",
    "x-envoy-attempt-count",
    "x-envoy-decorator-operation",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-external-address",
    "x-envoy-force-trace",
    "x-envoy-hedge-on-per-try-timeout",
    "x-envoy-internal",
    "x-envoy-ip-tags",
    "x-envoy-is-timeout-retry",
    "x-envoy-max-retries",
    "x-envoy-original-dst-host",
    "x-envoy-original-host",
    "x-envoy-original-path",
    "x-envoy-peer-metadata",
    "x-envoy-peer-metadata-id",
    "x-envoy-retriable-header-names",
    "x-envoy-retriable-status-codes",
    "x-envoy-retry-grpc-on",
    "x-envoy-retry-on",
    "x-envoy-upstream-alt-stat-name",
    "x-envoy-upstream-rq-per-try-timeout-ms",
    "x-envoy-upstream-rq-timeout-alt-response",
    "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-upstream-stream-duration-ms",
    "proxy-authorization",
    "proxy-connection",
)
"""Headers that the gateway makes, or that would steer it: none of them leaves."""

_TWICE_ESCAPED: Final = r"(?i)[^?]*(?:%25(?:25)*(?:2e|2f|5c|00)|/\.{1,2}(?:;|%3b)).*"
"""A path that a host may read as another one: escaped dots and slashes that show after a second decoding, and dots
with parameters (`/..;/`), which some servers strip first. Envoy has decoded and normalised once before it looks.
"""
_RETRIED: Final = "connect-failure,refused-stream,reset-before-request"
"""What is tried again: requests of which the host has seen nothing."""

FIELD_HOST: Final = "network.egress[].host"
FIELD_RULES: Final = "network.egress[].rules"


def configuration(gateway: Gateway, port: int) -> Json:
    """All that may be asked for through the listener of `port`."""
    hosts = [host for host in gateway.at(port) if host.mode is Mode.TERMINATE]
    return typed(
        "RouteConfiguration",
        name=naming.routes(port),
        virtual_hosts=[*(_virtual_host(host, port) for host in hosts), _undeclared(port)],
        request_headers_to_remove=list(NOT_UPSTREAM),
    )


def _virtual_host(host: Host, port: int) -> Json:
    return {
        "name": naming.site(host, port),
        "domains": [host.name, naming.site(host, port)],
        "routes": [*_guards(host, port), *_allowed(host, port), _nothing_else(host, port)],
    }


def _guards(host: Host, port: int) -> Iterator[Json]:
    """What no rule lets through."""
    yield _refusal(
        naming.site(host, port),
        {"prefix": "/", "headers": [_method(("TRACE", "TRACK"))]},
        name=f"{naming.site(host, port)}/no-trace",
        message="TRACE is not let through: it would show what the gateway adds",
        status=405,
    )
    if any(_narrow(path) for rule in host.rules for path in rule.paths):
        yield _refusal(
            naming.site(host, port),
            {"prefix": "/", "headers": [{"name": ":path", "string_match": {"safe_regex": {"regex": _TWICE_ESCAPED}}}]},
            name=f"{naming.site(host, port)}/no-double-escapes",
            message="the path is escaped twice, or has dots with parameters: write it plainly",
            field=FIELD_RULES,
        )


def _narrow(path: str) -> bool:
    return path != BELOW


def _allowed(host: Host, port: int) -> Iterator[Json]:
    for number, rule in enumerate(host.rules):
        name = f"{naming.site(host, port)}/rules[{number}]"
        for path in rule.paths or (BELOW,):
            match = _path(path)
            if host.websocket and (not rule.methods or "GET" in rule.methods):
                yield _websocket(host, port, match, name)
            headers = [_method(rule.methods)] if rule.methods else []
            yield {
                "name": name,
                "match": match | ({"headers": headers} if headers else {}),
                "route": _to(host, port, naming.site(host, port)),
                "metadata": log.verdict(log.ALLOWED, naming.site(host, port)),
            }


def _websocket(host: Host, port: int, match: Json, name: str) -> Json:
    upgrade = {"name": "upgrade", "string_match": {"exact": "websocket", "ignore_case": True}}
    to = _to(host, port, naming.plain(host, port))
    return {
        "name": name,
        "match": match | {"headers": [_method(("GET",)), upgrade]},
        "route": to | {"upgrade_configs": [{"upgrade_type": "websocket", "enabled": True}]},
        "metadata": log.verdict(log.ALLOWED, naming.site(host, port)),
    }


def _to(host: Host, port: int, cluster: str) -> Json:
    """Without a timeout of its own: event streams last. A silent one ends by the connection manager's idle timeout."""
    to: Json = {
        "cluster": cluster,
        "host_rewrite_literal": authority(host.name, port),
        "timeout": "0s",
        "retry_policy": {"retry_on": _RETRIED, "num_retries": 2},
    }
    if host.max_stream_seconds:
        to["max_stream_duration"] = {"max_stream_duration": seconds(host.max_stream_seconds)}
    return to


def authority(name: str, port: int) -> str:
    """What a client of `name` at `port` writes into Host."""
    return name if port in {PLAIN_PORT, 443} else f"{name}:{port}"


def _path(path: str) -> Json:
    if not _narrow(path):
        return {"prefix": "/"}
    if path.endswith(BELOW):
        return {"path_separated_prefix": path.removesuffix(BELOW)}
    return {"path": path}


def _method(methods: tuple[str, ...]) -> Json:
    if len(methods) == 1:
        return {"name": ":method", "string_match": {"exact": methods[0]}}
    return {"name": ":method", "string_match": {"safe_regex": {"regex": "|".join(map(re.escape, methods))}}}


def _nothing_else(host: Host, port: int) -> Json:
    allowed = _words(host.rules)
    return _refusal(
        naming.site(host, port),
        {"prefix": "/"},
        name=f"{naming.site(host, port)}/not-in-rules",
        message=f"not allowed at {naming.site(host, port)}, where {allowed} is; "
        f"{FIELD_RULES} of this host would allow it, with its method and path",
        field=FIELD_RULES,
    )


_SHOWN: Final = 5


def _words(rules: tuple[Rule, ...]) -> str:
    shown = [
        f"{' or '.join(rule.methods) or 'every method'} on {' or '.join(rule.paths) or 'every path'}" for rule in rules
    ]
    if not shown:
        return "nothing"
    return "; ".join(shown[:_SHOWN]) + ("; and more" if len(shown) > _SHOWN else "")


def _undeclared(port: int) -> Json:
    refused = _refusal(
        naming.UNDECLARED,
        {"prefix": "/"},
        name=naming.UNDECLARED,
        message=f"this host is not declared with port {port}; {FIELD_HOST} would allow it",
        field=FIELD_HOST,
    )
    return {"name": naming.UNDECLARED, "domains": ["*"], "routes": [refused]}


_LONGEST_BODY: Final = 3000
"""Envoy refuses a body of more than 4096 bytes, and the whole update with it."""


def _refusal(site: str, match: Json, *, name: str, message: str, field: str = "", status: int = 403) -> Json:
    """An answer that a client shows its user, in the shape that LLM APIs give their errors."""
    error = {"type": "egress_refused", "message": message[:_LONGEST_BODY], "rule": name}
    body = {"error": error | ({"field": field} if field else {})}
    return {
        "name": name,
        "match": match,
        "direct_response": {"status": status, "body": {"inline_string": json.dumps(body) + "\n"}},
        "response_headers_to_add": [
            {
                "header": {"key": "content-type", "value": "application/json"},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
        ],
        "metadata": log.verdict(log.REFUSED, site, field),
    }
