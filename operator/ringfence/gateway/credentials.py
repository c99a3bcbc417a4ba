"""Secrets that the agent never holds: its placeholder is demanded, what else could be a credential is taken away.

The value itself is added behind the cluster's address check, so it is bound to one host and port. Header values are
removed before that, so nothing of the agent's is left beside it.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from . import naming, queries
from .model import Gateway, Host, HostSecret, Place
from .shapes import Json, extension, typed, watched

CREDENTIALS: Final = (
    "api-key",
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-amz-security-token",
    "x-api-key",
    "x-auth-token",
    "x-goog-api-key",
)
"""Headers in which a credential could stand: taken away from requests to a host with a secret, whatever they hold."""

CARRIER: Final = "x-ringfence-secret"
"""A header that brings a value for the query from Envoy's injector to what writes it there. The agent's own is removed,
and the host gets none.
"""

_BASIC: Final = """
  sent = handle:base64Escape("USER:" .. value)
  handle:headers():replace("HEADER", "SCHEME " .. sent)
"""
_IN_QUERY: Final = """
  handle:headers():remove("HEADER")
  sent = string.gsub(value, "[^%w._~-]", function(one) return string.format("%%%02X", string.byte(one)) end)
  local path, query = string.match(handle:headers():get(":path"), "^([^?]*)%?(.*)$")
  query = string.gsub("&" .. query, "(&PARAMETER=)[^&]*", function(name) return name .. sent end, 1)
  handle:headers():replace(":path", path .. "?" .. string.sub(query, 2))
"""
"""Lua: the value in place of what the parameter has: the placeholder, or, when a request is tried again, the value."""
_SCRUB: Final = """
local kept = "ringfence.scrub"
local function decoded(text)
  return (string.gsub(text, "%%(%x%x)", function(code) return string.char(tonumber(code, 16)) end))
end
function envoy_on_request(handle)
  local value = string.sub(handle:headers():get("HEADER") or "", SKIP)
  local sent = value
  PUT
  handle:streamInfo():dynamicMetadata():set(kept, "value", value)
  handle:streamInfo():dynamicMetadata():set(kept, "sent", sent)
end
function envoy_on_response(handle)
  local metadata = handle:streamInfo():dynamicMetadata():get(kept)
  local value = metadata and metadata["value"] or ""
  if #value < 8 then return end
  local looked = {value, handle:base64Escape(value), metadata["sent"]}
  local found = {}
  for name, text in pairs(handle:headers()) do
    if string.find(text, "%", 1, true) then
      text = table.concat({text, decoded(text), decoded(string.gsub(text, "%+", " "))}, "\\n")
    end
    for _, one in ipairs(looked) do
      if string.find(text, one, 1, true) then found[name] = true end
    end
  end
  for name in pairs(found) do
    handle:headers():remove(name)
    if string.sub(name, 1, 1) ~= ":" then handle:headers():add(name, "[removed by the egress gateway]") end
  end
end
"""
"""Lua: puts the value where it goes, notes what was added, and takes each header of the answer away that holds it:
as it is, in Base64, or with percent signs.
"""


def removed(secret: HostSecret) -> list[str]:
    """Headers of the agent's that never reach the host."""
    return sorted({*CREDENTIALS, *(place.header or CARRIER for place in secret.places)})


def demands(secret: HostSecret) -> Iterator[tuple[int, list[Json]]]:
    """For each place its number, and what must hold of a request: the placeholder here, and nothing elsewhere."""
    for number, place in enumerate(secret.places):
        yield number, [_here(secret, place), *(_not_at(secret, other) for other in secret.places if other != place)]


def _here(secret: HostSecret, place: Place) -> Json:
    if place.query:
        return queries.shown(place.query, secret)
    return {"name": place.header, "string_match": {"exact": place.value(secret.placeholder)}}


def _not_at(secret: HostSecret, place: Place) -> Json:
    if place.query:
        return queries.shown(place.query, secret, there=False)
    return {"name": place.header, "present_match": False}


def filters(gateway: Gateway, place: Place, cluster: str) -> list[Json]:
    """Of a cluster, between the address check and its end: the value is added, and scrubbed from answers' headers."""
    prefixed, header = bool(place.scheme and not place.user), place.header or CARRIER
    generic = typed(
        "Generic",
        credential={
            "name": naming.secret(cluster),
            "sds_config": watched(gateway.paths.config, naming.secret_file(cluster)),
        },
        header=header,
        **({"header_value_prefix": f"{place.scheme} "} if prefixed else {}),
    )
    credential = {"name": "envoy.http.injected_credentials.generic", "typed_config": generic}
    skip = len(place.scheme) + 2 if prefixed else 1
    words = {"HEADER": header, "SKIP": str(skip), "USER": place.user, "SCHEME": place.scheme}
    words["PARAMETER"] = re.sub("([-_.])", r"%\1", place.query)
    put = _IN_QUERY if place.query else _BASIC if place.user else ""
    source = re.sub("|".join(words), lambda found: words[found[0]], _SCRUB.replace("PUT", put.strip()))
    return [
        extension(
            "envoy.filters.http.credential_injector", "CredentialInjector", overwrite=True, credential=credential
        ),
        extension("envoy.filters.http.lua", "Lua", default_source_code={"inline_string": source}),
    ]


def secrets(gateway: Gateway, host: Host) -> Iterator[tuple[str, Json]]:
    """Files that say where Envoy reads the value: the mounted file, anew after each swap.

    A newline at the value's end does not count.
    """
    if not host.secret:
        return
    value = {"filename": f"{gateway.paths.secrets}/{host.secret.file}"}
    for port in host.ports:
        for cluster, _, _ in clusters(host, port):
            secret = typed("Secret", name=naming.secret(cluster), generic_secret={"secret": value})
            yield naming.secret_file(cluster), secret


def clusters(host: Host, port: int) -> Iterator[tuple[str, Place, bool]]:
    """Of a host with a secret: a cluster for each place, and the same for WebSockets (with HTTP/1 alone)."""
    for number, place in enumerate(host.secret.places if host.secret else ()):
        for http1 in (False, True) if host.websocket else (False,):
            yield naming.cluster(host, port, number, http1=http1), place, http1


def no_trailers() -> dict[str, Any]:
    """Of a route: trailers go neither way. Those of HTTP/2 could hold a credential, or show it."""
    every = [{"remove_on_match": {"key_matcher": {"safe_regex": {"regex": ".*"}}}}]
    mutations = {"request_trailers_mutations": every, "response_trailers_mutations": every}
    return {TRAILERS: typed("HeaderMutationPerRoute", mutations=mutations)}


TRAILERS: Final = "envoy.filters.http.header_mutation"


def trailers_filter() -> Json:
    """Of a connection manager: does nothing but what a route says."""
    return extension(TRAILERS, "HeaderMutation")
