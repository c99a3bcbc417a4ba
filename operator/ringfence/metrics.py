"""Every metric of Ringfence, in one registry. Labels are bounded: never a pod, a uid or free text."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

from ringfence import __version__

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series beside each counter, which nobody asks for
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

BUILD = Info("ringfence_build", "Version of Ringfence.", registry=REGISTRY)
BUILD.info({"version": __version__})

VIOLATIONS = Counter(
    "ringfence_violations",
    "Attempts to leave the fence, by source (admission: refused at the door; policy: no longer allowed; "
    "drift: a child edited or deleted by somebody else), rule and namespace.",
    ["source", "rule", "namespace"],
    registry=REGISTRY,
)

RECONCILES = Counter(
    "ringfence_reconcile",
    "Passes over one agent, by result (ok, refused, retry).",
    ["result"],
    registry=REGISTRY,
)
RECONCILE_SECONDS = Histogram(
    "ringfence_reconcile_duration_seconds",
    "Length of one pass over one agent.",
    # From one read-only pass (about 1 ms) to a pass whose writes are throttled.
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=REGISTRY,
)
CHILD_WRITES = Counter(
    "ringfence_child_writes",
    "Writes to children, by kind and verb (create, update, delete).",
    ["kind", "verb"],
    registry=REGISTRY,
)
QUEUE_DEPTH = Gauge("ringfence_queue_depth", "Agents waiting for a pass.", registry=REGISTRY)
AGENTS = Gauge(
    "ringfence_agents",
    "Agents by status of a condition type (True, False, Unknown).",
    ["condition", "status"],
    registry=REGISTRY,
)
LEADER = Gauge("ringfence_leader", "1 while this replica leads.", registry=REGISTRY)
LAST_EVENT = Gauge("ringfence_watch_last_event_timestamp_seconds", "When the last watch event came.", registry=REGISTRY)

ADMISSION_REQUESTS = Counter(
    "ringfence_admission_requests",
    "Reviews answered, by operation and verdict (allowed: true, false). Dry runs are not among them.",
    ["operation", "allowed"],
    registry=REGISTRY,
)
ADMISSION_REFUSALS = Counter(
    "ringfence_admission_refusals",
    "Refused reviews by broken rule; one review counts once for each rule that it breaks. Dry runs are not among them.",
    ["rule"],
    registry=REGISTRY,
)
ADMISSION_SECONDS = Histogram(
    "ringfence_admission_duration_seconds",
    "From the first byte of a review to the last of its answer.",
    # From one small review (about 1 ms) to the webhook's timeout of 5 s.
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
    registry=REGISTRY,
)
ADMISSION_CERTIFICATE_EXPIRY = Gauge(
    "ringfence_admission_certificate_expiry_timestamp_seconds",
    "When the certificate of the admission server ends: the one in use (admission), the one stored (controller).",
    registry=REGISTRY,
)
ADMISSION_WEBHOOK = Gauge(
    "ringfence_admission_webhook_in_force",
    "1 while the ValidatingWebhookConfiguration is there and each of its webhooks has failurePolicy Fail.",
    registry=REGISTRY,
)
