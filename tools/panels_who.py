"""What the dashboard of the fleet shows of single agents, and where those who did something are named."""

from tools.panels import BAD_ABOVE_0, ROW_TO_NAMESPACE, TO_AGENT, Query, Show

THERE = '{namespace=~"$namespace"}'
ROW = (ROW_TO_NAMESPACE, TO_AGENT)
"""From a row of these tables to its namespace and its agent."""
NAMES = """\
Labels of metrics never name a person, nor an agent that was refused. These do. The audit log is the API server's.

| source | which agent | who |
|---|---|---|
| `admission` | `namespace` and `name` in admission's log lines `refused` | `user` and `groups` in the same line |
| `policy` | reason `Refused` or `Invalid` in `kubectl get agd -A` | `manager` in the log lines `not accepted` |
| `drift` | *Fences put back* above; Events `DriftRepaired` | `manager` in the log lines `put back`; the audit log |
| `widening` | reason `FenceWidened` in `kubectl get agd -A`; log lines `fence widened` | the audit log |
| `egress` | Events `EgressRefused`; log lines `egress refused often`; the gateways' logs | nobody: the agent asked |
| `rotation` | *Oldest secrets* below; reason `SecretTooOld` in `kubectl get agd -A` | nobody: a rotation failed |
| refused by a guard: no violation | the audit log | the audit log |

Ringfence in the namespace `ringfence-system`:

```text
kubectl -n ringfence-system logs -l app.kubernetes.io/component=admission --tail=-1 | grep '"refused"'
kubectl -n ringfence-system logs -l app.kubernetes.io/component=controller --tail=-1 | grep '"put back"'
kubectl get events -A --field-selector reason=DriftRepaired
kubectl get events -A --field-selector reason=EgressRefused
```

With Loki, where `namespace` of a stream is that of the pod:

```text
{namespace="ringfence-system"} | json | event="refused" | namespace_extracted=~"${namespace:pipe}"
```
"""

WHO: tuple[Show, ...] = (
    Show(
        "Agents that wait",
        "table",
        "s",
        (Query(f"topk(20, max by (cluster, namespace, name, condition) (ringfence_agent_wait_seconds{THERE}))"),),
        "For the first condition that is not True, and for how long. Needs `monitoring.perAgentMetrics`.",
        links=ROW,
        counts="waited",
    ),
    Show(
        "Fences put back",
        "table",
        "short",
        (
            Query(
                "topk(20, sum by (cluster, namespace, name) "
                f"(round(increase(ringfence_agent_repairs_total{THERE}[$__range]))) > 0)"
            ),
        ),
        "Agents whose children somebody edited or deleted within the time shown. Needs `monitoring.perAgentMetrics`.",
        steps=BAD_ABOVE_0,
        links=ROW,
        counts="times",
    ),
    Show(
        "Agents that break rules",
        "table",
        "short",
        (Query(f"topk(20, max by (cluster, namespace, name) (ringfence_agent_broken_rules{THERE}))"),),
        "As they are stored; `kubectl describe agd` names the rules. Needs `monitoring.perAgentMetrics`.",
        steps=BAD_ABOVE_0,
        links=ROW,
        counts="rules",
    ),
    Show(
        "Where names are",
        "text",
        "short",
        (),
        "Where to look for who did it, and for the agent.",
        24,
        text=NAMES,
        height=13,
    ),
)

OLDEST = Show(
    "Oldest secrets",
    "table",
    "s",
    (Query(f"topk(20, max by (cluster, namespace, name, secret) (ringfence_agent_secret_age_seconds{THERE}))"),),
    "By agent. Needs `monitoring.perAgentMetrics`.",
    6,
    links=ROW,
    counts="age",
)
