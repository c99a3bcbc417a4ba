"""Ways to one and the same host: directly, terminated and tunnelled."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cluster.shell import wait_for
from harness.gateway import room
from harness.gateway.client import Client, read
from harness.gateway.running import Running
from harness.gateway.world import Site, World
from ringfence.gateway import model
from ringfence.gateway.model import Gateway, Host, Mode
from ringfence.policy.addresses import Addresses

__all__ = ["DIRECT", "NAMES", "SITES", "TERMINATED", "TUNNELLED", "Way", "gateway_of", "start", "ways_to"]

NAMES = DIRECT, TERMINATED, TUNNELLED = "direct", "terminated", "tunnelled"
SITES = {
    TERMINATED: Site("a.bench.test", "203.0.113.24", certified="a.bench.test"),
    TUNNELLED: Site("b.bench.test", "203.0.113.25", certified="b.bench.test"),
}
"""Two processes of one program. The way past the gateway leads to the first of them."""
DENIED = model.denied(Addresses.of("10.244.0.0/16", "10.96.0.0/16"), [Addresses.of("203.0.113.0/24")])
REQUEST = "GET /fast HTTP/1.1\r\nhost: {}\r\n\r\n"


@dataclass(frozen=True)
class Way:
    """`site`: whom it leads to; `address`: where a client dials; `bundle`: PEM file, whom the client believes."""

    site: Site
    address: str
    bundle: Path

    def dial(self) -> ssl.SSLSocket:
        """A connection, to be closed by the caller."""
        return Client(self.bundle, self.address).tls(self.site.name)

    def ask(self, connection: ssl.SSLSocket) -> int:
        """The status of one short answer."""
        connection.sendall(REQUEST.format(self.site.name).encode())
        return read(connection).status

    def works(self) -> bool:
        """Whether a new connection gets an answer."""
        with closing(self.dial()) as connection:
            return self.ask(connection) == 200


def gateway_of(*hosts: Host) -> Gateway:
    """One that may reach the pretend internet."""
    return Gateway(hosts, DENIED, (room.RESOLVER,))


def start(internet: World, name: str) -> Running:
    """A gateway with both hosts."""
    terminated, tunnelled = SITES[TERMINATED].name, SITES[TUNNELLED].name
    hosts = Host(terminated), Host(tunnelled, mode=Mode.TUNNEL)
    running = Running(internet.place, name, gateway_of(*hosts), internet.authorities)
    running.start()
    return running


def ways_to(internet: World, running: Running) -> Mapping[str, Way]:
    """By name, when all of them work."""
    ways = {
        DIRECT: Way(SITES[TERMINATED], SITES[TERMINATED].address, internet.authorities),
        TERMINATED: Way(SITES[TERMINATED], running.address, running.bundle),
        TUNNELLED: Way(SITES[TUNNELLED], running.address, internet.authorities),
    }
    wait_for("the hosts", lambda: all(way.works() for way in ways.values()), timeout=60)
    return ways
