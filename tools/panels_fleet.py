"""What the dashboard of the fleet shows."""

from tools.panels import (
    BAD_ABOVE_0,
    BAD_BELOW_1,
    DAY,
    FROM_GATEWAYS,
    GOOD,
    ROW_TO_NAMESPACE,
    SERIES_TO_NAMESPACE,
    YES_NO,
    Query,
    Show,
    quantile,
    quantiles,
    requests,
    violations,
)
from tools.panels_who import OLDEST, WHO

REFUSED = 'namespace=~"$namespace",verdict="refused"'
TOLD = 'namespace=~"$namespace",source="egress"'
FLEET: dict[str, tuple[Show, ...]] = {
    "At a glance": (
        Show(
            "Agents ready",
            "stat",
            "short",
            (Query('sum(ringfence_agents{condition="Ready",status="True"})'),),
            "Agents whose fence stands and whose pods run in it.",
            3,
        ),
        Show(
            "Not ready",
            "stat",
            "short",
            (Query('sum(ringfence_agents{condition="Ready",status!="True"}) - sum(ringfence_agents_suspended)'),),
            "Agents that should run and do not, without those that are suspended. `kubectl get agd -A` names them.",
            3,
            BAD_ABOVE_0,
        ),
        Show(
            "Suspended",
            "stat",
            "short",
            (Query("sum(ringfence_agents_suspended)"),),
            "Agents that somebody suspended.",
            3,
        ),
        Show(
            "Not accepted",
            "stat",
            "short",
            (Query('sum(ringfence_agents{condition="Accepted",status!="True"})'),),
            "Agents that are stored and ask for more than their policies allow.",
            3,
            BAD_ABOVE_0,
        ),
        Show(
            "Violations",
            "stat",
            "short",
            (Query(f"sum({violations('source', '$__range')}) or vector(0)"),),
            "Attempts to leave the fence within the time shown.",
            3,
            (GOOD, ("yellow", 1), ("red", 50)),
        ),
        Show(
            "Webhook in force",
            "stat",
            "short",
            (Query("min(ringfence_admission_webhook_in_force)"),),
            "Whether admission is registered and fails closed.",
            3,
            BAD_BELOW_1,
            YES_NO,
        ),
        Show(
            "Certificate ends in",
            "stat",
            "s",
            (Query("min(ringfence_admission_certificate_expiry_timestamp_seconds) - time()"),),
            "The admission server's certificate. It is renewed a month before.",
            3,
            (("red", None), ("orange", 7 * DAY), ("green", 21 * DAY)),
        ),
        Show(
            "Oldest secret",
            "stat",
            "s",
            (Query('max(ringfence_secret_age_seconds{namespace=~"$namespace"})'),),
            "Age of the oldest secret that an agent holds.",
            3,
        ),
    ),
    "Violations": (
        Show(
            "Violations by source",
            "bars",
            "short",
            (Query(violations("source", "10m"), "{{source}}"),),
            "In the 10 minutes before each moment: refused by admission, not allowed any more, drift, fence widened, "
            "egress refused, secret too old.",
        ),
        Show(
            "Violations by namespace",
            "bars",
            "short",
            (Query(violations("namespace", "10m"), "{{namespace}}"),),
            "The same by the agents' namespace.",
            links=SERIES_TO_NAMESPACE,
        ),
        Show(
            "Broken rules",
            "table",
            "short",
            (Query(f"topk(20, {violations('source, rule, namespace', '$__range')})"),),
            "The 20 most frequent within the time shown.",
            links=(ROW_TO_NAMESPACE,),
        ),
    ),
    "Egress": (
        Show(
            "Requests by verdict",
            "bars",
            "short",
            (Query(f"{requests('verdict', '10m')} or vector(0)", "{{verdict}}"),),
            f"Of agents with hosts, in the 10 minutes before each moment. {FROM_GATEWAYS}",
        ),
        Show(
            "Refused by host",
            "bars",
            "short",
            (Query(f"topk(10, {requests('host', '10m', REFUSED)} > 0) or vector(0)", "{{host}}"),),
            "The 10 most frequent in the 10 minutes before each moment; all that agents did not declare is undeclared. "
            f"{FROM_GATEWAYS}",
        ),
        Show(
            "Refused by reason",
            "bars",
            "short",
            (Query(f"{violations('rule', '10m', TOLD)} or vector(0)", "{{rule}}"),),
            "As gateways tell the controller, in the 10 minutes before each moment. "
            "The Event `EgressRefused` names the agent.",
        ),
    ),
    "Which agents, and who": WHO,
    "Agents": (
        Show(
            "Conditions that are not True",
            "series",
            "short",
            (
                Query(
                    'sum by (condition) (ringfence_agents{status!="True",condition!="FenceWidened"})', "{{condition}}"
                ),
            ),
            "How many agents lack what. Those that are suspended are among them.",
        ),
        Show(
            "Longest wait",
            "series",
            "s",
            (Query("max by (condition) (ringfence_agents_longest_wait_seconds)", "{{condition}}"),),
            "The longest wait of any agent, by the first condition that is not True.",
        ),
        Show(
            "Writes to children",
            "bars",
            "short",
            (
                Query(
                    "sum by (kind, verb) (increase(ringfence_child_writes_total[$__rate_interval]))",
                    "{{verb}} {{kind}}",
                ),
            ),
            "None at rest: what is written is new, changed, or put back.",
        ),
        Show(
            "Fences widened by others",
            "series",
            "short",
            (Query('sum(ringfence_agents{condition="FenceWidened",status="True"})', "agents"),),
            "Agents that others' policies or bindings, or pods that were changed, give more than their spec says.",
        ),
        Show(
            "Left without their agent",
            "series",
            "short",
            (Query("max by (namespace) (ringfence_orphaned_objects) or vector(0)", "{{namespace}}"),),
            "Objects that carry the label of an agent that is not there.",
        ),
        Show(
            "No standing policy",
            "series",
            "short",
            (Query("max by (namespace) (ringfence_standing_policy_missing) or vector(0)", "{{namespace}}"),),
            "Namespaces in which the policy that fences all pods of agents cannot be stored.",
        ),
    ),
    "Secrets": (
        Show(
            "Oldest secret by namespace",
            "series",
            "s",
            (Query('max by (namespace) (ringfence_secret_age_seconds{namespace=~"$namespace"})', "{{namespace}}"),),
            "Falls to zero with each rotation.",
            6,
            links=SERIES_TO_NAMESPACE,
        ),
        Show(
            "Secrets by state",
            "series",
            "short",
            (Query('sum by (state) (ringfence_secrets{namespace=~"$namespace"})', "{{state}}"),),
            "due: the rotation is late; expired: older than the policy allows.",
            6,
        ),
        Show(
            "Rotations",
            "bars",
            "short",
            (
                Query(
                    "sum by (result) (increase(ringfence_secret_rotations_total"
                    '{namespace=~"$namespace"}[$__rate_interval]))',
                    "{{result}}",
                ),
            ),
            "Of secrets that Ringfence makes.",
            6,
        ),
        OLDEST,
    ),
    "Admission": (
        Show(
            "Reviews",
            "series",
            "reqps",
            (
                Query(
                    "sum by (operation, allowed) (rate(ringfence_admission_requests_total[$__rate_interval]))",
                    "{{operation}} allowed={{allowed}}",
                ),
            ),
            "Without dry runs.",
            6,
        ),
        Show(
            "Refusals by rule",
            "bars",
            "short",
            (Query("sum by (rule) (increase(ringfence_admission_refusals_total[10m])) > 0 or vector(0)", "{{rule}}"),),
            "In the 10 minutes before each moment.",
            6,
        ),
        Show(
            "Length of a review",
            "series",
            "s",
            quantiles("ringfence_admission_duration_seconds"),
            "After 5 s the API server gives up and refuses.",
            6,
        ),
        Show(
            "Not judged",
            "bars",
            "short",
            (Query("sum by (reason) (increase(ringfence_admission_failures_total[$__rate_interval]))", "{{reason}}"),),
            "Refused because they could not be judged.",
            6,
        ),
    ),
    "Controller": (
        Show(
            "Passes",
            "series",
            "ops",
            (Query("sum by (result) (rate(ringfence_reconcile_total[$__rate_interval]))", "{{result}}"),),
            "At rest none; agents that wait are looked at again after pauses of up to 10 minutes.",
            6,
        ),
        Show(
            "Length of a pass", "series", "s", quantiles("ringfence_reconcile_duration_seconds"), "Over one object.", 6
        ),
        Show(
            "Queue",
            "series",
            "short",
            (
                Query("max(ringfence_queue_depth)", "waiting"),
                Query("sum(rate(ringfence_queue_adds_total[$__rate_interval]))", "added a second"),
                Query("sum(rate(ringfence_queue_retries_total[$__rate_interval]))", "retried a second"),
            ),
            "Objects that wait for a pass.",
            6,
        ),
        Show(
            "Wait in the queue",
            "series",
            "s",
            quantiles("ringfence_queue_duration_seconds"),
            "Until the pass begins.",
            6,
        ),
        Show(
            "Leader",
            "series",
            "short",
            (Query("ringfence_leader", "{{pod}}"),),
            "1 for the one that leads.",
            8,
        ),
        Show(
            "Silence",
            "series",
            "s",
            (
                Query("time() - max(ringfence_watch_last_event_timestamp_seconds)", "since the last event"),
                Query("time() - max(ringfence_resync_last_success_timestamp_seconds)", "since the last comparison"),
            ),
            "Nodes alone send an event every 5 minutes; versions are compared every 10 minutes.",
            8,
        ),
        Show(
            "Ready replicas",
            "series",
            "short",
            (Query("sum by (component) (ringfence_ready)", "{{component}}"),),
            "By /readyz.",
            8,
        ),
    ),
    "Processes": (
        Show(
            "Event loop lag (p99)",
            "series",
            "s",
            (Query(quantile(0.99, "ringfence_event_loop_lag_seconds", "pod"), "{{pod}}"),),
            "How late everything is.",
            6,
        ),
        Show(
            "CPU",
            "series",
            "short",
            (
                Query(
                    "rate(process_cpu_seconds_total[$__rate_interval]) * on (cluster, pod) group_left (component) "
                    "ringfence_build_info",
                    "{{component}} {{pod}}",
                ),
            ),
            "Cores.",
            6,
        ),
        Show(
            "Memory",
            "series",
            "bytes",
            (
                Query(
                    "process_resident_memory_bytes * on (cluster, pod) group_left (component) ringfence_build_info",
                    "{{component}} {{pod}}",
                ),
            ),
            "Resident.",
            6,
        ),
        Show(
            "Requests to the API server",
            "series",
            "reqps",
            (
                Query(
                    "sum by (verb, code) (rate(ringfence_kube_requests_total[$__rate_interval]))", "{{verb}} {{code}}"
                ),
            ),
            "Without the controller's own watches.",
            6,
        ),
    ),
}
