"""docs/security/results.md: what the pack of e2e/catalogue said on the built-in cluster, from the files of its runs."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

PATH: Final = "docs/security/results.md"
FOLDER: Final = "e2e/catalogue/results"
RUNS: Final = ("kubernetes-administrator", "kubernetes-tenant", "ringfence-administrator", "ringfence-tenant")
TITLES: Final = {
    "agents": "AgentDeployments that ask for too much",
    "bindings": "Permissions bound to the agent's ServiceAccount",
    "networkpolicies": "Networks opened by another NetworkPolicy",
    "objects": "Everything else beside an agent",
}
HEAD: Final = """\
<!-- Made by `make generate` from e2e/catalogue/results, which `make catalogue` writes. Do not edit. -->
# What the catalogue says: Ringfence, and Pod Security alone

The [pack of cases](../../e2e/catalogue/README.md) on the built-in cluster (its API server, with the controller and
admission as processes beside it), by its own runner. Two who try: an administrator of the namespace (ClusterRole
`admin` there), and a cluster administrator, whom RBAC stops nowhere. "Pod Security" is a namespace that enforces
`restricted`, with an agent as a Deployment behind a NetworkPolicy that allows nothing, and no policy engine. It is no
judgement on Pod Security, which is about pods alone, and was never meant to do the rest.

A number is of cases: refused / tried. Kinds that the cluster does not have are left out (policies of Cilium, Calico and
their like).
"""

Row = Mapping[str, str]


def files(root: Path) -> dict[str, str]:
    """Path -> content; nothing before there are results."""
    runs = {name: _read(root / FOLDER / f"{name}.json") for name in RUNS}
    return {PATH: _document(runs)}


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _document(runs: Mapping[str, Mapping[str, Any]]) -> str:
    names = [run["about"] for run in runs.values()]
    lines = [HEAD, _head("", names)]
    lines += [_sums(title, [_of(run, form, "refused") for run in runs.values()]) for form, title in TITLES.items()]
    lines.append(_sums("**Refused, of what must be**", [_of(run, "", "refused") for run in runs.values()]))
    lines.append(_sums("Refused, of what must pass", [_of(run, "", "accepted") for run in runs.values()]))
    lines += ["", "## Who refuses", "", "| by | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    counts = [Counter(one["by"] for one in run["cases"] if one["verdict"] == "refused") for run in runs.values()]
    for by in sorted({by for count in counts for by in count}):
        lines.append(f"| {by} | " + " | ".join(str(count[by] or "") for count in counts) + " |")
    lines += ["", '"API server": its own checks, the schema of a kind among them.']
    for form, title in TITLES.items():
        own = {name: run for name, run in runs.items() if _of(run, form, "refused")}
        lines += ["", f"## {title}", "", _head("id", [run["about"] for run in own.values()])]
        ids = dict.fromkeys(one["id"] for run in own.values() for one in _of(run, form, "refused"))
        for one in ids:
            rows = [[row for row in _of(run, form, "refused") if row["id"] == one] for run in own.values()]
            lines.append(_sums(one, rows))
    return "\n".join(lines) + "\n"


def _of(run: Mapping[str, Any], form: str, expect: str) -> list[Row]:
    """The cases of a form (empty: of all) that could be tried."""
    return [
        one for one in run["cases"] if form in {"", one["form"]} and one["expect"] == expect and one["verdict"] != "n/a"
    ]


def _head(first: str, names: Sequence[str]) -> str:
    return f"| {first} | " + " | ".join(names) + " |\n|---|" + "---|" * len(names)


def _sums(title: str, columns: Sequence[Sequence[Row]]) -> str:
    cells = [f"{sum(one['verdict'] == 'refused' for one in rows)} / {len(rows)}" if rows else "" for rows in columns]
    return f"| {title} | " + " | ".join(cells) + " |"
