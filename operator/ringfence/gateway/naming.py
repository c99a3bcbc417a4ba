"""The names of what Envoy is given: they stand in its log, its figures and its messages."""

from typing import Final

from .model import Host

BOOTSTRAP: Final = "bootstrap.json"
LISTENERS: Final = "lds.json"
CLUSTERS: Final = "cds.json"
LEAF_FILE: Final = "sds-leaf.json"
ADDRESS_FILE: Final = "ecds-addresses.json"
LEAF: Final = "leaf"
ADMIN: Final = "admin"
UNDECLARED: Final = "undeclared"
"""The virtual host of all names that are not declared."""


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
