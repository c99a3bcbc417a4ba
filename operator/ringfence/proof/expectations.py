"""One attempt of a verification: what is tried, and what must come of it."""

from dataclasses import dataclass
from typing import Any, Final, Literal

Want = Literal["open", "closed"]
NODE: Final = "$NODE_ADDRESS"
"""In place of an address: that of the node on which the attempts are made."""
SERVICE_HOST: Final = "$KUBERNETES_SERVICE_HOST"
"""The same of the API server's Service, as each pod is told it."""


@dataclass(frozen=True)
class Connect:
    """A TCP connection, or a datagram that is to be sent back. `address`: IP, or NODE, or SERVICE_HOST."""

    address: str
    port: int
    protocol: Literal["TCP", "UDP"] = "TCP"

    @property
    def told(self) -> str:
        address = {NODE: "node", SERVICE_HOST: "service"}.get(self.address, self.address)
        place = f"[{address}]:{self.port}" if ":" in address else f"{address}:{self.port}"
        return place if self.protocol == "TCP" else f"{place}/UDP"

    def as_json(self) -> dict[str, Any]:
        """As `packets.trying` reads it."""
        return {"do": "connect", "protocol": self.protocol, "address": self.address, "port": self.port}


@dataclass(frozen=True)
class Handshake:
    """A TLS handshake for the name `host`, whose certificate is of an authority that the agent trusts."""

    address: str
    port: int
    host: str

    @property
    def told(self) -> str:
        return f"{self.host}:{self.port}"

    def as_json(self) -> dict[str, Any]:
        """As `packets.trying` reads it."""
        return {"do": "handshake", "address": self.address, "port": self.port, "host": self.host}


@dataclass(frozen=True)
class Query:
    """A question to a DNS server, by UDP."""

    address: str

    @property
    def told(self) -> str:
        return f"{self.address}/UDP"

    def as_json(self) -> dict[str, Any]:
        """As `packets.trying` reads it."""
        return {"do": "query", "address": self.address}


@dataclass(frozen=True)
class Ask:
    """A question to the API server, by the agent's own token: may I do that? `namespace`, `name`: empty: any."""

    verb: str
    resource: str
    group: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def told(self) -> str:
        resource = f"{self.resource}.{self.group}" if self.group else self.resource
        name = f"/{self.name}" if self.name else ""
        return f"{self.verb} {resource}{name} in {self.namespace or 'the cluster'}"

    def as_json(self) -> dict[str, Any]:
        """As `packets.trying` reads it."""
        resource, _, subresource = self.resource.partition("/")
        said = {"verb": self.verb, "group": self.group, "resource": resource, "subresource": subresource}
        said |= {"namespace": self.namespace, "name": self.name}
        return {"do": "ask", "about": {key: text for key, text in said.items() if text}}


@dataclass(frozen=True)
class Read:
    """A real call: GET of a path of the API server, whose answer nobody looks at but for its status."""

    path: str

    @property
    def told(self) -> str:
        return f"GET {self.path.partition('?')[0]}"

    def as_json(self) -> dict[str, Any]:
        """As `packets.trying` reads it."""
        return {"do": "read", "path": self.path}


@dataclass(frozen=True)
class File:
    """A file that can be opened."""

    path: str

    @property
    def told(self) -> str:
        return self.path

    def as_json(self) -> dict[str, Any]:
        """As `packets.trying` reads it."""
        return {"do": "open", "path": self.path}


Try = Connect | Handshake | Query | Ask | Read | File


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """One attempt. `about`: which kind of place it is, in a word. `why`: half a sentence for a person.

    `sure`: whether the place is known to answer whoever gets there. Where it is not, silence proves little: nothing is
    wrong with an open way that is silent, and a closed way may be open all the same.
    """

    about: str
    what: Try
    want: Want
    why: str
    sure: bool = True

    @property
    def id(self) -> str:
        """The same for the same attempt, and of no other one in a table."""
        return f"{self.about}: {self.what.told}"

    def as_json(self) -> dict[str, Any]:
        """As `packets.trying` reads it."""
        said = {"id": self.id, "want": self.want, "why": self.why, **self.what.as_json()}
        return said if self.sure else said | {"sure": False}
