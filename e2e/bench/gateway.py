"""What the egress gateway costs: added time of a request, requests a second, memory.

No cluster: the same host, directly, terminated and tunnelled, in turn, in one run.
"""

from __future__ import annotations

import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from cluster.shell import step, wait_for
from harness.gateway import room, world
from harness.gateway.client import Client, read
from harness.gateway.running import Running
from harness.gateway.world import Site, World
from ringfence.gateway import model
from ringfence.gateway.model import Gateway, Host, Mode
from ringfence.policy.addresses import Addresses

from .numbers import ratio, summary

__all__ = ["gateway"]

MANY = 128
CLIENTS = 8
NAMES = {"terminated": "a.bench.test", "tunnelled": "b.bench.test"}
DENIED = model.denied(Addresses.of("10.244.0.0/16", "10.96.0.0/16"), [Addresses.of("203.0.113.0/24")])
REQUEST = "GET /fast HTTP/1.1\r\nhost: {}\r\n\r\n"
SYSTEM_CAS = Path("/etc/ssl/certs/ca-certificates.crt")


def gateway(requests: int, seconds: float) -> dict[str, Any]:
    """`requests`: timed of each way, one at a time, on kept connections. `seconds`: of full load for each way."""
    with (
        tempfile.TemporaryDirectory() as folder,
        world.world("ringfence-bench-gateway", Path(folder)) as internet,
    ):
        sites = [
            Site(name, address, certified=name) for name, address in zip(NAMES.values(), _addresses(), strict=False)
        ]
        internet.start(*sites)
        running = _start(internet, "one", Host(NAMES["terminated"]), Host(NAMES["tunnelled"], mode=Mode.TUNNEL))
        far = Client(internet.authorities, running.address)
        dialled: dict[str, Callable[[], ssl.SSLSocket]] = {
            "direct": lambda: Client(internet.authorities, sites[0].address).tls(NAMES["terminated"]),
            "terminated": lambda: running.client.tls(NAMES["terminated"]),
            "tunnelled": lambda: far.tls(NAMES["tunnelled"]),
        }
        wait_for("the hosts", lambda: all(_works(way, dial) for way, dial in dialled.items()), timeout=60)
        report = {"requests": _latency(dialled, requests), "rates": _rates(dialled, seconds)}
        report["rss_mib"] = {"1_host_after_load": running.rss_mib()}
        running.stop()
        report["rss_mib"] |= _memory(internet)
        return report


def _addresses() -> list[str]:
    return ["203.0.113.24", "203.0.113.25"]


def _start(internet: World, name: str, *hosts: Host) -> Running:
    running = Running(internet.place, name, Gateway(hosts, DENIED, (room.RESOLVER,)), internet.authorities)
    running.start()
    return running


def _name(way: str) -> str:
    return NAMES.get(way, NAMES["terminated"])


def _works(way: str, dial: Callable[[], ssl.SSLSocket]) -> bool:
    with closing(dial()) as connection:
        return _ask(connection, _name(way)) == 200


def _ask(connection: socket.socket, name: str) -> int:
    connection.sendall(REQUEST.format(name).encode())
    return read(connection).status


def _latency(dialled: dict[str, Callable[[], ssl.SSLSocket]], count: int) -> dict[str, Any]:
    """Interleaved, so that what else the machine does meets all of them alike."""
    open_ = {way: dial() for way, dial in dialled.items()}
    took: dict[str, list[float]] = {way: [] for way in dialled}
    with step(f"{count} requests of each way"):
        for _ in range(count):
            for way, connection in open_.items():
                started = time.perf_counter()
                _ask(connection, _name(way))
                took[way].append((time.perf_counter() - started) * 1000)
    for connection in open_.values():
        connection.close()
    told = {way: summary(times) for way, times in took.items()}
    added = {
        way: {part: round(told[way][part] - told["direct"][part], 3) for part in ("p50", "p99")}
        for way in dialled
        if way != "direct"
    }
    return {"milliseconds": told, "added_milliseconds": added}


def _rates(dialled: dict[str, Callable[[], ssl.SSLSocket]], seconds: float) -> dict[str, Any]:
    """Requests a second over kept connections. The clients are threads of this program: a part of it is theirs."""
    rates = {way: _rate(way, dial, seconds) for way, dial in dialled.items()}
    of_direct = {way: ratio(rate, rates["direct"]) for way, rate in rates.items() if way != "direct"}
    return {"requests_per_second": rates, "of_direct": of_direct, "connections": CLIENTS}


def _rate(way: str, dial: Callable[[], ssl.SSLSocket], seconds: float) -> float:
    counts: list[int] = []
    until = time.monotonic() + seconds

    def load() -> None:
        done = 0
        with closing(dial()) as connection:
            while time.monotonic() < until:
                _ask(connection, _name(way))
                done += 1
        counts.append(done)

    with step(f"{seconds:.0f} s of load, {way}"):
        threads = [threading.Thread(target=load) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return round(sum(counts) / seconds, 1)


def _memory(internet: World) -> dict[str, float]:
    """At rest, with the public roots that a real one believes."""
    found = {}
    for count in (1, MANY):
        hosts = [Host(f"host-{number}.bench.test") for number in range(count)]
        running = Running(internet.place, f"rest-{count}", Gateway(tuple(hosts), DENIED, (room.RESOLVER,)), SYSTEM_CAS)
        running.start()
        found[f"{count}_hosts_at_rest"] = running.rss_mib()
        running.stop()
    return found
