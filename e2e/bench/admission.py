"""What admission adds to a request and costs: none, ten rules in the API server, the webhook, webhook and floor.

An API server without a node, and one `ringfence admission` beside it. The ways are namespaces, told apart by a label:
each cycle asks in all of them, in changing order, so that a busy moment of the machine hits all alike. One of the ways
is a webhook in Go that allows everything: less than that no webhook adds on this machine in this hour.
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import itertools
import json
import random
import socket
import ssl
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import yaml

from api.review_server import HOST, Replica, free_port
from api.server import Server
from cluster import Cluster, programs
from cluster.errors import ClusterError
from cluster.shell import run, step, wait_for
from harness.install import ROOT
from ringfence.controller.certificates import Names
from ringfence.controller.certificates.issue import issue

from .numbers import ratio, summary
from .objects import IMAGE, large_review, review, typical_agent

__all__ = ["admission"]

LABEL = "ringfence.dev/bench-admission"
WAYS = ("none", "ten_rules", "allows_everything", "webhook", "webhook_and_floor")
SERVICE = "ringfence-admission.bench.svc"
AT_ONCE = 200
VARIABLES = {
    "egress": "object.spec.?network.?egress.orValue([])",
    "rules": "object.spec.?permissions.?rules.orValue([])",
    "secrets": "object.spec.?secrets.orValue([])",
}
TEN_RULES = (
    "object.spec.image.contains('@sha256:')",
    "object.spec.?permissions.?level.orValue('ReadOnly') in ['ReadOnly', 'LimitedWrite']",
    "variables.rules.all(r, r.verbs.all(v, v != '*'))",
    "variables.rules.all(r, r.resources.all(s, s != '*' && s != 'secrets'))",
    "variables.rules.all(r, r.apiGroups.all(g, g != '*' && g != 'rbac.authorization.k8s.io'))",
    "variables.egress.size() <= 64",
    "variables.egress.all(e, !has(e.cidr) || cidr(e.cidr).prefixLength() >= 8)",
    "variables.egress.all(e, !has(e.cidr) || !cidr(e.cidr).containsIP('169.254.169.254'))",
    "variables.egress.all(e, !has(e.ports) || e.ports.all(p, p != 53 && p != 853))",
    "variables.secrets.all(s, !has(s.source.existing) || !s.source.existing.secretName.startsWith('ringfence-'))",
)
"""What a platform engineer would write without Ringfence, as far as the API server's own language goes."""


def admission(name: str, *, cycles: int) -> dict[str, Any]:
    """The trial on an API server of its own, called NAME-admission."""
    cluster = Cluster.up(f"{name}-admission", mode="api")
    try:
        with tempfile.TemporaryDirectory() as folder, _serving(cluster, Path(folder)) as here:
            return {
                "added": _added(here, cycles),
                "cpu_seconds_per_1000_reviews_alone": _cpu_of_reviews(here, 2 * cycles),
                "at_once": asyncio.run(_at_once(here.replica.port)),
                "beside_6_mib": _beside_large(here.replica.port),
                "memory_mib": round(here.replica.rss(), 1),
            }
    finally:
        cluster.down()


@dataclass(frozen=True)
class _Here:
    cluster: Cluster
    replica: Replica

    def cpu(self) -> float:
        """Seconds that the admission process has worked so far."""
        return self.replica.metric("process_cpu_seconds_total")


@contextmanager
def _serving(cluster: Cluster, folder: Path) -> Iterator[_Here]:
    made = issue(Names((SERVICE,), (ip_address(HOST),)), datetime.now(UTC))
    (folder / "tls.crt").write_bytes(made.certificate)
    (folder / "tls.key").write_bytes(made.key)
    cluster.kubectl("apply", "-f", str(ROOT / "crds"))
    wait_for("the CRDs", lambda: cluster.kubectl("explain", "agd"), timeout=30)
    cluster.apply(*map(_namespace, WAYS))
    replica = Replica.start(cluster.kubeconfig, folder, folder / "log", "--drain-seconds=0")
    port = free_port()
    try:
        replica.wait_ready()
        cluster.apply(
            *_ten_rules(),
            *_floor(cluster),
            _webhook("allows-everything", port, made.authority, "allows_everything"),
            _webhook("ringfence", replica.port, made.authority, "webhook", "webhook_and_floor"),
        )
        here = _Here(cluster, replica)
        _wait_in_force(here)
        with _allowing_everything(folder, port):
            yield here
    finally:
        replica.stop()


@contextmanager
def _allowing_everything(folder: Path, port: int) -> Iterator[None]:
    """A webhook in Go that decides nothing."""
    certificate = ("-cert", str(folder / "tls.crt"), "-key", str(folder / "tls.key"))
    argv = [str(programs.testbox() / "testbox"), "review", "-listen", f"{HOST}:{port}", *certificate]
    with (folder / "allows-everything.log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log)
    try:
        wait_for("the webhook that allows everything", lambda: _listens(port), timeout=60)
        yield
    finally:
        process.terminate()
        process.wait(30)


def _listens(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex((HOST, port)) == 0


def _namespace(way: str) -> dict[str, Any]:
    labels = {"ringfence.dev/agents": "enabled", LABEL: way}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _space(way), "labels": labels}}


def _space(way: str) -> str:
    return "bench-" + way.replace("_", "-")


def _only(*ways: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": LABEL, "operator": "In", "values": list(ways)}]}


def _webhook(name: str, port: int, authority: bytes, *ways: str) -> dict[str, Any]:
    entry = {
        "name": f"{name}.bench.ringfence.dev",
        "admissionReviewVersions": ["v1"],
        "clientConfig": {
            "url": f"https://{HOST}:{port}/validate",
            "caBundle": base64.b64encode(authority).decode(),
        },
        "rules": [{**_agents(), "operations": ["CREATE", "UPDATE"]}],
        "namespaceSelector": _only(*ways),
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "timeoutSeconds": 5,
    }
    return {**_registered("ValidatingWebhookConfiguration", name), "webhooks": [entry]}


def _agents() -> dict[str, Any]:
    return {"apiGroups": ["ringfence.dev"], "apiVersions": ["v1alpha1"], "resources": ["agentdeployments"]}


def _registered(kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name}}


def _ten_rules() -> list[dict[str, Any]]:
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [{**_agents(), "operations": ["CREATE", "UPDATE"]}]},
        "variables": [{"name": name, "expression": text} for name, text in VARIABLES.items()],
        "validations": [{"expression": rule} for rule in TEN_RULES],
    }
    bound = {"policyName": "ten", "validationActions": ["Deny"]}
    return [
        {**_registered("ValidatingAdmissionPolicy", "ten"), "spec": spec},
        {
            **_registered("ValidatingAdmissionPolicyBinding", "ten"),
            "spec": {**bound, "matchResources": {"namespaceSelector": _only("ten_rules")}},
        },
    ]


def _floor(cluster: Cluster) -> list[dict[str, Any]]:
    """The chart's own, bound to one of the namespaces only."""
    chart = ROOT / "charts" / "ringfence"
    rendered = run(["helm", "template", "ringfence", str(chart), "-s", "templates/floor.yaml"], env=cluster.env)
    documents: list[dict[str, Any]] = [one for one in yaml.safe_load_all(rendered) if one]
    for one in documents:
        if one["kind"] == "ValidatingAdmissionPolicyBinding":
            one["spec"]["matchResources"] = {"namespaceSelector": _only("webhook_and_floor")}
    return documents


def _wait_in_force(here: _Here) -> None:
    """Until each of the ways refuses what it is to refuse: the API server learns of it a moment later.

    The webhook that allows everything is not started yet, and one that does not answer refuses, too.
    """
    worst = {"image": IMAGE, "network": {"egress": [{"cidr": "0.0.0.0/0", "ports": [443]}]}}
    client = Server(here.cluster.server, here.cluster.kubeconfig)
    try:
        for way in WAYS[1:]:
            wait_for(f"{way} to be in force", lambda way=way: not _ask(client, way, worst), timeout=60)  # type: ignore[misc]
    finally:
        client.close()


def _ask(client: Server, way: str, spec: dict[str, Any]) -> bool:
    path = f"/apis/ringfence.dev/v1alpha1/namespaces/{_space(way)}/agentdeployments?dryRun=All"
    manifest = {
        "apiVersion": "ringfence.dev/v1alpha1",
        "kind": "AgentDeployment",
        "metadata": {"name": "bench", "namespace": _space(way)},
        "spec": spec,
    }
    return client.request("POST", path, json.dumps(manifest).encode()).ok


def _added(here: _Here, cycles: int) -> dict[str, Any]:
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
        allowed = _ask(client, way, spec)
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
    body = review(typical_agent(), namespace=_space("webhook"))
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
    body, large = review(typical_agent(), namespace=_space("webhook")), large_review(_space("webhook"))
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


def _cpu_of_reviews(here: _Here, count: int) -> float:
    """CPU seconds of 1000 reviews, one after the other without a pause and without the API server's share."""
    body = review(typical_agent(), namespace=_space("webhook"))
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
