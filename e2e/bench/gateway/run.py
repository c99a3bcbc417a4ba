"""All of it, from an empty network namespace to the report."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from cluster import programs
from harness.gateway import world
from harness.gateway.running import Running
from harness.gateway.world import World
from ringfence.gateway.model import Host

from . import trials
from .way import SITES, gateway_of, start, ways_to

__all__ = ["gateway"]

MANY = 128
SYSTEM_CAS = Path("/etc/ssl/certs/ca-certificates.crt")


def gateway(requests: int, seconds: float, *, mib: int, streams: int) -> dict[str, Any]:
    """`requests`: timed of each way, one at a time, on kept connections. `seconds`: of full load for each way.

    `mib`: moved down and up by each way. `streams`: open at once.
    """
    programs.fortio()  # before anything is inside, from where no registry is reached
    with (
        tempfile.TemporaryDirectory() as folder,
        world.world("ringfence-bench-gateway", Path(folder)) as internet,
    ):
        internet.start(*SITES.values())
        running = start(internet, "one")
        ways = ways_to(internet, running)
        report = {"requests": trials.latency(ways, requests)}
        report["rates"] = trials.rates(internet.place, ways, running.pid, seconds)
        report |= trials.transfers(internet.place, ways, running.pid, mib)
        report["rss_mib"] = {"1_host_after_load": running.rss_mib()}
        running.stop()
        report["streams"] = trials.streams(internet, streams)
        report["rss_mib"] |= _memory(internet)
        return report


def _memory(internet: World) -> dict[str, float]:
    """At rest, with the public roots that a real one believes."""
    found = {}
    for count in (1, MANY):
        hosts = [Host(f"host-{number}.bench.test") for number in range(count)]
        running = Running(internet.place, f"rest-{count}", gateway_of(*hosts), SYSTEM_CAS)
        running.start()
        found[f"{count}_hosts_at_rest"] = running.rss_mib()
        running.stop()
    return found
