"""The table of docs/scaling.md from reports of `make bench`: `python -m bench.scale.table REPORT...` prints it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["table"]

Part = Mapping[str, Any]


def _creation(report: Part) -> Part:
    """The step at which all agents of the report were there."""
    last: Part = report["creation"]["steps"][-1]
    return last


def _rest(part: Part) -> str:
    return f"{part['percent_of_a_core']['controller']} %, {part['requests_per_second']}"


def _p99(part: Part) -> str:
    missing = f", {part['missing']} not at all" if part["missing"] else ""
    return f"{part['seconds']['p99']:.2f} s{missing}"


def _p50_p99(part: Part) -> str:
    missing = f", {part['missing']} not at all" if part["missing"] else ""
    return f"{part['seconds']['p50'] * 1000:.0f}, {part['seconds']['p99'] * 1000:.0f} ms{missing}"


def _takeovers(leader: Part) -> str:
    return ", ".join(f"{leader[way]['seconds_until_it_works']['max']:.1f} s" for way in ("killed", "terminated"))


RESTART = ("seconds_until_ready", "seconds_until_read", "seconds_until_all_were_looked_at")
ROWS: Sequence[tuple[str, str, Callable[[Part], str]]] = (
    (
        "creation: child writes, share of the bare client's rate",
        "60 % (1,000), 50 % (10,000)",
        lambda report: f"{_creation(report)['of_floor']:.0%}",
    ),
    (
        "creation: the same, beside a bare client that applies",
        "",
        lambda report: f"{_creation(report)['of_floor_apply']:.0%}",
    ),
    (
        "creation: writing, reading requests for each agent",
        "at most 9 writing",
        lambda report: f"{_creation(report)['writes_per_agent']}, {_creation(report)['reads_per_agent']}",
    ),
    (
        "creation: controller's CPU for 1,000 agents",
        "at most 8 s",
        lambda report: f"{_creation(report)['cpu_seconds_per_1000']['controller']} s",
    ),
    (
        "creation: API server's, etcd's CPU for 1,000 agents",
        "theirs",
        lambda report: ", ".join(
            f"{_creation(report)['cpu_seconds_per_1000'][one]} s" for one in ("apiserver", "etcd")
        ),
    ),
    (
        "memory of the controller, at rest and at most until then",
        "250 MiB (10,000)",
        lambda report: "{now:.0f}, {peak:.0f} MiB".format(**report["rest"]["memory_mib"]),
    ),
    ("rest: writes", "0", lambda report: str(report["rest"]["requests"]["writes"])),
    ("rest: share of a core, requests a second", "under 2 %, 1", lambda report: _rest(report["rest"])),
    ("all un-ready: share of a core, requests a second", "under 5 %, 5", lambda report: _rest(report["unready"])),
    (
        "one policy that touches all: until all are decided and told",
        "60 s",
        lambda report: f"{max(report['policy'][way]['seconds'] for way in ('to_refused', 'to_accepted'))} s",
    ),
    (
        "one agent's edit to its policy stored, p99, at 50 edits a second",
        "0.5 s",
        lambda report: _p99(report["edits"]),
    ),
    (
        "restart: until ready, until all is read, until all were looked at",
        "2 s (ready), 60 s (looked at)",
        lambda report: ", ".join(f"{report['restart'][until]} s" for until in RESTART),
    ),
    ("restart: needless writes", "0", lambda report: str(report["restart"]["needless_writes"])),
    (
        "leader killed, leader told to stop: until another works, the longest",
        "20 s, 3 s",
        lambda report: _takeovers(report["leader"]),
    ),
    (
        "1,000 agents that can never be served: share of a core",
        "50 %",
        lambda report: f"{report['bad_input']['percent_of_a_core']['controller']} %",
    ),
    (
        "repair of another agent, p99, without them and beside them",
        "the same",
        lambda report: ", ".join(_p99(report["bad_input"][way]) for way in ("repair_before", "repair_beside_them")),
    ),
    (
        "repair of an agent, p50 and p99, with nothing else to do",
        "",
        lambda report: _p50_p99(report["crowd"]["idle"]),
    ),
    (
        "the same beside 1,000 un-ready agents of another namespace",
        "50, 200 ms",
        lambda report: _p50_p99(report["crowd"]["beside_them"]),
    ),
    (
        "the same while 100 more are made there",
        "50, 200 ms",
        lambda report: _p50_p99(report["crowd"]["while_more_are_made"]),
    ),
    (
        "agents at which the p99 of a repair exceeds 5 s",
        "",
        lambda report: str(report["creation"]["cliff"]),
    ),
    (
        "deletion of all: until the last child is gone",
        "the garbage collector's",
        lambda report: f"{report['deletion']['seconds']} s",
    ),
)


def table(reports: Sequence[Part]) -> str:
    """Markdown. What a report has not is left empty."""
    scales = [report["scale"] for report in reports]
    head = ["what", *(f"{scale['agents']:,} agents" for scale in scales), "bar"]
    lines = [head, ["---"] * len(head)]
    lines += [[what, *(_cell(figure, scale) for scale in scales), bar] for what, bar, figure in ROWS]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _cell(figure: Callable[[Part], str], scale: Part) -> str:
    try:
        return figure(scale)
    except (KeyError, IndexError):  # that trial was not run, or it failed
        return ""


if __name__ == "__main__":
    sys.stdout.write(table([json.loads(Path(name).read_text()) for name in sys.argv[1:]]))
