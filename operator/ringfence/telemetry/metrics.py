"""Every metric of Ringfence, declared once. Labels are bounded: never a pod, a uid or free text.

`REGISTRY` holds them all; `registry_of` gives what one process serves, so that nobody reads a 0 of a process that the
metric is not about. The help texts are the reference: `docs/reference/metrics.md` is made from them.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, Metric, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from ringfence import __version__
from ringfence.policy.model import RuleName
from ringfence.telemetry.collector import AgentCollector

Component = Literal["controller", "admission"]

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series beside each counter, which nobody asks for
REGISTRY = CollectorRegistry()


class OnceKnown(Gauge):
    """A gauge that is not there before it is set: a replica that stands by does not know, and 0 would be an answer."""

    _known = False

    def set(self, value: float) -> None:
        """Set the value; from now on it is served."""
        self._known = True
        super().set(value)

    def collect(self) -> Iterable[Metric]:
        """The gauge, if it is known."""
        return super().collect() if self._known else []


# --- both processes ---

READY = Gauge(
    "ringfence_ready",
    "1 while /readyz says that this process wants work. A controller that stands by is ready. "
    "Labels: component (controller, admission).",
    ["component"],
    registry=REGISTRY,
)
LOOP_LAG = Histogram(
    "ringfence_event_loop_lag_seconds",
    "How late the event loop gets to a timer, looked at twice a second: all else waits as long. No labels.",
    # From what an idle loop shows to where /healthz takes it for stuck (30 s).
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=REGISTRY,
)
KUBE_REQUESTS = Counter(
    "ringfence_kube_requests",
    "Requests to the API server, by outcome; the watch of AgentPolicies that is kopf's is not among them. "
    "Labels: verb (GET, WATCH, POST, PUT, PATCH, DELETE), code (the HTTP status; none: no answer came).",
    ["verb", "code"],
    registry=REGISTRY,
)
KUBE_SECONDS = Histogram(
    "ringfence_kube_request_duration_seconds",
    "From a request to the API server to the head of its answer. Labels: verb (GET, WATCH, POST, PUT, PATCH, DELETE).",
    ["verb"],
    # From a read nearby (2 ms) to the client's own limit of 30 s.
    buckets=(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=REGISTRY,
)


@cache
def series(metric: Any, *labels: str) -> Any:
    """The series with these labels, all of which are of bounded sets. `labels` alone takes 5 us each time."""
    return metric.labels(*labels)


def kube_request(verb: str, status: int | None, seconds: float) -> None:
    """One request to the API server, as `ringfence.kube` tells of it."""
    series(KUBE_REQUESTS, verb, "none" if status is None else str(status)).inc()
    if status is not None:
        series(KUBE_SECONDS, verb).observe(seconds)


VIOLATIONS = Counter(
    "ringfence_violations",
    "Attempts to leave the fence. Labels: source (admission: refused by it; policy: stored, and not allowed; "
    "drift: a child edited or deleted by somebody else, and put back; widening: a fence made wider from beside it; "
    "egress: refused by an egress gateway, of a flood some thousand a minute; "
    "rotation: a secret older than its policy allows), rule (for admission and policy a rule's name, see the rules' "
    "reference; for drift ChildEdited, ChildDeleted, ChildHeld, a child kept by somebody's finalizer, PodLeftBehind, a "
    "pod of an edited Deployment, and SecretOverwritten; for widening ForeignPolicy, ForeignBinding and PodRelabelled; "
    "for egress HostNotDeclared, RequestNotAllowed, KeyNotAllowed, AddressNotAllowed and RequestMalformed; "
    "for rotation SecretTooOld), namespace (of the agent; empty for what has none).",
    ["source", "rule", "namespace"],
    registry=REGISTRY,
)
ADMISSION_CERTIFICATE_EXPIRY = OnceKnown(
    "ringfence_admission_certificate_expiry_timestamp_seconds",
    "When the admission server's certificate ends: the one in use (admission), the one stored (the leading controller; "
    "absent with cert-manager). No labels.",
    registry=REGISTRY,
)

# --- controller ---

LEADER = Gauge("ringfence_leader", "1 while this replica leads, 0 while it stands by. No labels.", registry=REGISTRY)
LEADER_SEEN = OnceKnown(
    "ringfence_leader_last_seen_timestamp_seconds",
    "When this replica last saw a leader alive, itself or another that took or renewed the Lease; before it saw any, "
    "when it began to look. No labels.",
    registry=REGISTRY,
)
AGENTS = Gauge(
    "ringfence_agents",
    "AgentDeployments by what was observed of them; 0 where this replica does not lead. Labels: condition (a type of "
    "condition, such as Ready, Accepted), status (True, False, Unknown).",
    ["condition", "status"],
    registry=REGISTRY,
)
RUNS = Counter(
    "ringfence_runs",
    "Runs of agents whose work ends (run.mode Job and Schedule) that are over. Labels: namespace (of the agent), "
    "outcome (Succeeded; Failed; Ended: by Ringfence, before it was through; Refused: it was asked for, and did not "
    "begin).",
    ["namespace", "outcome"],
    registry=REGISTRY,
)
RECONCILES = Counter(
    "ringfence_reconcile",
    "Passes over one object. Labels: kind (AgentDeployment, AgentPolicy, Namespace, Pod), result (ok; retry: could not "
    "be finished and is tried again; error: a mistake of Ringfence's own, see the log).",
    ["kind", "result"],
    registry=REGISTRY,
)
RECONCILE_SECONDS = Histogram(
    "ringfence_reconcile_duration_seconds",
    "Length of one pass over one object. Labels: kind (AgentDeployment, AgentPolicy, Namespace, Pod).",
    ["kind"],
    # From one read-only pass (about 1 ms) to a pass whose writes are throttled.
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=REGISTRY,
)
CHILD_WRITES = Counter(
    "ringfence_child_writes",
    "Writes to the children of agents; none at rest. Labels: kind (of the child), verb (create, update, delete).",
    ["kind", "verb"],
    registry=REGISTRY,
)
QUEUE_DEPTH = Gauge(
    "ringfence_queue_depth",
    "Objects that wait for a pass. Labels: kind (AgentDeployment, AgentPolicy, Namespace, Pod).",
    ["kind"],
    registry=REGISTRY,
)
QUEUE_ADDS = Counter(
    "ringfence_queue_adds",
    "Objects put into the queue; one that waits already is not counted. Labels: kind (AgentDeployment, "
    "AgentPolicy, Namespace, Pod).",
    ["kind"],
    registry=REGISTRY,
)
QUEUE_RETRIES = Counter(
    "ringfence_queue_retries",
    "Objects put back after a pass that failed. Labels: kind (AgentDeployment, AgentPolicy, Namespace, Pod).",
    ["kind"],
    registry=REGISTRY,
)
QUEUE_SECONDS = Histogram(
    "ringfence_queue_duration_seconds",
    "How long an object waited in the queue for its pass. Labels: kind (AgentDeployment, AgentPolicy, Namespace, Pod).",
    ["kind"],
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60),
    registry=REGISTRY,
)
LAST_EVENT = OnceKnown(
    "ringfence_watch_last_event_timestamp_seconds",
    "When the last event of any watch came; nodes alone send one every five minutes. No labels.",
    registry=REGISTRY,
)
FIRST_READ = OnceKnown(
    "ringfence_first_read_seconds",
    "How long the leader took to read the cluster, before which it works on nothing; absent until then. It is ready "
    "while it reads, for a minute at the most. No labels.",
    registry=REGISTRY,
)
LAST_RESYNC = OnceKnown(
    "ringfence_resync_last_success_timestamp_seconds",
    "When all that is known was last compared with what is stored, by versions (`--resync`). No labels.",
    registry=REGISTRY,
)
STORE_DIFFERENCES = Counter(
    "ringfence_store_differences",
    "Objects that were known otherwise than they are stored: found by comparing versions, and put right. A watch had "
    "not told of them. Labels: kind (of the object).",
    ["kind"],
    registry=REGISTRY,
)
API_SERVER_ADDRESSES = Gauge(
    "ringfence_api_server_addresses",
    "Addresses that are announced as the API server's (EndpointSlices of the Service default/kubernetes), as the "
    "leading controller judges them; 0 where this replica does not lead. Agents with permissions reach the believed "
    "ones. Labels: state (believed: who answers there has shown the API server's certificate; doubted: see the log).",
    ["state"],
    registry=REGISTRY,
)
ORPHANS = Gauge(
    "ringfence_orphaned_objects",
    "Objects that carry an agent's label but have no agent: left by `kubectl delete --cascade=orphan`, or orphaned by "
    "an edit of their owners; absent where there are none. Labels: namespace.",
    ["namespace"],
    registry=REGISTRY,
)
STANDING_MISSING = Gauge(
    "ringfence_standing_policy_missing",
    "1 where the NetworkPolicy that fences all pods of agents of a namespace, whatever becomes of their agents, cannot "
    "be stored; else absent. Labels: namespace.",
    ["namespace"],
    registry=REGISTRY,
)
EVENTS_DROPPED = Counter(
    "ringfence_events_dropped",
    "Kubernetes Events that were not written: too many waited, or the API server refused them. No labels.",
    registry=REGISTRY,
)
ADMISSION_WEBHOOK = OnceKnown(
    "ringfence_admission_webhook_in_force",
    "1 while the ValidatingWebhookConfiguration and the floor (ValidatingAdmissionPolicy and its binding) are stored "
    "as the chart installed them, in every field but the caBundle; served by the leading controller. No labels.",
    registry=REGISTRY,
)
ROTATIONS = Counter(
    "ringfence_secret_rotations",
    "Rotations of secrets as the controller saw them. Labels: namespace (of the agent), result (rotated: a new value "
    "is stored; failed: a scheduled job ended without success).",
    ["namespace", "result"],
    registry=REGISTRY,
)
EGRESS_TOLD = Counter(
    "ringfence_egress_reports",
    "Messages of egress gateways about what they refused. Labels: result (taken; unknown: from an address that is of "
    "no gateway; unreadable; late: its rest did not come in time).",
    ["result"],
    registry=REGISTRY,
)
GATEWAY_UPDATES_REFUSED = Counter(
    "ringfence_gateway_updates_refused",
    "Messages of egress gateways that Envoy refused a file of their configuration, so that they are not ready; some in "
    "a minute while it is so. Labels: namespace (of the agent).",
    ["namespace"],
    registry=REGISTRY,
)
SERVICE_REDIRECTS = Counter(
    "ringfence_service_redirects",
    "Times that a Service led to other pods than before, counted for each agent that may call it: its selector or its "
    "target port was changed. Labels: namespace (of the agent).",
    ["namespace"],
    registry=REGISTRY,
)
AGENT_COLLECTOR = AgentCollector()
REGISTRY.register(AGENT_COLLECTOR)

# --- admission ---

ADMISSION_REQUESTS = Counter(
    "ringfence_admission_requests",
    "Reviews answered, without dry runs. Labels: operation (CREATE, UPDATE, DELETE, CONNECT, UNKNOWN), allowed (true, "
    "false).",
    ["operation", "allowed"],
    registry=REGISTRY,
)
ADMISSION_REFUSALS = Counter(
    "ringfence_admission_refusals",
    "Refused reviews by broken rule, without dry runs; one review counts once for each rule that it breaks. "
    "Labels: rule (see the rules' reference).",
    ["rule"],
    registry=REGISTRY,
)
ADMISSION_FAILURES = Counter(
    "ringfence_admission_failures",
    "Reviews that were refused because they could not be judged. Labels: reason (internal: a mistake of Ringfence's "
    "own, see the log; unsynced: the cluster is not read yet; malformed, too_long, slow: it could not be read).",
    ["reason"],
    registry=REGISTRY,
)
ADMISSION_SECONDS = Histogram(
    "ringfence_admission_duration_seconds",
    "From the first byte of a review to the last of its answer. No labels.",
    # From one small review (about 1 ms) to the webhook's timeout of 5 s.
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
    registry=REGISTRY,
)

OF_BOTH: tuple[Collector, ...] = (
    READY,
    LOOP_LAG,
    KUBE_REQUESTS,
    KUBE_SECONDS,
    VIOLATIONS,
    ADMISSION_CERTIFICATE_EXPIRY,
)
OF_ADMISSION: tuple[Collector, ...] = (ADMISSION_REQUESTS, ADMISSION_REFUSALS, ADMISSION_FAILURES, ADMISSION_SECONDS)
OF_CONTROLLER: tuple[Collector, ...] = (
    LEADER,
    LEADER_SEEN,
    AGENTS,
    RUNS,
    RECONCILES,
    RECONCILE_SECONDS,
    CHILD_WRITES,
    QUEUE_DEPTH,
    QUEUE_ADDS,
    QUEUE_RETRIES,
    QUEUE_SECONDS,
    LAST_EVENT,
    FIRST_READ,
    LAST_RESYNC,
    STORE_DIFFERENCES,
    API_SERVER_ADDRESSES,
    ORPHANS,
    STANDING_MISSING,
    EVENTS_DROPPED,
    ADMISSION_WEBHOOK,
    ROTATIONS,
    EGRESS_TOLD,
    GATEWAY_UPDATES_REFUSED,
    SERVICE_REDIRECTS,
    AGENT_COLLECTOR,
)
SERVED: dict[Component, tuple[Collector, ...]] = {
    "controller": OF_BOTH + OF_CONTROLLER,
    "admission": OF_BOTH + OF_ADMISSION,
}
"""Who serves what."""


def registry_of(component: Component) -> CollectorRegistry:
    """What a process of this kind serves on /metrics, with its build, its memory and its garbage."""
    registry = CollectorRegistry()
    for collector in SERVED[component]:
        registry.register(collector)
    build = Info(
        "ringfence_build", "The running program. Labels: version, component (controller, admission).", registry=registry
    )
    build.info({"version": __version__, "component": component})
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


# A counter that begins with its first increment begins with 1, and Prometheus sees no increase in that: what is
# known beforehand begins with 0. (Violations by namespace are not; the rules and dashboards allow for that.)
for _kind in ("AgentDeployment", "AgentPolicy", "Namespace", "Pod"):
    for _metric in (QUEUE_DEPTH, QUEUE_ADDS, QUEUE_RETRIES, QUEUE_SECONDS, RECONCILE_SECONDS):
        _metric.labels(_kind)
    for _result in ("ok", "retry", "error"):
        RECONCILES.labels(_kind, _result)
for _state in ("believed", "doubted"):
    API_SERVER_ADDRESSES.labels(_state)
for _operation in ("CREATE", "UPDATE", "DELETE"):
    for _allowed in ("true", "false"):
        ADMISSION_REQUESTS.labels(_operation, _allowed)
for _result in ("taken", "unknown", "unreadable", "late"):
    EGRESS_TOLD.labels(_result)
for _rule in RuleName:
    ADMISSION_REFUSALS.labels(str(_rule))
for _reason in ("internal", "unsynced", "malformed", "too_long", "slow"):
    ADMISSION_FAILURES.labels(_reason)
