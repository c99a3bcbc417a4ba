"""A controller as a process of its own, as it runs in a pod, and the API server's record of what it wrote."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster import Cluster
from cluster.shell import wait_for

USER = "ringfence-controller-under-test"
CANARY = ("10.96.0.9", 7007)
"""What gates would try: no pod runs here."""
JOB_IMAGE = "registry.example/ringfence@sha256:" + "f" * 64
WRITES = {"create", "update", "patch", "delete", "deletecollection"}
_PORT = re.compile(r"health and metrics on port (\d+)")
_ROOT = Path(__file__).parents[3]


@dataclass
class Options:
    """What differs between controllers: the namespace of the Lease, the name of the replica, how much is logged."""

    lease_namespace: str
    identity: str = "one"
    kubeconfig: Path | None = None
    log_level: str = "info"
    more: tuple[str, ...] = ()
    """Further arguments."""


class Controller:
    """`ringfence controller` in a process; its log in a file."""

    def __init__(self, cluster: Cluster, log: Path, options: Options) -> None:
        self.options = options
        self.log_file = log
        self._port: int | None = None
        kubeconfig = options.kubeconfig or cluster.user_kubeconfig(USER, ["system:masters"])
        environment = cluster.env | {"PYTHONPATH": str(_ROOT / "operator"), "KUBECONFIG": os.devnull}
        arguments = ["--namespace", options.lease_namespace, "--identity", options.identity, "--http-port", "0"]
        arguments += ["--certificates", "none", "--kubeconfig", str(kubeconfig), "--log-format", "json"]
        arguments += [
            "--job-image",
            JOB_IMAGE,
            "--canary",
            f"{CANARY[0]}:{CANARY[1]}",
            "--log-level",
            options.log_level,
            *options.more,
        ]
        with log.open("a") as file:
            self.offset = file.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ringfence", "controller", *arguments],
                stdout=file,
                stderr=file,
                env=environment,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """All that this process wrote."""
        return self.log_file.read_bytes()[self.offset :].decode()

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The log."""
        return [json.loads(line) for line in self.output.splitlines() if line.startswith("{")]

    def warnings(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["level"] in {"warning", "error", "critical"}]

    def get(self, path: str) -> tuple[int, str]:
        """Ask the health port; code 0 where nobody answers."""
        if self._port is None and (found := _PORT.search(self.output)):
            self._port = int(found[1])  # kept: the log grows, and many ask
        if self._port is None:
            return 0, ""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=150)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except OSError:
            return 0, ""
        finally:
            connection.close()

    def leading(self) -> bool:
        return self.metric("ringfence_leader") == 1

    def wait_leading(self, timeout: float = 150) -> "Controller":
        """Until it leads and has read the cluster."""

        def ready() -> bool:
            assert self.exit_code is None, self.output
            return self.leading() and self.works()

        wait_for("the controller leads", ready, timeout=timeout)
        return self

    def works(self) -> bool:
        """Whether it is ready, and has read everything."""
        return self.get("/readyz")[0] == 200 and "\nringfence_first_read_seconds " in self.get("/metrics")[1]

    def metric(self, name: str, **labels: str) -> float:
        """The sum of all samples of that name with those labels."""
        total = 0.0
        for line in self.get("/metrics")[1].splitlines():
            series, _, value = line.rpartition(" ")
            if series.partition("{")[0] == name and all(
                f'{key}="{wanted}"' in series for key, wanted in labels.items()
            ):
                total += float(value)
        return total

    def counted(self, least: float, name: str, **labels: str) -> float:
        """The sum of the samples, once it is `least` or more: others see a write before its answer is counted here."""
        wait_for(f"{name} {labels} is {least}", lambda: self.metric(name, **labels) >= least)
        return self.metric(name, **labels)

    def drift(self, namespace: str) -> float:
        return self.metric("ringfence_violations_total", source="drift", namespace=namespace)

    def counted_drift(self, least: float, namespace: str) -> float:
        return self.counted(least, "ringfence_violations_total", source="drift", namespace=namespace)

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """At once, as a node that loses its power."""
        self._process.kill()
        self._process.wait()

    def stop(self, timeout: float = 150) -> int:
        """As Kubernetes stops it. The exit code."""
        if self._process.poll() is None:
            self._process.terminate()
        return self._process.wait(timeout)


class Record:
    """The part of the API server's audit log that is written from now on."""

    def __init__(self, cluster: Cluster) -> None:
        self._file = cluster.audit_log
        self._read = self._file.stat().st_size if self._file.exists() else 0
        self._known: list[dict[str, Any]] = []

    def all(self) -> Iterator[dict[str, Any]]:
        """Its entries, oldest first. Each line is read once: tests ask again and again, and the log is that of all."""
        with self._file.open("rb") as lines:
            lines.seek(self._read)
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                self._known.append(json.loads(line))
                self._read += len(line)
        return iter(self._known)

    def writes(self, namespace: str | None = None, *, user: str | None = USER) -> list[dict[str, Any]]:
        """Requests that could change something, in order; the Lease's are not among them."""
        return [
            entry
            for entry in self.all()
            if entry["verb"] in WRITES
            and user in {None, entry["user"]["username"]}
            and (entry.get("objectRef") or {}).get("resource") not in {"leases", "selfsubjectreviews"}
            and (namespace is None or (entry.get("objectRef") or {}).get("namespace") == namespace)
        ]

    def rests(self, namespace: str, *, user: str = USER) -> bool:
        """Whether nothing is written there for three seconds: what was under way is over."""
        before = len(self.writes(namespace, user=user))
        time.sleep(3)
        return len(self.writes(namespace, user=user)) == before

    def created(self, namespace: str) -> list[str]:
        """`networkpolicies/NAME`, ... in the order in which they were stored."""
        made = [
            (entry["stageTimestamp"], f"{entry['objectRef']['resource']}/{entry['objectRef']['name']}")
            for entry in self.writes(namespace)
            if entry.get("responseStatus", {}).get("code") == 201 and "name" in entry["objectRef"]
        ]
        return [name for _, name in sorted(made)]
