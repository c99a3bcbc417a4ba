"""The record of what went out and what was refused: JSON lines on standard output. Never a header's value."""

from enum import StrEnum
from typing import Any, Final

from . import naming, reports
from .shapes import Json, extension

ALLOWED: Final = "allowed"
REFUSED: Final = "refused"
LIMITED: Final = "limited"
FAILED: Final = "failed"
VERDICTS: Final = (ALLOWED, REFUSED, LIMITED, FAILED)
"""Let through, and answered by the host; not allowed; more, or longer, than is allowed; not answered by the host."""
NAMESPACE: Final = "ringfence"
"""Of the metadata that each route carries: its verdict, whose it is, and the field that would allow what it refuses."""


FIELD_HOST: Final = "network.egress[].host"
FIELD_RULES: Final = "network.egress[].rules"
FIELD_KEY: Final = "secrets[].delivery.gateway"
"""What would allow what is refused."""


class Reason(StrEnum):
    """Why something is refused: as `rule` in ringfence_violations_total."""

    HOST = "HostNotDeclared"
    REQUEST = "RequestNotAllowed"
    KEY = "KeyNotAllowed"
    ADDRESS = "AddressNotAllowed"
    MALFORMED = "RequestMalformed"


FIELDS: Final = {Reason.HOST: FIELD_HOST, Reason.REQUEST: FIELD_RULES, Reason.KEY: FIELD_KEY}
"""By reason, the field that would allow it; of others there is none."""
_LONGEST_NAME: Final = 253
_LONGEST_PATH: Final = 512

_DETAILS: Final = "response.code_details"
_IS_ADDRESS: Final = f"{_DETAILS}.startsWith('rbac_access_denied')"
_IS_OURS: Final = f"{_DETAILS} == 'direct_response'"
_IS_OFTEN: Final = f"response.code == 429 && {_DETAILS} == 'lua_response'"
_IS_LIMIT: Final = f"{_IS_OFTEN} || {_DETAILS} == 'request_payload_too_large'"
_NO_ROUTE: Final = "!has(xds.route_name)"
_ROUTE: Final = f"xds.route_metadata.filter_metadata.{NAMESPACE}"


def _chosen(*cases: tuple[str, str], otherwise: str) -> str:
    """An expression (CEL): the value of the first case whose condition holds. Values are expressions, too."""
    return " : ".join([*(f"({condition}) ? {value}" for condition, value in cases), otherwise])


def _word(text: str) -> str:
    return f"'{text}'"


VERDICT: Final = _chosen(
    (f"{_DETAILS} == 'via_upstream'", _word(ALLOWED)),
    (_IS_ADDRESS, _word(REFUSED)),
    (_IS_OURS, f"{_ROUTE}.verdict"),
    (f"{_IS_LIMIT} || {_DETAILS} == 'overload'", _word(LIMITED)),
    # Envoy read no request from it, or none that it would look for a route for.
    (_NO_ROUTE, _word(REFUSED)),
    (f"{_DETAILS}.startsWith('downstream')", _word(ALLOWED)),  # the agent itself went away
    otherwise=_word(FAILED),
)
"""What became of a request. An answer of our own routes (`direct_response`) says itself what it is."""
_IS_REFUSED: Final = f"({VERDICT}) == '{REFUSED}'"
_REASON: Final = _chosen(
    (_IS_ADDRESS, _word(Reason.ADDRESS)),
    (_NO_ROUTE, _word(Reason.MALFORMED)),
    otherwise=f"{_ROUTE}.reason",
)
"""Of a refusal; nothing otherwise: the metadata of what is let through has none."""
_DECLARED: Final = _chosen((_NO_ROUTE, _word(naming.UNDECLARED)), otherwise=f"{_ROUTE}.declared")


def _cel(expression: str) -> str:
    return f"%CEL({expression})%"


_REQUEST: Final = {
    "time": "%START_TIME%",
    "what": "request",
    "host": f"%REQ(:AUTHORITY):{_LONGEST_NAME}%",
    "site": f"%METADATA(ROUTE:{NAMESPACE}:site)%",
    "sni": "%REQUESTED_SERVER_NAME%",
    "method": "%REQ(:METHOD):32%",
    "path": f"%PATH(NQ):{_LONGEST_PATH}%",
    "protocol": "%PROTOCOL%",
    "verdict": _cel(VERDICT),
    "reason": _cel(_REASON),
    "field": f"%METADATA(ROUTE:{NAMESPACE}:field)%",
    "rule": "%ROUTE_NAME%",
    "status": "%RESPONSE_CODE%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "flags": "%RESPONSE_FLAGS%",
    "received": "%BYTES_RECEIVED%",
    "sent": "%BYTES_SENT%",
    "milliseconds": "%DURATION%",
    "upstream": "%UPSTREAM_HOST%",
    "failure": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    "from": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
}
_CONNECTION: Final = {
    "time": "%START_TIME%",
    "what": "connection",
    "sni": "%REQUESTED_SERVER_NAME%",
    "port": "%DOWNSTREAM_LOCAL_PORT%",
    "verdict": REFUSED,
    "reason": Reason.HOST,
    "field": FIELD_HOST,
    "details": "%CONNECTION_TERMINATION_DETAILS%",
    "failure": "%DOWNSTREAM_TRANSPORT_FAILURE_REASON%",
    "flags": "%RESPONSE_FLAGS%",
    "milliseconds": "%DURATION%",
    "from": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
}

_UPSTREAM_PROXY: Final = {
    "time": "%START_TIME%",
    "what": "upstream-proxy",
    "address": f"%REQ(:AUTHORITY):{_LONGEST_NAME}%",
    "status": "%RESPONSE_CODE%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "flags": "%RESPONSE_FLAGS%",
    "milliseconds": "%DURATION%",
    "upstream": "%UPSTREAM_HOST%",
}


def verdict(word: str, site: str, field: str = "", reason: Reason | None = None) -> Json:
    """Metadata of a route that the record repeats. `site`: the declared `HOST:PORT`, or `undeclared`."""
    told = {"verdict": word, "site": site, "declared": site.rpartition(":")[0] or site}
    told |= {"field": field} if field else {}
    told |= {"reason": reason} if reason else {}
    return {"filter_metadata": {NAMESPACE: told}}


def of_requests(*, reported: bool = False) -> list[Json]:
    """One line for each request, when it has ended, and one more in the figures. `reported`: refusals, by `reports`."""
    refusals = [reports.logger(_cel(_REASON)) | _only(_IS_REFUSED)] if reported else []
    return [_lines(_REQUEST), _figures(_cel(_DECLARED), _cel(VERDICT)), *refusals]


def of_connects(*, reported: bool = False) -> list[Json]:
    """The same for what leads to another part of the gateway, which counts it there: here refusals alone."""
    line, figures, *refusals = of_requests(reported=reported)
    return [line, figures | _only(_IS_REFUSED), *refusals]


def of_refused_connections(*, reported: bool = False) -> list[Json]:
    """One line for each connection that no filter chain wanted: another name, no name, no TLS. So in the figures."""
    unwanted = {"filter": {"response_flag_filter": {"flags": ["NR"]}}}
    loggers = [_lines(_CONNECTION), _figures(naming.UNDECLARED, REFUSED)]
    loggers += [reports.logger(Reason.HOST)] if reported else []
    return [logger | unwanted for logger in loggers]


def of_upstream_proxy() -> list[Json]:
    """One line for each address to which a corporate proxy made no connection. The request's own line has its host."""
    return [_lines(_UPSTREAM_PROXY) | _only("response.code != 200")]


def of_versions(*, reported: bool = False) -> list[Json]:
    """Nothing but what `reports` sends: that the gateway is not ready, because Envoy refused a file."""
    return [reports.logger(reports.NOT_IN_FORCE) | _only(f"{_DETAILS} == 'lua_response'")] if reported else []


def _lines(fields: dict[str, Any]) -> Json:
    return extension("envoy.access_loggers.stdout", "StdoutAccessLog", log_format={"json_format": fields})


_OWN_BODY: Final = "%LOCAL_REPLY_BODY%"
FIGURES: Final = "ringfence"
"""What the names of our own figures begin with."""
REQUESTS: Final = "egress_requests_total"


def _figures(host: str, verdict: str) -> Json:
    """Counts what was asked for. Both labels are words of the configuration: an agent cannot make more of them."""
    tags = [{"name": "host", "value_format": host}, {"name": "verdict", "value_format": verdict}]
    counter = {"stat": {"name": REQUESTS, "tags": tags}, "value_fixed": 1}
    return extension("envoy.access_loggers.stats", "Stats", stats_scope={"prefix": FIGURES}, counters=[counter])


def replies() -> Json:
    """What Envoy's own refusals say (`local_reply_config`). The replies of our routes have bodies of their own.

    That those are JSON is said here once: routes are many.
    """
    address = "this name resolves to an address that the gateway does not dial: private, of the cluster, or set apart"
    return {
        "mappers": [
            _mapper(_IS_ADDRESS, address),
            _mapper(_IS_OFTEN, "more requests in a minute than this host may be asked"),
            _mapper(f"!({_IS_OURS})", "the egress gateway refused the request, or the host did not answer it"),
            _only(_IS_OURS) | _shown(text_format_source={"inline_string": _OWN_BODY}),
        ]
    }


def _only(expression: str) -> Json:
    """What a logger, or a mapper, is for."""
    name = "envoy.access_loggers.extension_filters.cel"
    return {"filter": {"extension_filter": extension(name, "ExpressionFilter", expression=expression)}}


def _mapper(expression: str, message: str) -> Json:
    error = {"type": "egress_refused", "message": message, "details": "%RESPONSE_CODE_DETAILS%", "rule": "%ROUTE_NAME%"}
    return _only(expression) | _shown(json_format={"error": error})


def _shown(**body: Json) -> Json:
    return {"body_format_override": body | {"content_type": "application/json"}}
