"""The record of what went out and what was refused: JSON lines on standard output. Never a header's value."""

from typing import Any, Final

from .shapes import Json, extension, typed

ALLOWED: Final = "allowed"
REFUSED: Final = "refused"
NAMESPACE: Final = "ringfence"
"""Of the metadata that each route carries: its verdict, whose it is, and the field that would allow what it refuses."""

_LONGEST_NAME: Final = 253
_LONGEST_PATH: Final = 512

_REQUEST: Final = {
    "time": "%START_TIME%",
    "what": "request",
    "host": f"%REQ(:AUTHORITY):{_LONGEST_NAME}%",
    "site": f"%METADATA(ROUTE:{NAMESPACE}:site)%",
    "sni": "%REQUESTED_SERVER_NAME%",
    "method": "%REQ(:METHOD):32%",
    "path": f"%PATH(NQ):{_LONGEST_PATH}%",
    "protocol": "%PROTOCOL%",
    "verdict": f"%METADATA(ROUTE:{NAMESPACE}:verdict)%",
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
    "details": "%CONNECTION_TERMINATION_DETAILS%",
    "failure": "%DOWNSTREAM_TRANSPORT_FAILURE_REASON%",
    "flags": "%RESPONSE_FLAGS%",
    "milliseconds": "%DURATION%",
    "from": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
}


def verdict(word: str, site: str, field: str = "") -> Json:
    """Metadata of a route that the record repeats. `site`: the declared `HOST:PORT`, or `undeclared`."""
    told = {"verdict": word, "site": site} | ({"field": field} if field else {})
    return {"filter_metadata": {NAMESPACE: told}}


def of_requests() -> list[Json]:
    """One line for each request, when it has ended."""
    return [_lines(_REQUEST)]


def of_refused_connections() -> list[Json]:
    """One line for each connection that no filter chain wanted: another name, no name, no TLS."""
    return [_lines(_CONNECTION) | {"filter": {"response_flag_filter": {"flags": ["NR"]}}}]


def _lines(fields: dict[str, Any]) -> Json:
    return extension("envoy.access_loggers.stdout", "StdoutAccessLog", log_format={"json_format": fields})


def replies() -> Json:
    """What Envoy's own refusals say (`local_reply_config`). The replies of our routes have bodies of their own."""
    denied = "response.code_details.startsWith('rbac_access_denied')"
    often = "response.code == 429 && response.code_details == 'lua_response'"
    other = "response.code_details != 'direct_response'"
    address = "this name resolves to an address that the gateway does not dial: private, of the cluster, or set apart"
    return {
        "mappers": [
            _mapper(denied, address),
            _mapper(often, "more requests in a minute than this host may be asked"),
            _mapper(other, "the egress gateway refused the request, or the host did not answer it"),
        ]
    }


def _mapper(expression: str, message: str) -> Json:
    error = {"type": "egress_refused", "message": message, "details": "%RESPONSE_CODE_DETAILS%", "rule": "%ROUTE_NAME%"}
    chosen = {
        "name": "envoy.access_loggers.extension_filters.cel",
        "typed_config": typed("ExpressionFilter", expression=expression),
    }
    return {
        "filter": {"extension_filter": chosen},
        "body_format_override": {"json_format": {"error": error}, "content_type": "application/json"},
    }
