"""What is let through, request by request: route configurations, one for each listener."""

import json
import re
from collections.abc import Iterator
from typing import Final

from ringfence.policy.providers import pattern

from . import bodies, credentials, log, naming, queries, wildcards
from .log import FIELD_HOST, FIELD_KEY, FIELD_RULES, Reason
from .model import BELOW, Gateway, Host, Mode, Rule
from .shapes import Json, seconds, typed, whole_path

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

_ECHOES: Final = ("TRACE", "TRACK")
"""Never let through: they would show what the gateway adds."""
_WEBSOCKET: Final = {"name": "upgrade", "string_match": {"exact": "websocket", "ignore_case": True}}


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
    resolved = wildcards.of_requests(host, port)
    return {
        **({"typed_per_filter_config": resolved} if resolved else {}),
        "name": naming.site(host, port),
        "domains": wildcards.domains(host, port),
        "retry_policy": {"retry_on": _RETRIED, "num_retries": 2},
        "routes": [
            *_guards(host, port),
            *([_closed(host, port)] if host.closed else _allowed(host, port)),
            _nothing_else(host, port),
        ],
    }


def _closed(host: Host, port: int) -> Json:
    """Nothing that the agent did: no refusal, but a failure."""
    site, field = naming.site(host, port), FIELD_HOST if host.wildcard else FIELD_KEY
    told = log.verdict(log.FAILED, site, field)
    return _answer(f"{site}/closed", {"prefix": "/"}, told, 503, message=host.closed, field=field)


def _guards(host: Host, port: int) -> Iterator[Json]:
    """What no rule lets through."""
    site = naming.site(host, port)
    if host.wildcard:
        one_label = {"safe_regex": {"regex": wildcards.authority(host, port)}}
        yield _refusal(
            naming.UNDECLARED,
            _headers({"name": ":authority", "string_match": one_label, "invert_match": True}),
            name=f"{site}/one-label",
            message=f"{host.name} is for names with one label more; {FIELD_HOST} would allow this one",
            field=FIELD_HOST,
            reason=Reason.HOST,
        )
    if any(_narrow(path) for rule in host.rules for path in rule.paths):
        yield _refusal(
            site,
            _headers(whole_path(_TWICE_ESCAPED)),
            name=f"{site}/no-double-escapes",
            message="the path is escaped twice, or has dots with parameters: write it plainly",
            field=FIELD_RULES,
            reason=Reason.REQUEST,
        )
    for conditions in queries.refused(host.secret) if host.secret else ():
        yield _refusal(
            site,
            _headers(*conditions),
            name=f"{site}/no-key-in-query",
            message="the query holds what could be a key, or hides a parameter's name; the gateway adds the key",
            field=FIELD_KEY,
            reason=Reason.KEY,
            status=401,
        )


def _headers(*conditions: Json) -> Json:
    return {"prefix": "/", "headers": list(conditions)}


def _narrow(path: str) -> bool:
    return path != BELOW


def _allowed(host: Host, port: int) -> Iterator[Json]:
    for number, rule in enumerate(host.rules):
        name = f"{naming.site(host, port)}/rules[{number}]"
        for path in rule.paths or (BELOW,):
            yield from _rule(host, port, name, rule, path)


def _rule(host: Host, port: int, name: str, rule: Rule, path: str) -> Iterator[Json]:
    """One path of a rule: a WebSocket, the request itself; with a secret once for each place, and without it: 401."""
    methods = [_method(rule.methods) if rule.methods else _method(_ECHOES) | {"invert_match": True}]
    upgrades = host.websocket and (not rule.methods or "GET" in rule.methods)
    for place, demanded in credentials.demands(host.secret) if host.secret else [(None, [])]:
        if upgrades:
            match = _match(path, _method(("GET",)), _WEBSOCKET, *demanded)
            yield _passage(host, port, name, match, _to_websocket(host, port, place))
        to = _to(host, port, _shared(port) if wildcards.shares(host) else naming.cluster(host, port, place))
        yield _passage(host, port, name, _match(path, *methods, *demanded), to)
    if host.secret:
        places = " or ".join(map(str, host.secret.places))
        yield _refusal(
            naming.site(host, port),
            _match(path, *methods),
            name=f"{naming.site(host, port)}/no-placeholder",
            message=f"the gateway adds the key of this host: its placeholder, as the agent's variable holds it, goes "
            f"in {places} alone",
            field=FIELD_KEY,
            reason=Reason.KEY,
            status=401,
        )


def _match(path: str, *headers: Json) -> Json:
    return _path(path) | ({"headers": list(headers)} if headers else {})


def _passage(host: Host, port: int, name: str, match: Json, to: Json) -> Json:
    passage: Json = {
        "name": name,
        "match": match,
        "route": to,
        "metadata": log.verdict(log.ALLOWED, naming.site(host, port)),
    }
    filters: Json = {}
    if "upgrade_configs" in to and wildcards.dynamic(host):
        filters |= wildcards.of_websockets(host, port)
    if host.secret:
        passage["request_headers_to_remove"] = credentials.removed(host.secret)
        filters |= credentials.no_trailers()
    if host.max_body_bytes:
        filters |= bodies.at_most(host.max_body_bytes)
    if filters:
        passage["typed_per_filter_config"] = filters
    return passage


def _to_websocket(host: Host, port: int, place: int | None) -> Json:
    own = naming.cluster(host, port, place, http1=not host.wildcard)
    name = _shared(port) if wildcards.shares(host) else own
    upgrades = [{"upgrade_type": "websocket", "enabled": True}]
    return _to(host, port, name) | {"upgrade_configs": upgrades}


def _shared(port: int) -> str:
    return naming.shared(tls=port != PLAIN_PORT)


def _to(host: Host, port: int, cluster: str) -> Json:
    """Without a timeout of its own: event streams last. A silent one ends by the connection manager's idle timeout."""
    to: Json = {"cluster": cluster, "timeout": "0s"}
    if host.wildcard:  # what resolves it has put the port behind the name
        to["auto_host_rewrite"] = port in wildcards.DEFAULT_PORTS
    else:
        to["host_rewrite_literal"] = authority(host.name, port)
    if host.max_stream_seconds:
        to["max_stream_duration"] = {"max_stream_duration": seconds(host.max_stream_seconds)}
    return to


def authority(name: str, port: int) -> str:
    """What a client of `name` at `port` writes into Host."""
    return name if port in wildcards.DEFAULT_PORTS else f"{name}:{port}"


def _path(path: str) -> Json:
    if not _narrow(path):
        return {"prefix": "/"}
    if "{" in path:
        return {"safe_regex": {"regex": pattern(path)}}
    if path.endswith(BELOW):
        return {"prefix": path.removesuffix("*")}
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
        reason=Reason.REQUEST,
    )


_SHOWN: Final = 5


def _words(rules: tuple[Rule, ...]) -> str:
    every = "every method but TRACE"
    shown = [f"{' or '.join(rule.methods) or every} on {' or '.join(rule.paths) or 'every path'}" for rule in rules]
    if not shown:
        return "nothing"
    return "; ".join(shown[:_SHOWN]) + ("; and more" if len(shown) > _SHOWN else "")


def _undeclared(port: int) -> Json:
    return {"name": naming.UNDECLARED, "domains": ["*"], "routes": refuse_undeclared(f"with port {port}")}


def refuse_undeclared(how: str) -> list[Json]:
    """Routes of a virtual host that refuse all: requests, and CONNECT, which has no path."""
    message = f"this host is not declared {how}; {FIELD_HOST} would allow it"
    name = naming.UNDECLARED
    matches: tuple[Json, Json] = ({"prefix": "/"}, {"connect_matcher": {}})
    return [
        _refusal(name, match, name=name, message=message, field=FIELD_HOST, reason=Reason.HOST) for match in matches
    ]


_LONGEST_BODY: Final = 3000
"""Envoy refuses a body of more than 4096 bytes, and the whole update with it."""


def _refusal(
    site: str, match: Json, *, name: str, message: str, reason: Reason, field: str = "", status: int = 403
) -> Json:
    told = log.verdict(log.REFUSED, site, field, reason)
    return _answer(name, match, told, status, message=message, **({"field": field} if field else {}))


def _answer(name: str, match: Json, metadata: Json, status: int, *, message: str, **more: str) -> Json:
    """One that a client shows its user, in the shape that LLM APIs give their errors."""
    body = {"error": {"type": "egress_refused", "message": message[:_LONGEST_BODY], "rule": name} | more}
    return {
        "name": name,
        "match": match,
        "direct_response": {"status": status, "body": {"inline_string": json.dumps(body) + "\n"}},
        "metadata": metadata,
    }
