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


def plain(host: Host, port: int) -> str:
    """The cluster of the same that speaks HTTP/1 alone, for WebSockets."""
    return f"{site(host, port)}/http1"


def routes(port: int) -> str:
    """The route configuration of a listener."""
    return f"port-{port}"


def routes_file(port: int) -> str:
    """The file of that: it holds this one alone, as Envoy wants it."""
    return f"rds-{port}.json"


def keyed(cluster: str, place: int) -> str:
    """The cluster that adds the key at this place of its list."""
    return f"{cluster}/key-{place}"
