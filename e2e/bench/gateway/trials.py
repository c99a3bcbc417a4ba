"""Requests, transfers and streams by each way."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

from bench.numbers import ratio, summary
from bench.scale.usage import Usage, memory
from cluster.shell import step
from harness.gateway.room import Room
from harness.gateway.world import World

from .load import Load, load
from .way import DIRECT, NAMES, Way, start, ways_to

__all__ = ["beside_direct", "latency", "rates", "streamed", "streams", "transfers"]

CLIENTS = 8
ROUNDS = 3
MB = 1_000_000
MIB = 2**20
UPLOADED_MIB = 4
"""In one request. fortio holds it in memory, and its report has it once more."""
EVENTS, EVENT_MILLISECONDS = 40, 500
"""Of each stream: 20 s, so that all of them are open before the first one ends."""


def latency(ways: Mapping[str, Way], count: int) -> dict[str, Any]:
    """Milliseconds, one request at a time. Interleaved, so that what else the machine does meets all ways alike."""
    open_ = {name: way.dial() for name, way in ways.items()}
    took: dict[str, list[float]] = {name: [] for name in ways}
    with step(f"{count} requests of each way"):
        for _ in range(count):
            for name, connection in open_.items():
                started = time.perf_counter()
                ways[name].ask(connection)
                took[name].append((time.perf_counter() - started) * 1000)
    for connection in open_.values():
        connection.close()
    told = {name: summary(times) for name, times in took.items()}
    added = {
        name: {part: round(told[name][part] - told[DIRECT][part], 3) for part in ("p50", "p99")}
        for name in ways
        if name != DIRECT
    }
    return {"milliseconds": told, "added_milliseconds": added}


def rates(place: Room, ways: Mapping[str, Way], envoy: int, seconds: float) -> dict[str, Any]:
    """Requests a second over kept connections. `envoy`: the gateway's process."""

    def fast(way: Way) -> Load:
        return load(place, way, "/fast", "-c", str(CLIENTS), "-t", f"{seconds}s").whole(CLIENTS)

    found, of_core = {}, {}
    for name, way in ways.items():
        with step(f"{seconds:.0f} s of load, {name}"):
            told, cores = _beside(envoy, fast, way)
        found[name] = round(told.per_second, 1)
        if name != DIRECT:
            of_core[name] = ratio(told.answered, cores)
    return {**beside_direct("requests_per_second", found), "requests_per_core_second": of_core, "connections": CLIENTS}


def transfers(place: Room, ways: Mapping[str, Way], envoy: int, mib: int) -> dict[str, dict[str, Any]]:
    """MB a second over one connection: "download" of one body; "upload" of several, `mib` altogether."""
    body = place.folder / "body"
    body.write_bytes(bytes(UPLOADED_MIB * MIB))
    count = max(1, mib // UPLOADED_MIB)
    mib = count * UPLOADED_MIB
    several = ["-c", "1", "-n", str(count), "-payload-file", str(body)]

    def download(way: Way) -> Load:
        return load(place, way, f"/bytes?count={mib * MIB}", "-stdclient", "-c", "1", "-n", "1").whole(1)

    def upload(way: Way) -> Load:
        return load(place, way, "/take", *several).whole(1)

    return {
        "download": _transfer("down", ways, envoy, mib, download),
        "upload": _transfer("up", ways, envoy, mib, upload),
    }


def _transfer(what: str, ways: Mapping[str, Way], envoy: int, mib: int, once: Callable[[Way], Load]) -> dict[str, Any]:
    """The median of some rounds, in each of which all ways have their turn."""
    size = mib * MIB / MB
    took: dict[str, list[float]] = {name: [] for name in ways}
    cores = dict.fromkeys(ways, 0.0)
    with step(f"{mib} MiB {what}, {ROUNDS} times by each way"):
        for _ in range(ROUNDS):
            for name, way in ways.items():
                told, used = _beside(envoy, once, way)
                took[name].append(size / told.seconds)
                cores[name] += used
    found = {name: round(statistics.median(each), 1) for name, each in took.items()}
    of_core = {name: ratio(ROUNDS * size, cores[name]) for name in ways if name != DIRECT}
    return {**beside_direct("megabytes_per_second", found), "megabytes_per_core_second": of_core, "mib": mib}


def streams(internet: World, count: int) -> dict[str, Any]:
    """So many event streams at once by each way, each way through a gateway that has just been started."""
    path = f"/events?count={EVENTS}&every={EVENT_MILLISECONDS}"
    words = ["-stdclient", "-c", str(count), "-n", str(count)]
    found: dict[str, dict[str, Any]] = {}
    direct: Load | None = None
    for name in NAMES:
        running = start(internet, f"streams-{name}")
        way = ways_to(internet, running)[name]
        before = len(internet.account(way.site, "open"))
        with step(f"{count} streams, {name}"):
            told = load(internet.place, way, path, *words)
        direct = direct or told
        found[name] = streamed(told, direct, internet.account(way.site, "open")[before:])
        if name != DIRECT:
            found[name]["rss_mib"] = memory(running.pid)["peak"]
        running.stop()
    return {"asked": count, **found}


def streamed(told: Load, direct: Load, open_: list[int]) -> dict[str, Any]:
    """What became of them. `open_`: how many were open at the host, after each change of that.

    `whole`: streams that had as many bytes as each had directly; 0 where any had not.
    """
    same = (told.least, told.most) == (direct.least, direct.least)
    return {
        "answered": told.answered,
        "whole": told.answered if same else 0,
        "open_at_once": max(open_, default=0),
        "bytes": told.received,
    }


def beside_direct(what: str, found: Mapping[str, float]) -> dict[str, Any]:
    """Figures by way, and each as a share of the direct one."""
    shares = {name: ratio(value, found[DIRECT]) for name, value in found.items() if name != DIRECT}
    return {what: dict(found), "of_direct": shares}


def _beside(envoy: int, once: Callable[[Way], Load], way: Way) -> tuple[Load, float]:
    """What a run tells, and the processor seconds that the gateway used for it."""
    before = Usage.now({"envoy": envoy})
    told = once(way)
    return told, Usage.now({"envoy": envoy}).since(before)["envoy"]
