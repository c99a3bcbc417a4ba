"""What Envoy would refuse of a gateway's files, as far as it can be told without it.

One bad route makes Envoy refuse the whole file, and go on with the one before: an agent would keep what it has lost.
So a controller asks here first, and writes nothing where something is found.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from . import naming, versions
from .model import BELOW, WILDCARD, Gateway, Host, Mode
from .routes import PLAIN_PORT

LONGEST_NAME: Final = 253
LONGEST_BODY: Final = 4096
"""Of a direct response, in bytes (RouteConfiguration.max_direct_response_body_size_bytes)."""
MOST_BYTES: Final = 1 << 20
"""Of all files together: what a Secret holds (kubernetes/api, `MaxSecretSize`)."""
_NAME: Final = re.compile(r"(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_METHOD: Final = re.compile(r"[A-Z]{1,32}")
_PATH: Final = re.compile(r"/[!$&'()*+,:;=@A-Za-z0-9._~/%-]*")
_FILE: Final = re.compile(r"[-._a-zA-Z0-9]{1,253}/[-._a-zA-Z0-9]{1,253}")
_HEADER: Final = re.compile(r"[a-z0-9-]{1,64}")
_USER: Final = re.compile(r"[A-Za-z0-9@._+-]{1,128}")
"""It stands in a text of Lua, and before the colon of RFC 7617."""
_PARAMETER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""It stands in a text of Lua, and in an expression."""
_PORTS: Final = range(1, 65536)


def of_gateway(gateway: Gateway) -> list[str]:
    """What is wrong with the model, in words; empty: nothing."""
    return list(_of_gateway(gateway))


def problems(files: Mapping[str, str]) -> list[str]:
    """What is wrong with files, as `FILE: what`; empty: nothing that can be told without Envoy."""
    return [f"{name}: {what}" for name in sorted(files) for what in _of_file(name, files[name])] + list(_missing(files))


def too_large(files: Mapping[str, bytes]) -> str | None:
    """Why they do not fit into a Secret, in words; None: they do."""
    size = sum(map(len, files.values()))
    if size <= MOST_BYTES:
        return None
    return (
        f"its configuration comes to {size} bytes, and a Secret holds {MOST_BYTES}: name fewer hosts, or fewer ports, "
        "rules and paths of them; about 128 hosts with one port each and no rules fit"
    )


def _of_gateway(gateway: Gateway) -> Iterator[str]:
    declared = Counter(naming.site(host, port) for host in gateway.hosts for port in set(host.ports))
    yield from (f"{site} is declared {times} times" for site, times in declared.items() if times > 1)
    own = [port for port in (gateway.observe_port, gateway.proxy_port) if port]
    yield from (f"port {port} is the gateway's own" for port in own if port in gateway.ports)
    for host in gateway.hosts:
        yield from (f"{host.name}: {what}" for what in _of_host(host))


def _of_host(host: Host) -> Iterator[str]:
    if not _NAME.fullmatch(host.name) or len(host.name) > LONGEST_NAME:
        yield "not a DNS name in lower case"
    if not host.ports:
        yield "no port"
    yield from (f"{port} is not a port" for port in host.ports if port not in _PORTS)
    if host.mode is Mode.TUNNEL and host.secret:
        yield "a secret needs Terminate: the gateway cannot add one inside of a tunnel"
    if host.mode is Mode.TUNNEL and PLAIN_PORT in host.ports:
        yield f"port {PLAIN_PORT} has no TLS to tunnel"
    if host.max_body_bytes and host.websocket:
        yield "what a WebSocket carries is not bounded: max_body_bytes needs websocket off"
    for rule in host.rules:
        yield from (
            f"{method!r} is not a method in upper case" for method in rule.methods if not _METHOD.fullmatch(method)
        )
        yield from (f"{path!r} is not a path" for path in rule.paths if not _right_path(path))
    yield from _of_key(host)


def _right_path(path: str) -> bool:
    """As Envoy compares it: normalised, without a query, and with `*` nowhere but at the end."""
    plain = re.sub(r"\{[a-z]+\}", "x", path).removesuffix(BELOW)
    if not plain:
        return path == BELOW
    segments = plain.split("/")[1:]
    middle = segments if path.endswith(BELOW) else segments[:-1]
    return bool(_PATH.fullmatch(plain)) and "*" not in plain and "" not in middle and not {".", ".."} & set(segments)


def _of_key(host: Host) -> Iterator[str]:
    if not host.secret:
        return
    if not _FILE.fullmatch(host.secret.file) or ".." in host.secret.file.split("/"):
        yield "the secret's file is not FOLDER/NAME"
    if not host.secret.places:
        yield "the secret has no place"
    if host.name.startswith(WILDCARD):
        yield "a secret is for one name, not for all below one"
    yield from (
        f"{place.header!r} is not a header in lower case"
        for place in host.secret.places
        if not place.query and not _HEADER.fullmatch(place.header)
    )
    yield from (
        f"{place.query!r} is no parameter of a query, or a header is named beside it"
        for place in host.secret.places
        if place.query and (place.header or place.scheme or not _PARAMETER.fullmatch(place.query))
    )
    yield from (
        f"{place.user!r} is no user of {place.header}"
        for place in host.secret.places
        if place.user and not (_USER.fullmatch(place.user) and place.scheme)
    )
    twice = [place for place, times in Counter(map(str, host.secret.places)).items() if times > 1]
    yield from (f"the secret has two places in {place}" for place in twice)


def _of_file(name: str, text: str) -> Iterator[str]:
    if len(name) > LONGEST_NAME:
        yield f"a name of {len(name)} characters, where a ConfigMap takes {LONGEST_NAME}"
    if name == versions.FILE:
        return
    try:
        content = json.loads(text)
    except ValueError as error:
        yield f"not JSON: {error}"
        return
    found: list[dict[str, Any]] = content.get("resources", [])
    twice = [one for one, times in Counter(resource.get("name") for resource in found).items() if times > 1]
    yield from (f"two are named {one}" for one in twice)
    if name.startswith("rds-"):
        if len(found) != 1:
            yield f"{len(found)} route configurations, where Envoy takes one"
        for configuration in found:
            yield from _of_routes(configuration)
    if name == naming.LISTENERS:
        for listener in found:
            yield from _of_chains(listener)


def _of_routes(configuration: Mapping[str, Any]) -> Iterator[str]:
    hosts = configuration.get("virtual_hosts", [])
    yield from _twice("virtual hosts are named", (host["name"] for host in hosts))
    yield from _twice("virtual hosts are for", (domain.lower() for host in hosts for domain in host["domains"]))
    for host in hosts:
        if not host["routes"]:
            yield f"{host['name']} has no route"
        for route in host["routes"]:
            yield from (f"route {route.get('name')}: {what}" for what in _of_route(route))


def _of_route(route: Mapping[str, Any]) -> Iterator[str]:
    match = route["match"]
    kinds = {"prefix", "path", "safe_regex", "connect_matcher"} & set(match)
    if len(kinds) != 1:
        yield f"matches by {len(kinds)} of the ways, where Envoy takes one"
    direct = route.get("direct_response")
    if direct and not 200 <= direct["status"] < 600:  # noqa: PLR2004 - what Envoy takes
        yield f"status {direct['status']}"
    if direct and len(direct.get("body", {}).get("inline_string", "").encode()) > LONGEST_BODY:
        yield f"its body is longer than {LONGEST_BODY} bytes"
    if bool(direct) == ("route" in route):
        yield "neither sends on nor answers, or both"


def _of_chains(listener: Mapping[str, Any]) -> Iterator[str]:
    chains = listener.get("filter_chains", [])
    if not chains:
        yield f"{listener['name']} has no filter chain"
    yield from _twice("filter chains are named", (chain.get("name", "") for chain in chains))
    matches = (json.dumps(chain.get("filter_chain_match", {}), sort_keys=True) for chain in chains)
    yield from _twice("filter chains match", matches)


def _twice(what: str, found: Iterable[str]) -> Iterator[str]:
    yield from (f"{times} {what} {one}" for one, times in Counter(found).items() if times > 1)


def _missing(files: Mapping[str, str]) -> Iterator[str]:
    """Files that others read."""
    wanted = {naming.BOOTSTRAP, naming.LISTENERS, naming.CLUSTERS}
    for text in files.values():
        wanted |= {found.rpartition("/")[2] for found in re.findall(r'"path":"([^"]+\.json)"', text)}
    yield from (f"{name}: missing" for name in sorted(wanted - set(files)))
