"""Sockets that listen."""

import socket

import pytest

from ringfence.serving.sockets import listen


@pytest.mark.parametrize("host", ["127.0.0.1", "::"])
def test_accepted_connections_hold_back_no_small_answer(host: str) -> None:
    """TCP_NODELAY, looked at on the accepted socket."""
    with (
        listen(host, 0, 8) as listener,
        socket.create_connection(("127.0.0.1", listener.getsockname()[1]), timeout=30),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_without_ipv6_it_is_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    with listen("::", 0, 8) as listener:
        assert listener.family is socket.AF_INET
