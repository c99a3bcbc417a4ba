"""docs/reference/metrics.md: every metric, from what the processes serve."""

from collections.abc import Iterable, Iterator
from typing import Protocol, cast

from prometheus_client import Metric
from prometheus_client.registry import Collector

from ringfence.telemetry.metrics import OF_ADMISSION, OF_BOTH, OF_CONTROLLER

PATH = "docs/reference/metrics.md"
PARTS: dict[str, tuple[Collector, ...]] = {
    "Of both processes": OF_BOTH,
    "Of the controller": OF_CONTROLLER,
    "Of the admission server": OF_ADMISSION,
}
HEAD = """\
<!-- Made by `make generate` from operator/ringfence/telemetry. Do not edit. -->
# Metrics

Each pod of Ringfence serves `/metrics` on port 8080, in Prometheus' format.

* Labels are bounded: never a pod, a uid, free text or anything of a key. Series do not grow with the number of agents,
  but for those marked "Only with per-agent metrics" (chart value `monitoring.perAgentMetrics`), some five each.
* A label `namespace` is that of the agents. Scrape with `honor_labels: true`, as the chart's monitors do, or Prometheus
  renames it to `exported_namespace`, and alerts and dashboards find nothing.
* Counters whose labels are known begin with 0, those of rotations when a namespace's first key is seen. Violations by
  namespace begin with the first one, in which `increase()` sees nothing; the chart's recording rule
  `ringfence:violations:increase10m` allows for that.
* Beside these, each process serves its build (`ringfence_build_info`, labels `version`, `component`) and the usual
  `process_*` and `python_gc_*`.
"""
TAIL = """\
Alerts on these metrics: [runbooks](../runbooks/README.md). Dashboards: [layout](../dashboards.md).
"""


def files() -> dict[str, str]:
    """Path -> content."""
    parts = [f"## {title}\n\n{_table(collectors)}\n" for title, collectors in PARTS.items()]
    return {PATH: "\n".join([HEAD, *parts, TAIL])}


class _Described(Protocol):
    def describe(self) -> Iterable[Metric]: ...


def families(*collectors: Collector) -> Iterator[Metric]:
    """What collectors serve, with the names that a scrape has, whether or not there is a value yet."""
    for collector in collectors:
        yield from cast("_Described", collector).describe()


def _table(collectors: tuple[Collector, ...]) -> str:
    rows = [f"| `{_name(family)}` | {family.type} | {family.documentation} |" for family in families(*collectors)]
    return "\n".join(["| Name | Type | Meaning |", "|---|---|---|", *rows])


def _name(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name
