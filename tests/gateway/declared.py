"""Gateways of the tests."""

from harness.gateway import room
from ringfence.gateway import model
from ringfence.gateway.model import Gateway, Host, Rule
from ringfence.policy.addresses import Addresses

INTERNET = Addresses.of("203.0.113.0/24")
"""Set apart for documentation: the pretend internet lies in it, and is opened."""
DENIED = model.denied(Addresses.of("10.244.0.0/16", "10.96.0.0/16"), [INTERNET])

RULES = (
    Rule(("POST",), ("/v1/messages",)),
    Rule(("GET", "HEAD"), ("/v1/models", "/v1/models/*", "/events", "/ws")),
    Rule((), ("/any/*",)),
)
API = Host("api.llm.test", (443, 8443), rules=RULES)

UPGRADE = (
    b"upgrade: websocket\r\nconnection: upgrade\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
"""Headers of a request for a WebSocket, the last of them."""


def gateway(*hosts: Host, **more: object) -> Gateway:
    return Gateway(hosts, DENIED, (room.RESOLVER,), **more)  # type: ignore[arg-type]


EVERYTHING = gateway(
    API,
    Host("h1.test"),
    Host("plain.test", (80,)),
    Host("private.test"),
    Host("metadata.test", (80, 443)),
    Host("expired.test"),
    Host("misnamed.test"),
    Host("unknown-ca.test"),
    Host("old.test"),
    Host("nowhere.test"),
)
