"""Sockets that listen."""

import socket

__all__ = ["listen"]


def listen(host: str, port: int, backlog: int) -> socket.socket:
    """A listening socket. `::` takes both families, and is 0.0.0.0 where there is no IPv6. Raises OSError."""
    dual = host == "::" and socket.has_dualstack_ipv6()
    where = host if dual or host != "::" else "0.0.0.0"  # noqa: S104 - its own pod's
    family = socket.AF_INET6 if ":" in where else socket.AF_INET
    listener = socket.create_server((where, port), family=family, backlog=backlog, dualstack_ipv6=dual)
    # Accepted connections take it over. asyncio would set it on sockets that say IPPROTO_TCP, but create_server makes
    # sockets that say 0; without it an answer waits for the client's delayed ACK: 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
