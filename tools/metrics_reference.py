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

* Labels are bounded: never a pod, a uid, free text, or any part of a secret's value. The number of series does not grow
  with the number of agents, except for those marked "Only with per-agent metrics" (chart value
  `monitoring.perAgentMetrics`), some five for each agent.
* A label `namespace` is that of the agents. Scrape with `honor_labels: true`, as the chart's monitors do, or Prometheus
  renames it to `exported_namespace`, and alerts and dashboards find nothing.
* Counters whose labels are known begin with 0; those of rotations begin with 0 when a namespace's first secret is seen.
  A series of violations begins with 1 at its first violation, which `increase()` does not see; the chart's recording
  rule `ringfence:violations:increase10m` allows for that.
* Beside these, each process serves its build (`ringfence_build_info`, labels `version`, `component`) and the usual
  `process_*` and `python_gc_*`.
"""
VIOLATIONS = """\
## What counts as a violation

`ringfence_violations_total` counts, by source:

* `admission`: a request about an AgentDeployment or an AgentPolicy that admission refused by a rule. It counts once for
  each rule that it breaks.
* `policy`: a stored agent that breaks a rule, because its policy became stricter, its namespace was closed, who asked
  for it lost a permission, or it was stored past admission. It counts once for each rule and field, and again when the
  agent is changed and still breaks it, or fitted in between.
* `drift`: an object of an agent, or of a namespace for all of its agents, that somebody else edited or deleted, and
  that was put back; the value of a generated secret that somebody else wrote. Each time counts.
* `widening`: a policy or binding of others, or a pod that was changed, by which an agent gets more than its spec says.
  It counts once, until it is gone.
* `rotation`: a secret that is older than the policies allow. It counts once, until it has a new value.

A controller that begins to lead counts once more what still holds of `policy`, `widening` and `rotation`.

These are **not** counted, and show elsewhere or nowhere:

* A packet that the cluster's network dropped. NetworkPolicies report nothing; some network plugins have metrics of
  their own.
* A request that the guards or the floor refused: the API server's audit log has it, and its metric
  `apiserver_validating_admission_policy_check_total` counts it.
* A request that the CRDs' schema refused: the API server says so to whoever sent it, before admission is asked.
* What the API server denied an agent by RBAC: its audit log has it.
* What an agent sent to a destination that it may reach. Nobody looks at that.
* A dry run, which is in admission's log alone; `ringfence lint` and `ringfence policy check FILE`.
* A request that could not be judged: `ringfence_admission_failures_total`.
* An agent that is not ready (`ringfence_agents`), a run that failed (`ringfence_runs_total`), a rotation that failed
  (`ringfence_secret_rotations_total`), a Service that leads to other pods (`ringfence_service_redirects_total`),
  objects whose agent is gone (`ringfence_orphaned_objects`).
"""
TAIL = """\
Alerts on these metrics: [runbooks](../runbooks/README.md). Dashboards: [layout](../dashboards.md).
"""


def files() -> dict[str, str]:
    """Path -> content."""
    parts = [f"## {title}\n\n{_table(collectors)}\n" for title, collectors in PARTS.items()]
    return {PATH: "\n".join([HEAD, *parts, VIOLATIONS, TAIL])}


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
