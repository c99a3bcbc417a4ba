"""docs/reference/logs.md: the lines that say a decision or a change. tests/unit/telemetry/logs check them."""

from dataclasses import dataclass

PATH = "docs/reference/logs.md"
HEAD = """\
<!-- Made by `make generate` from tools/logs_reference.py. Do not edit. -->
# Logs

Each process writes one line for each decision and for each change to standard error: JSON in the cluster, text on a
terminal (`--log-format`). Nothing is said at rest. These lines have the fields listed here, always all of them;
whatever else is logged is for whoever looks for a fault, and may change.

* Every line has `timestamp` (RFC 3339, UTC), `level` and `event`, the name of the line.
* Values are bounded (1,000 characters, 50 entries), and what steers a terminal is replaced by U+FFFD.
* No value of a secret is in any line, at any level; nor are values of environment variables, arguments or annotations.
* `user` is whom the API server authenticated. `manager` is what a client calls itself (metadata.managedFields), and so
  a hint alone; whoever deleted something, or only took fields away, is in the API server's audit log, not here (null).
"""
ABOUT = "agent", "namespace"
REVIEW = (
    "uid",
    "operation",
    "kind",
    "namespace",
    "name",
    "user",
    "groups",
    "dryRun",
    "allowed",
    "rules",
    "paths",
    "reason",
)
AUTHOR = "manager", "changed_at"


@dataclass(frozen=True)
class Line:
    """One line: the process that writes it, its level, when it is written, its fields."""

    process: str
    level: str
    when: str
    fields: tuple[str, ...]


LINES = {
    "allowed": Line(
        "admission",
        "info",
        "A review that was allowed; at level debug where an update changes neither the spec nor labels, annotations, "
        "finalizers or owners. Deletions are not reviewed.",
        REVIEW,
    ),
    "refused": Line(
        "admission", "info", "A review that was refused; at level warning where it could not even be read.", REVIEW
    ),
    "condition": Line(
        "controller",
        "info",
        "A condition of an agent has another status or reason than before, and that is stored.",
        (*ABOUT, "generation", "type", "status", "previous", "reason", "message"),
    ),
    "not accepted": Line(
        "controller",
        "warning",
        "A stored spec breaks a rule that it did not break before: one line for each.",
        (*ABOUT, "generation", "rule", "path", *AUTHOR),
    ),
    "put back": Line(
        "controller",
        "warning",
        "A child of an agent was edited or deleted by somebody else, and is put right. Where that happens in a row, "
        "with no pause of a minute: the first time, the second, the fourth, the eighth, and so on.",
        (*ABOUT, "kind", "name", "rule", "count", *AUTHOR),
    ),
    "finalizers removed": Line(
        "controller",
        "warning",
        "A child of an agent was being deleted, and kept by somebody's finalizers: they are taken off, and it is made "
        "anew.",
        (*ABOUT, "kind", "name", "rule", "finalizers"),
    ),
    "pod ended": Line(
        "controller",
        "warning",
        "A pod of an edited Deployment, with a time to end that no pod of an agent has, is ended at once. In a row as "
        "with `put back`.",
        (*ABOUT, "kind", "name", "rule", "count"),
    ),
    "a run is over": Line(
        "controller",
        "info",
        "A run of an agent whose work ends is over, or was asked for and refused.",
        (*ABOUT, "name", "cause", "outcome", "reason"),
    ),
    "a service leads elsewhere": Line(
        "controller",
        "warning",
        "A Service that an agent may call leads to other pods than before; they are reached once the agent is changed.",
        (*ABOUT, "service", "previous", "leads_to"),
    ),
    "egress refused often": Line(
        "controller",
        "warning",
        "An agent's egress gateway refused ten requests or more within a minute; not said again for an hour. `field`: "
        "what would allow them, if anything would. Each of them is in the gateway's own record.",
        (*ABOUT, "rule", "count", "field"),
    ),
    "an egress gateway refused its configuration": Line(
        "controller",
        "error",
        "An agent's egress gateway is not ready, because Envoy refused a file of its configuration; said again and "
        "again while it is so. The gateway's own log says what was wrong with it.",
        ABOUT,
    ),
    "put back in a namespace": Line(
        "controller",
        "warning",
        "What a namespace has for all of its agents, a NetworkPolicy and a RoleBinding, was edited or deleted by "
        "somebody else, and is put right.",
        ("namespace", "kind", "name", "rule", *AUTHOR),
    ),
    "missing in a namespace": Line(
        "controller",
        "error",
        "One of the two cannot be stored: a stranger's has its name, or it is refused.",
        ("namespace", "kind", "name", "why"),
    ),
    "orphans": Line(
        "controller",
        "warning",
        "Objects carry an agent's label, and there is no such agent.",
        (*ABOUT, "objects", "stopped"),
    ),
    "fence widened": Line(
        "controller",
        "warning",
        "A policy or binding of others, or a pod that lost its label, widens an agent's fence, and did not before.",
        (*ABOUT, "rule", "name"),
    ),
    "stopped": Line(
        "controller",
        "error",
        "The pods of an agent are taken away: a part of its fence cannot be put right (Unfenced), or a child is edited "
        "again and again (FenceContested), or it does not fit its policies any more and one says `existing: Suspend` "
        "(SuspendedByPolicy), or it is being deleted (Deleting).",
        (*ABOUT, "reason", "why"),
    ),
    "read the cluster": Line(
        "controller",
        "info",
        "The leader has read everything, and begins to work.",
        ("seconds",),
    ),
    "nobody leads": Line(
        "controller",
        "error",
        "No leader, this replica included, was seen for 20 seconds; once, until there is one again.",
        ("lease", "identity", "why"),
    ),
    "admission is not registered as installed": Line(
        "controller",
        "error",
        "The webhook's registration or the floor is stored otherwise than the chart installed it: it may be passed. "
        "`helm upgrade` puts it back.",
        ("differences",),
    ),
    "admission is registered as installed": Line("controller", "info", "It is again.", ()),
    "a hand-over is undecided": Line(
        "controller",
        "warning",
        "A spec that names existing Secrets was seen first while admission was not registered as installed: it is not "
        "accepted (rule HandOverUndecided).",
        (*ABOUT, "generation", "secrets", "differences"),
    ),
    "existing secrets are handed over unchecked": Line(
        "controller",
        "warning",
        "The controller runs without `--registration`: whether admission could be passed when a spec was written is "
        "not looked at. Once, at the first agent that names an existing Secret.",
        (),
    ),
    "an address is not taken for the API server's": Line(
        "controller",
        "warning",
        "An EndpointSlice of the Service default/kubernetes announces addresses that are not believed: one line for "
        "each reason, when it is new.",
        ("slice", "addresses", "why"),
    ),
    "deleted": Line("controller", "info", "An agent is gone.", ABOUT),
    "made a secret": Line("controller", "info", "The first value of a generated secret.", (*ABOUT, "secret")),
    "rotated": Line("controller", "info", "A secret has a new value.", (*ABOUT, "secret", "rotated_at")),
    "rotation failed": Line(
        "controller", "warning", "A scheduled rotation job ended without success.", (*ABOUT, "secret", "job")
    ),
    "overlap is over": Line("controller", "info", "The value before was removed.", (*ABOUT, "secret")),
    "a secret was overwritten": Line(
        "controller",
        "warning",
        "Somebody else wrote the value of a generated secret.",
        (*ABOUT, "secret", "manager"),
    ),
    "a secret is too old": Line(
        "controller", "warning", "A secret is older than policies allow.", (*ABOUT, "secret", "rule", "rotated_at")
    ),
}
FIELDS = {
    "agent": "Name of the AgentDeployment.",
    "namespace": "That of the object.",
    "name": "Of the object; of the child, where one was put back.",
    "kind": "Of the object.",
    "uid": "Of the review (`request.uid`).",
    "operation": "CREATE, UPDATE; UNKNOWN where the review could not be read.",
    "user": "`userInfo.username`.",
    "groups": "`userInfo.groups`, the first ten.",
    "dryRun": "Whether nothing was to be stored.",
    "allowed": "The decision.",
    "rules": "Names of the broken [rules](rules.md).",
    "paths": "Fields that break them.",
    "reason": "Of a refusal that breaks no rule, the sentence; of a condition, its reason; why an agent is stopped.",
    "generation": "Of the spec that this is about.",
    "type": "Of the condition.",
    "status": "Of the condition: True, False, Unknown.",
    "previous": "Its status before, null where there was none; of a Service, where it led.",
    "service": "NAMESPACE/NAME:PORT of the Service.",
    "leads_to": "Labels and port of the pods that it leads to.",
    "message": "What the condition says to a person.",
    "rule": "Name of the rule; of drift ChildEdited, ChildDeleted, ChildHeld or PodLeftBehind; of secrets "
    "SecretTooOld; of egress why it was refused (HostNotDeclared, RequestNotAllowed, KeyNotAllowed, AddressNotAllowed, "
    "RequestMalformed).",
    "finalizers": "Names of the finalizers.",
    "count": "How many times in a row; of egress, within the minute.",
    "field": "The field of the AgentDeployment that would allow what is refused; null where none would.",
    "path": "Field that breaks it.",
    "manager": "Field manager that wrote last, where known; else null.",
    "changed_at": "When it did; else null.",
    "why": "The reason.",
    "differences": "Paths of fields, and whether each was added, removed or changed.",
    "slice": "NAMESPACE/NAME of the EndpointSlice.",
    "addresses": "What it announces: ADDRESS:PORT.",
    "objects": "KIND/NAME of each.",
    "stopped": "Whether what they can do is taken away (AgentPolicy, `spec.onOrphans`).",
    "secrets": "Names of the Secrets.",
    "seconds": "How long it took.",
    "secret": "Name in `spec.secrets`. Never its value.",
    "rotated_at": "When the value changed last.",
    "job": "Name of the Job.",
    "cause": "Why a run began: Spec, Schedule, Request.",
    "outcome": "How it ended: Succeeded, Failed, Ended (by Ringfence), Refused.",
    "lease": "Name of the Lease, in the release's namespace.",
    "identity": "Of the replica that says so: the name of its pod.",
}


def files() -> dict[str, str]:
    """Path -> content."""
    rows = [
        f"| `{name}` | {line.process} | {line.level} | {line.when} | {', '.join(f'`{one}`' for one in line.fields)} |"
        for name, line in LINES.items()
    ]
    meanings = [f"| `{name}` | {meaning} |" for name, meaning in FIELDS.items()]
    lines = ["## Lines", "", "| Event | Process | Level | When | Fields |", "|---|---|---|---|---|", *rows, ""]
    fields = ["## Fields", "", "| Field | Meaning |", "|---|---|", *meanings, ""]
    return {PATH: "\n".join([HEAD, *lines, *fields])}
