"""What admission adds to a request and costs: none, ten rules in the API server, the webhook, webhook and floor.

An API server without a node, and one `ringfence admission` beside it. The ways are namespaces, told apart by a label:
each cycle asks in all of them, in changing order, so that a busy moment of the machine hits all alike. One of the ways
is a webhook in Go that allows everything: less than that no webhook adds on this machine in this hour.
"""

from __future__ import annotations

import asyncio
import http.client
import itertools
import random
import ssl
import statistics
import tempfile
import threading
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from api.review_server import HOST
from api.server import Server
from cluster import Cluster
from cluster.errors import ClusterError
from cluster.shell import step

from .numbers import ratio, summary
from .objects import large_review, review, typical_agent
from .ways import SERVICE, WAYS, Place, ask, serving, space

__all__ = ["admission"]

AT_ONCE = 200


def admission(name: str, *, cycles: int) -> dict[str, Any]:
    """The trial on an API server of its own, called NAME-admission."""
    cluster = Cluster.up(f"{name}-admission", mode="api")
    try:
        with tempfile.TemporaryDirectory() as folder, serving(cluster, Path(folder)) as here:
            return {
                "added": _added(here, cycles),
                "cpu_seconds_per_1000_reviews_alone": _cpu_of_reviews(here, 2 * cycles),
                "at_once": asyncio.run(_at_once(here.replica.port)),
                "beside_6_mib": _beside_large(here.replica.port),
                "memory_mib": round(here.replica.rss(), 1),
            }
    finally:
        cluster.down()


def _added(here: Place, cycles: int) -> dict[str, Any]:
    """Dry-run creates of a typical agent: how much longer each takes than the one of its cycle without admission."""
    took: dict[str, list[float]] = {way: [] for way in WAYS}
    client = Server(here.cluster.server, here.cluster.kubeconfig)
    spec = typical_agent()
    order = random.Random(7)
    try:
        for _ in range(50):  # connections and caches are warm then
            _cycle(client, spec, WAYS)
        before = here.cpu()
        with step(f"{cycles} cycles of a dry run in each way"):
            for _ in range(cycles):
                for way, seconds in _cycle(client, spec, order.sample(WAYS, len(WAYS))).items():
                    took[way].append(seconds)
        cpu = here.cpu() - before
    finally:
        client.close()
    rules = _difference(took["ten_rules"], took["none"])
    told: dict[str, Any] = {"none": _milliseconds(took["none"])}
    for way in WAYS[1:]:
        found = _difference(took[way], took["none"])
        told[way] = {
            **_milliseconds(took[way]),
            **found,
            "times_ten_rules": ratio(found["added_p50"], rules["added_p50"]),
        }
    told["cpu_seconds_per_1000_reviews"] = round(cpu / (2 * cycles) * 1000, 3)
    return told


def _cycle(client: Server, spec: dict[str, Any], order: Sequence[str]) -> dict[str, float]:
    took = {}
    for way in order:
        began = time.perf_counter()
        allowed = ask(client, way, spec)
        took[way] = time.perf_counter() - began
        if not allowed:
            raise ClusterError(f"the typical agent is refused by {way}")
    return took


def _milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "p50_ms": round(statistics.median(ordered) * 1000, 3),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)] * 1000, 3),
    }


def _difference(seconds: Sequence[float], floor: Sequence[float]) -> dict[str, float]:
    """In milliseconds: the median of the differences in pairs, and the difference of the 99th percentiles."""
    pairs = [one - other for one, other in zip(seconds, floor, strict=True)]
    tails = _milliseconds(seconds)["p99_ms"] - _milliseconds(floor)["p99_ms"]
    return {"added_p50": round(statistics.median(pairs) * 1000, 3), "added_p99": round(tails, 3)}


class _Connection:
    """One to the review server itself, as the API server keeps it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> _Connection:
        return cls(*await asyncio.open_connection(HOST, port, ssl=_trusting()))

    async def ask(self, body: bytes) -> float:
        """Seconds from the first byte of the review to the last of its answer, which must be a yes."""
        began = time.perf_counter()
        head = f"POST /validate HTTP/1.1\r\nhost: {SERVICE}\r\ncontent-length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        await self._writer.drain()
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().split(b"content-length: ")[1].split(b"\r")[0])
        if b'"allowed":true' not in await self._reader.readexactly(length):
            raise ClusterError("a good review was refused")
        return time.perf_counter() - began

    def close(self) -> None:
        self._writer.close()


async def _at_once(port: int) -> dict[str, Any]:
    """So many connections ask at the same moment: how long until the last of them has its answer."""
    body = review(typical_agent(), namespace=space("webhook"))
    connections = await asyncio.gather(*(_Connection.open(port) for _ in range(AT_ONCE)))
    try:
        began = time.perf_counter()
        took = await asyncio.gather(*(one.ask(body) for one in connections))
        return {"connections": AT_ONCE, "all_answered_seconds": round(time.perf_counter() - began, 3), **summary(took)}
    finally:
        for one in connections:
            one.close()


def _beside_large(port: int) -> dict[str, Any]:
    """Small reviews without pause, alone and while reviews of 6 MiB come one after the other from a thread."""
    body, large = review(typical_agent(), namespace=space("webhook")), large_review(space("webhook"))
    alone = list(itertools.islice(_reviews(port, body), 300))
    took: list[float] = []
    thread = threading.Thread(target=lambda: took.extend(itertools.islice(_reviews(port, large), 10)))
    thread.start()
    beside = list(itertools.takewhile(lambda _: thread.is_alive(), _reviews(port, body)))
    thread.join()
    if len(took) < 10:
        raise ClusterError("a review of 6 MiB was not answered")
    return {
        "bytes": len(large),
        "small_alone_seconds": summary(alone),
        "small_beside_seconds": summary(beside),
        "large_seconds": summary(took),
    }


def _reviews(port: int, body: bytes) -> Generator[float, None, None]:
    """Seconds of one review after the other, on one connection. The answer must be a yes."""
    connection = http.client.HTTPSConnection(HOST, port, context=_trusting(), timeout=30)
    try:
        while True:
            began = time.perf_counter()
            connection.request("POST", "/validate", body)
            if b'"allowed":true' not in connection.getresponse().read():
                raise ClusterError("a good review was refused")
            yield time.perf_counter() - began
    finally:
        connection.close()


def _cpu_of_reviews(here: Place, count: int) -> float:
    """CPU seconds of 1000 reviews, one after the other without a pause and without the API server's share."""
    body = review(typical_agent(), namespace=space("webhook"))
    asked = _reviews(here.replica.port, body)
    for _ in range(100):
        next(asked)
    before = here.cpu()
    for _ in range(count):
        next(asked)
    asked.close()
    return round((here.cpu() - before) / count * 1000, 3)


def _trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # without the system's authorities, which take long to load
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
