"""The names of what Envoy is given: they stand in its log, its figures and its messages."""

from typing import Final

from .model import WILDCARD, Host

BOOTSTRAP: Final = "bootstrap.json"
LISTENERS: Final = "lds.json"
CLUSTERS: Final = "cds.json"
ADDRESS_FILE: Final = "ecds-addresses.json"
ADMIN: Final = "admin"
UNDECLARED: Final = "undeclared"
"""The virtual host of all names that are not declared."""


def leaf_file(host: str) -> str:
    """The file by which Envoy finds a host's certificate: it holds this one alone, as Envoy wants it."""
    return f"sds-{_of_file(host)}.json"


def certificate_file(host: str) -> str:
    """PEM, in the folder of certificates."""
    return f"{_of_file(host)}.crt"


def key_file(host: str) -> str:
    """PEM, beside it."""
    return f"{_of_file(host)}.key"


def leaf(host: str) -> str:
    """The certificate's name for Envoy."""
    return f"leaf/{host}"


def _of_file(host: str) -> str:
    """A name of a file, and of a Secret's key. No host's name has an underscore."""
    return host.replace(WILDCARD, "_any.")


def site(host: Host, port: int) -> str:
    """`HOST:PORT`: of a virtual host and of a cluster."""
    return f"{host.name}:{port}"


def cluster(host: Host, port: int, place: int | None = None, *, http1: bool = False) -> str:
    """`HOST:PORT`, with what sets it apart: HTTP/1 alone (for WebSockets), the place where the secret goes."""
    return site(host, port) + ("/http1" if http1 else "") + ("" if place is None else f"/key-{place}")


def shared(*, tls: bool) -> str:
    """The cluster of those hosts that share one."""
    return "hosts" if tls else "hosts-plain"


def routes(port: int) -> str:
    """The route configuration of a listener."""
    return f"port-{port}"


def routes_file(port: int) -> str:
    """The file of that: it holds this one alone, as Envoy wants it."""
    return f"rds-{port}.json"


def manager_file(port: int) -> str:
    """The file of what decides a listener's requests: it holds this one alone, as Envoy wants it."""
    return f"ecds-port-{port}.json"


def secret(cluster: str) -> str:
    """Of the secret that a cluster adds. Each has its own: of several, Envoy takes only one while it is missing."""
    return "key-" + cluster.replace(":", "-").replace("/", "-")


def secret_file(cluster: str) -> str:
    """The file that says where that is."""
    return f"sds-{secret(cluster)}.json"
