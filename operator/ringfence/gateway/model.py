"""What an agent's egress gateway is made from. Names and paths are taken as already judged (`policy`)."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from ringfence.policy.addresses import Addresses
from ringfence.policy.closed import not_public

BELOW: Final = "/*"
"""The end of a path that means it and everything below it."""
WILDCARD: Final = "*."


class Mode(StrEnum):
    """Where TLS ends."""

    TERMINATE = "Terminate"
    """At the gateway: each request is decided."""
    TUNNEL = "Tunnel"
    """At the host: the gateway sees a name and bytes."""


@dataclass(frozen=True)
class Rule:
    """Requests that are let through. Empty methods or paths: all of them.

    `methods`: upper case, such as POST. `paths`: exact (`/v1/messages`), or ending in `/*`: everything below it, at a
    segment's border (`/v1/*` is /v1/x, neither /v1 nor /v1x). `/*` is every path. `{name}` stands for text within a
    segment, without the character behind it (`providers.pattern`).
    """

    methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


EVERY_REQUEST: Final = (Rule(),)


@dataclass(frozen=True)
class Place:
    """Where a client may put the placeholder: the whole of a header, or what follows `scheme` and a space in it.

    `user`: it is the password of this user, in Base64 with him (RFC 7617); "": it stands there as it is.
    `query`: it is the value of this parameter of the query, and in no header.
    """

    header: str = ""
    scheme: str = ""
    user: str = ""
    query: str = ""

    def __str__(self) -> str:
        """In words, for whoever has to put it there."""
        return self.header or f"the query's parameter {self.query}"

    def value(self, secret: str) -> str:
        """The value of the header, or of the parameter, that carries `secret`."""
        if self.user:
            secret = base64.b64encode(f"{self.user}:{secret}".encode()).decode()
        return f"{self.scheme} {secret}" if self.scheme else secret


@dataclass(frozen=True)
class HostSecret:
    """A secret that the gateway adds, and the agent never sees.

    `file`: its name in the folder of secrets. `placeholder`: what the agent holds in its stead. `places`: where the
    agent's client may put that; the real value goes into the same place.
    """

    file: str
    placeholder: str = field(repr=False)
    places: tuple[Place, ...]


@dataclass(frozen=True)
class Host:
    """One declared name. `name`: lower case, without a final dot; `*.example.com` for all names below that.

    `rules`: of Terminate alone. `websocket`: whether a GET that a rule allows may become a WebSocket.
    `tls_1_2`: whether the host may be spoken to with TLS 1.2. `max_stream_seconds`: the longest that one request
    lasts; 0: no bound. `max_body_bytes`: of one request; 0: no bound. `requests_per_minute`: 0: no bound. `closed`: why
    nothing is let through for the time being, whatever the rules are; "": they count.
    """

    name: str
    ports: tuple[int, ...] = (443,)
    mode: Mode = Mode.TERMINATE
    rules: tuple[Rule, ...] = EVERY_REQUEST
    secret: HostSecret | None = None
    websocket: bool = True
    tls_1_2: bool = False
    max_stream_seconds: int = 3600
    max_body_bytes: int = 0
    requests_per_minute: int = 0
    closed: str = ""
    shares: bool = True
    """Whether it may go by a cluster that makes one for each name when it is used."""

    @property
    def wildcard(self) -> bool:
        """Whether the name stands for all names below it."""
        return self.name.startswith(WILDCARD)


@dataclass(frozen=True)
class Paths:
    """Where things are mounted in the gateway's container. All are folders that a kubelet swaps, but the last two."""

    config: str = "/etc/ringfence/gateway/config"
    certificate: str = "/etc/ringfence/gateway/certificate"
    """Of each host HOST.crt and HOST.key, of the leaf."""
    secrets: str = "/etc/ringfence/gateway/secrets"
    """One file for each secret. Each Secret is a folder of its own inside: `HostSecret.file` is `FOLDER/NAME`."""
    upstream: str = "/etc/ringfence/proxy"
    """The file with the credentials for a corporate proxy (`UPSTREAM_CREDENTIALS`)."""
    authorities: str = "/etc/ssl/certs/ca-certificates.crt"
    """PEM: whom the gateway believes a host's certificate."""
    admin: str = "/run/ringfence/admin.sock"
    """A socket of Envoy's administration, in a folder that no other container mounts."""


@dataclass(frozen=True)
class Limits:
    """What one gateway spends, whatever the agent does."""

    connections: int = 2048
    """Open at a time from the agent, over all listeners."""
    streams: int = 100
    """Requests at a time on one HTTP/2 connection, from the agent and towards a host."""
    upstream_requests: int = 2048
    """At a time towards one host and port; the same number bounds its connections."""
    buffer_bytes: int = 262144
    """Held of one connection before reading stops."""
    header_kib: int = 60
    headers: int = 100
    idle_seconds: int = 300
    """Without a byte in either direction, a connection or a request ends."""
    connect_seconds: int = 5
    heap_bytes: int = 0
    """At 95 % of it new requests are refused; 0: not watched."""


NOT_BEHIND: Final = "names below a wildcard are not reached through the corporate proxy: declare each name"


@dataclass(frozen=True)
class Upstream:
    """A corporate proxy, through which all hosts are reached. `addresses`: of IP, where any of them will do.

    `credentials`: whether it is given some; the file is `Paths.upstream`'s.
    """

    addresses: tuple[str, ...]
    port: int
    credentials: bool = False


@dataclass(frozen=True)
class Gateway:
    """One agent's gateway. `denied`: networks that it never dials, whatever a name resolves to (see `denied`).

    `resolvers`: addresses of DNS servers, `ADDRESS` or `ADDRESS:PORT`; empty: those of the container.
    `address`: where it listens. `observe_port`: answers GET /ready and /stats/prometheus, and nothing else.
    `proxy_port`: where it takes CONNECT; 0: nowhere. `reports_to`: who learns of refusals,
    `ADDRESS:PORT`; empty: nobody.
    `upstream`: None: hosts are dialled.
    """

    hosts: tuple[Host, ...]
    denied: tuple[str, ...]
    resolvers: tuple[str, ...] = ()
    name: str = "gateway"
    address: str = "0.0.0.0"  # noqa: S104 - its own pod's
    observe_port: int = 15021
    proxy_port: int = 0
    reports_to: str = ""
    upstream: Upstream | None = None
    paths: Paths = field(default_factory=Paths)
    limits: Limits = field(default_factory=Limits)

    @property
    def ports(self) -> tuple[int, ...]:
        """Each declared port once, in order: one listener each."""
        return tuple(sorted({port for host in self.hosts for port in host.ports}))

    def at(self, port: int) -> tuple[Host, ...]:
        """The hosts that are declared with this port, by name."""
        found = sorted((host for host in self.hosts if port in host.ports), key=lambda host: host.name)
        return tuple(map(_behind, found) if self.upstream else found)


def _behind(host: Host) -> Host:
    """A host that is reached through a proxy: which address to ask for is known of names that are declared alone."""
    return replace(host, shares=False, closed=NOT_BEHIND if host.wildcard else host.closed)


def denied(cluster: Addresses, opened: Iterable[Addresses] = ()) -> tuple[str, ...]:
    """Networks that a gateway never dials, as `not_public` says."""
    return tuple(map(str, not_public(cluster, opened).networks()))
