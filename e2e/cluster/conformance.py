"""Cyclonus judges the NetworkPolicy enforcement: it makes policies, tries packets, and compares both
with its own model of what the policies mean. It knows nothing of how ours works."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from . import images, programs
from .api import Cluster
from .errors import ClusterError
from .shell import say

__all__ = ["Verdict", "judge"]

AGNHOST_TAG = "e2e-test-images/agnhost:2.43"
"""The image that Cyclonus asks for, below the registry that it is told."""

REGISTRY = "localhost"
NAMESPACES = ("x", "y", "z")

SUBSET = (
    "any-peer",
    "any-port-protocol",
    "namespaces-by-default-label",
    "target-pod-selector",
    "update-policy",
)
"""Tags of the cases for every run: both directions, selectors, ports, and a change while pods run."""

FULL_SECONDS = 3 * 3600


@dataclass(frozen=True)
class Verdict:
    """What Cyclonus found."""

    passed: int
    failed: tuple[str, ...]
    """Names of the cases that went wrong."""

    seconds: float
    log: Path
    """Everything that Cyclonus printed, with a table of packets for each case that failed."""


def judge(cluster: Cluster, *, full: bool, include: str | None = None, exclude: str = "") -> Verdict:
    """Run a subset (10 cases) or all 230 against a cluster with a node.

    TCP and UDP, IPv4. The cluster's namespaces x, y and z are made and removed again.
    """
    archive, _ = images.single(f"{REGISTRY}/{AGNHOST_TAG}", programs.agnhost(), user="0:0")
    cluster.load_image(archive)
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "junit.xml"
        log = cluster.logs / "cyclonus.log"
        command = [
            *(str(programs.cyclonus()), "generate"),
            *("--image-registry", REGISTRY),
            *("--server-protocol", "TCP,UDP"),
            *("--job-timeout-seconds", "1"),
            *("--perturbation-wait-seconds", "1"),
            *("--retries", "0"),
            # Its model has policies also for what a pod sends to itself; Kubernetes' own rule is that
            # "a pod cannot block access to itself".
            "--ignore-loopback",
            *("--junit-results-file", str(results)),
            *_selection(full=full, include=include, exclude=exclude),
        ]
        started = time.monotonic()
        try:
            with log.open("w") as output:
                subprocess.run(
                    command, env=cluster.env, stdout=output, stderr=output, timeout=FULL_SECONDS, check=False
                )
        finally:
            with contextlib.suppress(ClusterError):
                cluster.kubectl("delete", "namespace", *NAMESPACES, "--ignore-not-found", timeout=180)
        if not results.exists():
            last = log.read_text(errors="replace")[-2000:]  # the log goes with the cluster
            raise ClusterError(f"Cyclonus did not come to an end; see {log}, which ends so:\n{last}")
        return _read(results, time.monotonic() - started, log)


def report(verdict: Verdict) -> None:
    """Say what was found."""
    for name in verdict.failed:
        say(f"  failed: {name}", color="31")
    print(f"Cyclonus: {verdict.passed} passed, {len(verdict.failed)} failed in {verdict.seconds:.0f} s ({verdict.log})")


def _selection(*, full: bool, include: str | None, exclude: str) -> list[str]:
    # Nothing excluded unless asked: its defaults leave out cases, among them all with an end port.
    cases = ["--include", include or ("" if full else ",".join(SUBSET)), "--exclude", exclude]
    if not full:
        # Four pods, not nine: a fifth of the pairs. All of its cases need z/c; these need no more than that.
        cases += ["--namespace", "x,z", "--pod", "a,c"]
    # To pods and not by service names: half the time, and the rules are about pods' addresses.
    return [*cases, "--destination-type", "pod-ip"]


def _read(results: Path, seconds: float, log: Path) -> Verdict:
    cases = list(ET.parse(results).getroot().iter("testcase"))
    failed = tuple(str(case.get("name")) for case in cases if case.find("failure") is not None)
    return Verdict(len(cases) - len(failed), failed, seconds, log)
