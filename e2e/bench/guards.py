"""What the guards cost requests that have nothing to do with agents, and agents' own.

Two API servers without a node, one with the guards and one without, which change places after half of the requests. A
request goes to both, one after the other, so that a busy moment of the machine hits both alike, and what one of them
is slower by is on each side once.
"""

from __future__ import annotations

import functools
import json
import random
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import yaml

from api.server import Server
from cluster import Cluster
from cluster.errors import ClusterError
from cluster.shell import run, step, wait_for
from harness.install import ROOT

from .objects import IMAGE, typical_agent

__all__ = ["added", "guards"]

ELSEWHERE, OPENED, RELEASE = "bench-elsewhere", "bench-opened", "ringfence-system"
BAR_MS = 0.05
"""More than that at the median of pods and Services in other namespaces is too much."""
WARM = 50
"""Cycles that do not count: connections and caches are warm then."""
MERGE = "application/merge-patch+json"


def guards(name: str, *, cycles: int) -> dict[str, Any]:
    """The trial on two API servers of its own, called NAME-guards-1 and NAME-guards-2."""
    with _place(f"{name}-guards-1") as one, _place(f"{name}-guards-2") as other:
        halves = [_half(guarded, bare, cycles // 2) for guarded, bare in ((one, other), (other, one))]
        told = {kind: added([half[kind] for half in halves]) for kind in _asks()}
        return {"bar_ms": BAR_MS, "guards": len(one.policies) // 2, "pairs_each": cycles // 2 * 2, **told}


Pair = tuple[float, float]
"""Seconds with the guards, and without them."""


def added(halves: Sequence[Sequence[Pair]]) -> dict[str, float]:
    """In milliseconds. What is added is the mean of the halves' medians of differences in pairs.

    `sure_within`: half of the interval in which that median is with 95 %, by order statistics.
    """
    differences = [sorted(having - lacking for having, lacking in half) for half in halves]
    every = [pair for half in halves for pair in half]
    return {
        "without_p50_ms": _milliseconds(statistics.median(lacking for _, lacking in every)),
        "with_p50_ms": _milliseconds(statistics.median(having for having, _ in every)),
        "added_p50_ms": _milliseconds(statistics.mean(map(statistics.median, differences))),
        "sure_within_ms": _milliseconds(statistics.mean(map(_half_interval, differences)) / len(halves) ** 0.5),
    }


def _half_interval(ordered: Sequence[float]) -> float:
    width = 0.98 * len(ordered) ** 0.5
    low, high = max(0, int(len(ordered) / 2 - width)), min(len(ordered) - 1, int(len(ordered) / 2 + width))
    return (ordered[high] - ordered[low]) / 2


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)


@contextmanager
def _place(name: str) -> Iterator[_Place]:
    cluster = Cluster.up(name, mode="api")
    client = Server(cluster.server, cluster.kubeconfig)
    try:
        place = _Place(cluster, client, _rendered(cluster))
        place.prepare()
        yield place
    finally:
        client.close()
        cluster.down()


def _half(guarded: _Place, bare: _Place, cycles: int) -> dict[str, list[Pair]]:
    guarded.switch(on=True)
    bare.switch(on=False)
    took: dict[str, list[Pair]] = {kind: [] for kind in _asks()}
    chance = random.Random(7)
    with step(f"{cycles} cycles with each"):
        for number in range(WARM + cycles):
            for kind, pairs in took.items():
                seconds = {place: place.ask(kind) for place in chance.sample((guarded, bare), 2)}
                if number >= WARM:
                    pairs.append((seconds[guarded], seconds[bare]))
    return took


@dataclass(frozen=True, eq=False)
class _Place:
    cluster: Cluster
    client: Server
    policies: Sequence[dict[str, Any]]

    def prepare(self) -> None:
        self.cluster.kubectl("apply", "-f", str(ROOT / "crds"))
        wait_for("the CRDs", lambda: self.cluster.kubectl("explain", "agd"), timeout=30)
        for name in (ELSEWHERE, OPENED, RELEASE):
            labels = {"ringfence.dev/agents": "enabled"} if name == OPENED else {}
            self.cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        for name in (ELSEWHERE, OPENED):
            account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
            wait_for("its ServiceAccount", lambda account=account: self.client.request("GET", account).ok)  # type: ignore[misc]
        for path, body in ((_at("pods"), _pod()), (_at("services"), _service())):
            wait_for("what is updated", lambda path=path, body=body: self._stored(path, body))  # type: ignore[misc]

    def ask(self, kind: str) -> float:
        """Seconds of one request. Raises ClusterError where it is refused."""
        method, path, body, media = _asks()[kind]
        began = time.perf_counter()
        answer = self.client.request(method, f"{path}?dryRun=All", body, media)
        seconds = time.perf_counter() - began
        if not answer.ok:
            raise ClusterError(f"{kind} is refused: {answer.message}")
        return seconds

    def _stored(self, path: str, body: bytes) -> bool:
        answer = self.client.request("POST", path, body)
        return answer.ok or answer.code == 409

    def switch(self, *, on: bool) -> None:
        """Have the guards, or have them not, and wait until that counts."""
        if on:
            self.cluster.apply(*self.policies)
        else:
            kinds = "validatingadmissionpolicy,validatingadmissionpolicybinding"
            label = "app.kubernetes.io/component=guard"
            self.cluster.kubectl("delete", kinds, "-l", label, "--ignore-not-found")
        wait_for("the API server to know", lambda: all(ok != on for ok in self._probes()), timeout=60)

    def _probes(self) -> list[bool]:
        """Whether what the first and the last of the guards refuse would pass."""
        agent = _pod(labels={"ringfence.dev/agent": "x"})
        lease = {"metadata": {"name": "ringfence-controller"}, "spec": {"holderIdentity": "x"}}
        leases = f"/apis/coordination.k8s.io/v1/namespaces/{RELEASE}/leases"
        shown = _service({"type": "NodePort", "selector": {"ringfence.dev/agent": "x"}})
        asked = ((_at("pods", OPENED), agent), (_at("services", OPENED), shown), (leases, json.dumps(lease).encode()))
        return [self.client.request("POST", f"{path}?dryRun=All", body).ok for path, body in asked]


_Ask = tuple[str, str, bytes, str]


@functools.cache
def _asks() -> Mapping[str, _Ask]:
    """What is asked: kind -> method, path, body, media type."""
    touched = b'{"metadata": {"annotations": {"touched": "yes"}}}'
    agent = {
        "apiVersion": "ringfence.dev/v1alpha1",
        "kind": "AgentDeployment",
        "metadata": {"name": "bench"},
        "spec": typical_agent(),
    }
    agents = f"/apis/ringfence.dev/v1alpha1/namespaces/{OPENED}/agentdeployments"
    return {
        "pod_elsewhere": ("POST", _at("pods"), _pod("new"), "application/json"),
        "pod_update_elsewhere": ("PATCH", f"{_at('pods')}/bench", touched, MERGE),
        "service_elsewhere": ("POST", _at("services"), _service(name="new"), "application/json"),
        "service_update_elsewhere": ("PATCH", f"{_at('services')}/bench", touched, MERGE),
        "pod_of_others_in_an_opened_namespace": ("POST", _at("pods", OPENED), _pod("new"), "application/json"),
        "agent": ("POST", agents, json.dumps(agent).encode(), "application/json"),
    }


def _at(plural: str, namespace: str = ELSEWHERE) -> str:
    return f"/api/v1/namespaces/{namespace}/{plural}"


def _pod(name: str = "bench", labels: Mapping[str, str] | None = None) -> bytes:
    metadata = {"name": name, "labels": dict(labels or {"app": "bench"})}
    return json.dumps({"metadata": metadata, "spec": {"containers": [{"name": "c", "image": IMAGE}]}}).encode()


def _service(more: Mapping[str, Any] | None = None, name: str = "bench") -> bytes:
    spec = {"selector": {"app": "bench"}, "ports": [{"port": 80}], **(more or {})}
    return json.dumps({"metadata": {"name": name}, "spec": spec}).encode()


def _rendered(cluster: Cluster) -> list[dict[str, Any]]:
    """The chart's own guards: policies and bindings."""
    chart = ROOT / "charts" / "ringfence"
    values = ["-f", str(chart / "ci" / "image-values.yaml"), "--namespace", RELEASE]
    text = run(["helm", "template", "ringfence", str(chart), *values], env=cluster.env)
    documents = [one for one in yaml.safe_load_all(text) if one]
    return [one for one in documents if one["metadata"]["name"].startswith("ringfence-guard-")]
