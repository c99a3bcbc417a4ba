"""Debian's Prometheus, for the demo and for tests: fetched once, run as a process of ours, asked by queries.

    with prometheus.follow([kubectl], env, "ringfence-system") as p:  # all pods that serve metrics, by kubectl proxy
        p.fresh()  # what just happened is scraped
        p.query("sum by (source) (ringfence_violations_total)")  # -> [Sample({"source": "drift"}, 2.0)]

    with prometheus.scrape({"controller": ["127.0.0.1:8080"]}) as p: ...  # processes of this machine
    with prometheus.over(folder) as p: ...  # what is stored there, and nothing else

The package is unpacked, not installed: no service is started, and nothing is left on the machine but the cache.
"""

from __future__ import annotations

import http.client
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cluster import cache
from cluster.errors import ClusterError
from cluster.shell import run, wait_for

__all__ = ["Prometheus", "Sample", "Series", "follow", "over", "programs", "scrape"]

NAMES = ("prometheus", "promtool")
HOST = "127.0.0.1"
SERVES = "ringfence.dev/serves=metrics"
"""Label of the pods that serve metrics."""
PORT = 8080
GATEWAYS, OBSERVE = "app.kubernetes.io/component=egress-gateway", 15021
"""Label of egress gateways' pods, and their port for figures, where no agent here asks for that one itself."""
LIST_SECONDS = 1.0
INTERVAL = "1s"
"""Between two scrapes: a demo's minute is to be seen in detail."""


@dataclass(frozen=True)
class Sample:
    """One series of an answer."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Series:
    """One series of an answer over time: Unix times and values."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


def programs() -> Path:
    """Folder with `prometheus` and `promtool`: from the PATH, else unpacked from Debian's package.

    Raises ClusterError where there is neither.
    """
    found = [shutil.which(name) for name in NAMES]
    if all(found):
        return Path(str(found[0])).parent
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise ClusterError("prometheus and promtool are not on the PATH, and there is no apt-get to fetch them with")
    return cache.ensure("prometheus", cache.fingerprint(_release()), _fetch, doing="fetching Prometheus from Debian")


def _release() -> str:
    lines = Path("/etc/os-release").read_text(encoding="utf-8") if Path("/etc/os-release").is_file() else ""
    return f"{lines} {platform.machine()}"


def _fetch(target: Path) -> None:
    options = ["-q", "-o", "DPkg::Lock::Timeout=600", "-o", "APT::Sandbox::User=root"]
    try:
        run(["apt-get", *options, "download", "prometheus"], cwd=target, timeout=600)
    except ClusterError:  # most likely no package lists yet
        run(["apt-get", *options, "update"], timeout=900)
        run(["apt-get", *options, "download", "prometheus"], cwd=target, timeout=600)
    (package,) = target.glob("prometheus_*.deb")
    run(["dpkg-deb", "-x", package, target / "unpacked"])
    for name in NAMES:
        (target / "unpacked/usr/bin" / name).rename(target / name)
    shutil.rmtree(target / "unpacked")
    package.unlink()


class Prometheus:
    """A running Prometheus, at HOST:PORT."""

    def __init__(self, address: str) -> None:
        self._address = address

    def query(self, expression: str, *, at: float | None = None) -> list[Sample]:
        """The answer to a query, now or at a Unix time. Raises ClusterError for what is no query."""
        found = self._api("query", {"query": expression} | ({"time": str(at)} if at else {}))
        if found["resultType"] == "scalar":
            return [Sample({}, float(found["result"][1]))]
        return [Sample(entry["metric"], float(entry["value"][1])) for entry in found["result"]]

    def range(self, expression: str, *, start: float, end: float, step: float) -> list[Series]:
        """The answers at each step (seconds) from a Unix time to another. Raises ClusterError for what is no query."""
        times = {"start": str(start), "end": str(end), "step": str(step)}
        found = self._api("query_range", {"query": expression} | times)["result"]
        return [Series(one["metric"], tuple((at, float(value)) for at, value in one["values"])) for one in found]

    def value(self, expression: str) -> float:
        """The sum of the answer's series; 0 where there are none."""
        return sum(sample.value for sample in self.query(expression))

    def series(self, selector: str) -> list[Mapping[str, str]]:
        """Labels of the series that a selector finds."""
        found: list[Mapping[str, str]] = self._api("series", {"match[]": selector})
        return found

    def alerts(self) -> dict[str, str]:
        """Name -> pending or firing."""
        return {entry["labels"]["alertname"]: entry["state"] for entry in self._api("alerts", {})["alerts"]}

    def targets(self) -> list[dict[str, Any]]:
        """What is scraped."""
        found: list[dict[str, Any]] = self._api("targets", {"state": "active"})["activeTargets"]
        return found

    def fresh(self, *, least: int = 1, timeout: float = 30) -> None:
        """Wait until each target, at least so many, was scraped after this call."""
        now = time.time()

        def scraped() -> bool:
            targets = self.targets()
            # A scrape takes its time: the answer of one that began before now may be older than now.
            new = [t for t in targets if t["health"] == "up" and _unix(t["lastScrape"]) > now]
            return len(new) == len(targets) >= least

        wait_for("Prometheus to scrape every pod", scraped, timeout=timeout)

    def _api(self, path: str, parameters: Mapping[str, str]) -> Any:
        status, body = _get(self._address, f"/api/v1/{path}?{urllib.parse.urlencode(parameters)}", timeout=30)
        if status != http.HTTPStatus.OK:
            raise ClusterError(f"Prometheus: {parameters.get('query', path)}: {body.decode(errors='replace')}")
        return json.loads(body)["data"]


def _get(address: str, path: str, *, timeout: float) -> tuple[int, bytes]:
    """Status and body from HOST:PORT. Raises OSError. Not urllib: loopback is never asked for through a proxy."""
    with closing(http.client.HTTPConnection(address, timeout=timeout)) as connection:
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except http.client.HTTPException as failure:
            raise ConnectionError(type(failure).__name__) from failure


@contextmanager
def scrape(targets: Mapping[str, Sequence[str]], *, rules: Sequence[Path] = ()) -> Iterator[Prometheus]:
    """A Prometheus that scrapes addresses of this machine. `targets`: job -> HOST:PORT, ..."""
    jobs = [{"job_name": job, "static_configs": [{"targets": list(found)}]} for job, found in targets.items()]
    with _started([job | {"honor_labels": True} for job in jobs], rules) as running:
        yield running


@contextmanager
def over(data: Path) -> Iterator[Prometheus]:
    """A Prometheus over what is stored in a folder, however old it is; it scrapes nothing."""
    with _started([], (), data=data) as running:
        yield running


@dataclass(frozen=True)
class _Pods:
    """Pods to scrape. `figures`: PORT/proxy/PATH, behind a pod's name and a colon. `more`: of the job."""

    namespace: str
    selector: str
    figures: str
    more: Mapping[str, Any]

    @property
    def path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"

    @property
    def allowed(self) -> str:
        """What the proxy lets through, as a part of a regular expression: their list, and their figures."""
        port, _, rest = self.figures.partition("/")
        return f"{re.escape(self.path)}(/[^/]+:{port}/{re.escape(rest)})?"

    def target(self, address: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """One of them, of which the proxy is asked."""
        name, agent = metadata["name"], metadata["labels"].get("ringfence.dev/agent", "")
        labels = {"pod": name, "instance": name, "namespace": metadata["namespace"]}
        labels |= {"name": agent.removesuffix(".gateway")} if agent else {}
        return {"targets": [address], "labels": labels | {"__metrics_path__": f"{self.path}/{name}:{self.figures}"}}


def _ringfence(namespace: str) -> _Pods:
    return _Pods(namespace, SERVES, f"{PORT}/proxy/metrics", {"honor_labels": True})


def _gateways(namespace: str) -> _Pods:
    """As the chart's PodMonitor takes their figures, and calls them."""
    name = "ringfence_egress_requests_total"
    only = {"source_labels": ["__name__"], "action": "keep", "regex": f"envoy_{name}"}
    relabel = [only, {"target_label": "__name__", "replacement": name}]
    return _Pods(namespace, GATEWAYS, f"{OBSERVE}/proxy/stats/prometheus", {"metric_relabel_configs": relabel})


@contextmanager
def follow(
    kubectl: Sequence[str | Path],
    env: Mapping[str, str],
    namespace: str,
    *,
    gateways: str = "",
    rules: Sequence[Path] = (),
) -> Iterator[Prometheus]:
    """A Prometheus that scrapes each pod of Ringfence in a cluster, also those that come later.

    Through the API server, which is let in everywhere: nothing has to be opened for it. `kubectl`: the program and
    the options that choose the cluster. What the proxy lets through: the list of these pods, and their metrics.
    `gateways`: a namespace whose agents' egress gateways are scraped, too.
    """
    kinds = [_ringfence(namespace), *([_gateways(gateways)] if gateways else [])]
    with _proxy(kubectl, env, kinds) as address, tempfile.TemporaryDirectory(prefix="ringfence-pods-") as folder:
        files = {Path(folder) / f"pods-{number}.json": pods for number, pods in enumerate(kinds)}
        jobs = []
        for number, (file, pods) in enumerate(files.items()):
            file.write_text("[]", encoding="utf-8")
            found = {"file_sd_configs": [{"files": [str(file)], "refresh_interval": INTERVAL}]}
            jobs.append({"job_name": f"ringfence-{number}", **found, **pods.more})
        stop = threading.Event()
        watcher = threading.Thread(target=_list_pods, args=(address, files, stop), daemon=True)
        watcher.start()
        try:
            with _started(jobs, rules) as running:
                yield running
        finally:
            stop.set()
            watcher.join(LIST_SECONDS * 10)


def _list_pods(address: str, files: Mapping[Path, _Pods], stop: threading.Event) -> None:
    """Keep the lists of targets up to date. Debian's build of Prometheus cannot ask Kubernetes by itself."""
    while not stop.wait(LIST_SECONDS):
        for file, pods in files.items():
            query = urllib.parse.urlencode({"labelSelector": pods.selector})
            try:
                status, body = _get(address, f"{pods.path}?{query}", timeout=LIST_SECONDS * 5)
                found = json.loads(body).get("items", [])
            except (OSError, ValueError):
                continue  # an API server that is away comes back
            if status != http.HTTPStatus.OK:
                continue
            staged = file.with_suffix(".new")
            targets = [pods.target(address, pod["metadata"]) for pod in found if _runs(pod)]
            staged.write_text(json.dumps(targets), encoding="utf-8")
            staged.replace(file)


def _runs(pod: Mapping[str, Any]) -> bool:
    return pod["status"].get("phase") == "Running" and not pod["metadata"].get("deletionTimestamp")


@contextmanager
def _proxy(kubectl: Sequence[str | Path], env: Mapping[str, str], kinds: Sequence[_Pods]) -> Iterator[str]:
    """`kubectl proxy` on a free port of this machine, for the metrics of these pods and nothing else."""
    accepted = "|".join(pods.allowed for pods in kinds)
    argv = [*map(str, kubectl), "proxy", "--port=0", f"--accept-paths=^({accepted})$"]
    process = subprocess.Popen(
        argv, env=dict(env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        told = re.search(r"Starting to serve on (\S+)", line)
        if told is None:
            raise ClusterError(f"kubectl proxy: {line.strip()}")
        yield told[1]
    finally:
        process.terminate()
        process.communicate(timeout=10)


@contextmanager
def _started(
    jobs: Sequence[Mapping[str, Any]], rules: Sequence[Path], *, data: Path | None = None
) -> Iterator[Prometheus]:
    program = programs() / "prometheus"
    with tempfile.TemporaryDirectory(prefix="ringfence-prometheus-") as folder:
        config = {
            "global": {"scrape_interval": INTERVAL, "scrape_timeout": INTERVAL, "evaluation_interval": INTERVAL},
            "scrape_configs": list(jobs),
            "rule_files": [str(path) for path in rules],
        }
        file = Path(folder) / "prometheus.yml"
        # YAML takes JSON as it is.
        file.write_text(json.dumps(config), encoding="utf-8")
        port = _free_port()
        argv = [program, f"--config.file={file}", f"--storage.tsdb.path={data or Path(folder) / 'data'}"]
        argv += ["--storage.tsdb.retention.time=100y"]  # recorded samples are not taken for old ones
        argv += [f"--web.listen-address={HOST}:{port}", "--log.level=warn"]
        log = Path(folder) / "log"
        kept = {name: text for name, text in os.environ.items() if not name.lower().endswith("_proxy")}
        with log.open("wb") as output:
            process = subprocess.Popen(
                list(map(str, argv)), env=kept, stdout=output, stderr=output, start_new_session=True
            )
        try:
            wait_for("Prometheus", lambda: process.poll() is not None or _ready(port))
            if process.poll() is not None:
                raise ClusterError(f"Prometheus ended: {log.read_text(errors='replace')[-2000:]}")
            yield Prometheus(f"{HOST}:{port}")
        finally:
            process.terminate()
            process.wait(30)


def _ready(port: int) -> bool:
    return _get(f"{HOST}:{port}", "/-/ready", timeout=5)[0] == http.HTTPStatus.OK


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


def _unix(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()
