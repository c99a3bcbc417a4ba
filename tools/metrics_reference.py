"""docs/reference/metrics.md: every metric, from what the processes serve."""

from collections.abc import Iterable, Iterator
from typing import Protocol, cast

from prometheus_client import Metric
from prometheus_client.registry import Collector

from ringfence.gateway import log, naming
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
_REQUESTS = (
    "Requests of the agent that ended, and connections that were refused; a tunnel is one. Labels: host (as the spec "
    f"declares it, such as `*.example.com`; {naming.UNDECLARED}: any other, however many there are), verdict "
    f"({log.ALLOWED}: let through, and answered by the host or left by the agent; {log.REFUSED}: the spec does not "
    f"allow it; {log.LIMITED}: more, or longer, than is allowed; {log.FAILED}: the host did not answer)."
)
GATEWAYS = f"""\
## Of egress gateways

Each gateway has figures of its own, which are Envoy's: `/stats/prometheus` at the port `observe` of its pod, with
`envoy_` before their names. The chart's `monitoring.gatewayMonitor` takes the one below, and calls it as it is here; it
needs `networkPolicy.metrics.namespaceSelector`, which gateways let in, too. What Prometheus adds: `namespace`, and
`name` of the agent; so there are some few series for each agent with hosts.

| Name | Type | Meaning |
|---|---|---|
| `ringfence_{log.REQUESTS}` | counter | {_REQUESTS} |

They begin with the gateway's pod, and a series with its first request.
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
* `egress`: a request, or a connection, that an egress gateway refused because the spec does not allow it. Each counts
  that was told: of a flood some thousand a minute, and none while no controller leads for more than half a minute. All
  of them are in the gateways' own figures and logs. What was asked for too often, and what the host did not answer, is
  no violation.
* `rotation`: a secret that is older than the policies allow. It counts once, until it has a new value.

A controller that begins to lead counts once more what still holds of `policy`, `widening` and `rotation`.

These are **not** counted, and show elsewhere or nowhere:

* A packet that the cluster's network dropped. NetworkPolicies report nothing; some network plugins have metrics of
  their own.
* A request that the guards or the floor refused: the API server's audit log has it, and its metric
  `apiserver_validating_admission_policy_check_total` counts it.
* A request that the CRDs' schema refused: the API server says so to whoever sent it, before admission is asked.
* What the API server denied an agent by RBAC: its audit log has it.
* What an agent sent to a network or a Service that it may reach. Nobody looks at that; requests to hosts are in the
  gateways' figures and logs.
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
    return {PATH: "\n".join([HEAD, *parts, GATEWAYS, VIOLATIONS, TAIL])}


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
