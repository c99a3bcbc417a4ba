"""The gate: what the figures were, so that a run can say what moved.

Only ratios to a floor of the same run, counts and sizes are in it; a time in seconds tells more about the machine.
A limit is the mean of five runs times 1.2, or divided by it where more is better.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cluster import cache
from cluster.errors import ClusterError
from cluster.shell import say

__all__ = ["FIGURES", "Figure", "compare", "keep", "limits", "stored", "tell", "values", "write"]

FILE = Path(__file__).parent / "gate.json"
RUNS = 5
SLACK = 1.2
Limits = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Figure:
    """One number of a report: where it stands, what it is divided by, and which direction is good."""

    path: str
    better: Literal["less", "more"] = "less"
    per: str = ""


LAST = "scale.creation.steps.-1"
FIGURES: Mapping[str, Figure] = {
    "lint, times a bare interpreter": Figure("local.times_floor"),
    "start, times a bare Deployment's": Figure("start.times_floor"),
    "repair, times one write": Figure("repair.times_floor"),
    "editor: edits until the agent is stopped": Figure("editor.stop.edits_until_stopped"),
    "editor, SIGTERM ignored: share of probes answered": Figure("editor.stop_ignores_sigterm.while_it_ran.share"),
    "editor, agent kept: share of probes answered": Figure("editor.keep.while_it_ran.share"),
    "rotated file, times an ordinary Secret's": Figure("rotation.file.times_floor"),
    "gateway, terminated: of the direct rate": Figure("gateway.rates.of_direct.terminated", "more"),
    "gateway, tunnelled: of the direct rate": Figure("gateway.rates.of_direct.tunnelled", "more"),
    "gateway, terminated: of the direct download": Figure("gateway.download.of_direct.terminated", "more"),
    "gateway, tunnelled: of the direct download": Figure("gateway.download.of_direct.tunnelled", "more"),
    "gateway, terminated: of the direct upload": Figure("gateway.upload.of_direct.terminated", "more"),
    "gateway, tunnelled: of the direct upload": Figure("gateway.upload.of_direct.tunnelled", "more"),
    "gateway, terminated: streams that had all bytes": Figure("gateway.streams.terminated.whole", "more"),
    "gateway, tunnelled: streams that had all bytes": Figure("gateway.streams.tunnelled.whole", "more"),
    "gateway, terminated: memory in MiB with all streams": Figure("gateway.streams.terminated.rss_mib"),
    "gateway, tunnelled: memory in MiB with all streams": Figure("gateway.streams.tunnelled.rss_mib"),
    "gateway: ready, times an agent without hosts": Figure("gateway_start.times_floor"),
    "gateway: memory in MiB with 1 host": Figure("gateway.rss_mib.1_hosts_at_rest"),
    "gateway: memory in MiB with 128 hosts": Figure("gateway.rss_mib.128_hosts_at_rest"),
    "rest: writes": Figure("rest.writes"),
    "restart: needless writes": Figure("restart.writes"),
    "scale, creation: of a bare client's rate": Figure(f"{LAST}.of_floor", "more"),
    "scale, creation: of a bare client's rate by apply": Figure(f"{LAST}.of_floor_apply", "more"),
    "scale, creation: writing requests for each agent": Figure(f"{LAST}.writes_per_agent"),
    "scale, creation: reading requests for each agent": Figure(f"{LAST}.reads_per_agent"),
    "scale, creation: CPU for each child, times a bare client's": Figure(f"{LAST}.cpu_times_floor"),
    "scale, creation: memory in MiB": Figure(f"{LAST}.memory_mib.now"),
    "scale, rest: writes": Figure("scale.rest.requests.writes"),
    "scale, rest: requests a second": Figure("scale.rest.requests_per_second"),
    "scale, policy: writing requests for each agent": Figure(
        "scale.policy.to_refused.requests.writes_and_events", per="scale.policy.agents"
    ),
    "scale, restart: needless writes": Figure("scale.restart.needless_writes"),
    "scale, bad input: requests a second": Figure("scale.bad_input.requests_per_second"),
    "scale, un-ready: writes": Figure("scale.unready.requests.writes"),
    "scale, un-ready: requests a second": Figure("scale.unready.requests_per_second"),
    "scale, deletion: writing requests for each agent": Figure(
        "scale.deletion.requests.writes", per="scale.deletion.agents"
    ),
    "scale: log lines with an exception": Figure("scale.lines_with_an_exception"),
}
"""What is compared, by the name under which it is told."""


def values(report: Mapping[str, Any]) -> dict[str, float]:
    """The figures that a report has. Those of the scale trial carry its number of agents in their name."""
    agents = _at(report, "scale.agents")
    found = {}
    for name, figure in FIGURES.items():
        value, per = _at(report, figure.path), _at(report, figure.per) if figure.per else 1
        if value is not None and per:
            found[f"{name} ({agents:.0f} agents)" if figure.path.startswith("scale.") else name] = value / per
    return found


def limits(reports: Sequence[Mapping[str, Any]]) -> Limits:
    """Mean and limit of each figure, over the last five reports that have it."""
    measured: dict[str, list[float]] = {}
    for report in reports:
        for name, value in values(report).items():
            measured.setdefault(name, []).append(value)
    found = {}
    for name, series in sorted(measured.items()):
        mean = statistics.mean(series[-RUNS:])
        limit = mean * SLACK if _figure(name).better == "less" else mean / SLACK
        found[name] = {"mean": round(mean, 3), "limit": round(limit, 3), "runs": len(series[-RUNS:])}
    return found


def compare(report: Mapping[str, Any], known: Limits) -> dict[str, list[str]]:
    """What moved, in sentences: "worse" is beyond the limit, "better" as far away in the other direction."""
    moved: dict[str, list[str]] = {"worse": [], "better": [], "new": []}
    for name, value in values(report).items():
        if name not in known:
            moved["new"].append(f"{name}: {value:.3g}")
            continue
        mean, limit = known[name]["mean"], known[name]["limit"]
        told = f"{name}: {value:.3g}, was {mean:.3g} (limit {limit:.3g})"
        less = _figure(name).better == "less"
        if value > limit if less else value < limit:
            moved["worse"].append(told)
        elif value < mean / SLACK if less else value > mean * SLACK:
            moved["better"].append(told)
    return moved


def tell(report: Mapping[str, Any]) -> dict[str, list[str]]:
    """The same for the gate file as it stands, said on standard error too."""
    moved = compare(report, json.loads(FILE.read_text()))
    for word, colour in (("worse", "31"), ("better", "32"), ("new", "2")):
        for sentence in moved[word]:
            say(f"  {word}: {sentence}", color=colour)
    if not any(moved.values()):
        say("  nothing moved beyond the gate", color="2")
    return moved


def keep(report: Mapping[str, Any]) -> Path:
    """Store a report, for the gate's next writing."""
    folder = _results()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{time.strftime('%Y%m%dT%H%M%S')}.json"
    file.write_text(json.dumps(report, indent=1))
    return file


def stored() -> list[Path]:
    """Reports of this machine, the oldest first."""
    return sorted(_results().glob("*.json"))


def write(files: Sequence[Path]) -> Path:
    """Make the gate file from these reports, or from the stored ones. Figures that they have not stay as they are."""
    chosen = files or stored()
    if not chosen:
        raise ClusterError("no report is stored: run `make bench` first, or name the reports")
    known: Limits = json.loads(FILE.read_text())
    known |= limits([json.loads(file.read_text()) for file in chosen])
    FILE.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n")
    return FILE


def _results() -> Path:
    return cache.folder() / "bench"


def _figure(name: str) -> Figure:
    return FIGURES[name] if name in FIGURES else FIGURES[name.rpartition(" (")[0]]


def _at(report: Any, path: str) -> float | None:
    """The number at a path such as `a.b.-1.c`; None where there is none."""
    for word in path.split("."):
        if isinstance(report, list) and word.lstrip("-").isdigit() and report:
            report = report[int(word)]
        elif isinstance(report, Mapping) and word in report:
            report = report[word]
        else:
            return None
    return float(report) if isinstance(report, int | float) else None
