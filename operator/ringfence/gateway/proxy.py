"""The listener for clients that honour HTTPS_PROXY: CONNECT to a declared name leads to that port's own listener.

Nothing is decided here but which port it is: what is inside the tunnel is decided by the name in its TLS, as if the
client had come to the port itself.
"""

from typing import Any, Final

from . import connect, naming
from .model import Gateway
from .routes import PLAIN_PORT, refuse_undeclared
from .shapes import Json, socket, typed

PROXY: Final = "proxy"
FILE: Final = "rds-proxy.json"
_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what is listened at, and where that is asked


def listener(gateway: Gateway, settings: dict[str, Any]) -> Json:
    """HTTP/1.0, too: Python's http.client of before 3.12 asks so. `settings`: of every connection manager."""
    http10 = {"http_protocol_options": {"accept_http_10": True}}
    return typed(
        "Listener",
        name=PROXY,
        address=socket(gateway.address, gateway.proxy_port),
        per_connection_buffer_limit_bytes=gateway.limits.buffer_bytes,
        filter_chains=[connect.filter_chain(gateway, PROXY, FILE, settings | http10)],
    )


def clusters(gateway: Gateway) -> list[Json]:
    """The way to each port's own listener."""
    return [_inside(gateway, port) for port in gateway.ports if port != PLAIN_PORT]


def _inside(gateway: Gateway, port: int) -> Json:
    return connect.way(_name(port), socket(_ANY.get(gateway.address, gateway.address), port))


def _name(port: int) -> str:
    return f"inside-{port}"


def configuration(gateway: Gateway) -> Json:
    """CONNECT to declared names and ports; nothing else."""
    others = refuse_undeclared("through the proxy")
    requests = [route for route in others if "prefix" in route["match"]]
    pairs = [(host, port) for port in gateway.ports if port != PLAIN_PORT for host in gateway.at(port)]
    return typed(
        "RouteConfiguration",
        name=PROXY,
        virtual_hosts=[
            *(connect.virtual_host(naming.site(host, port), "connect", _name(port), *requests) for host, port in pairs),
            {"name": naming.UNDECLARED, "domains": ["*"], "routes": others},
        ],
    )
