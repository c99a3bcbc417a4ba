"""The account of one agent: what it may reach and do, its secrets, what is observed and what happened. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ringfence.api.agentpolicy import PolicyPermissions
from ringfence.policy.decide import binding
from ringfence.policy.limits import described
from ringfence.policy.model import Facts, NamedPolicy
from ringfence.policy.opened import Opening, closed_for_good, opening
from ringfence.policy.text import listed
from ringfence.policy.together import together
from ringfence.resources.dns import NAMESPACE_NAME_LABEL
from ringfence.resources.network import DNS_LINE

from .hosts import host_lines, named_hosts
from .status import row

_MOST_HOSTS: Final = 8
MOST_EVENTS: Final = 10
"""Violations shown, the newest first; the rest is counted."""


@dataclass(frozen=True)
class Seen:
    """What the cluster showed. None: this user may not see it, or it is not there; the account says so.

    `allow_policy`: the stored NetworkPolicy with the agent's paths. `events`: Warnings about the agent.
    `unreadable`: names of those policies that this version cannot read, and that therefore allow nothing.
    `own_namespace`: where Ringfence runs.
    """

    agent: Mapping[str, Any]
    allow_policy: Mapping[str, Any] | None = None
    events: Sequence[Mapping[str, Any]] | None = None
    namespace_labels: Mapping[str, str] | None = None
    policies: Sequence[NamedPolicy] | None = None
    unreadable: Sequence[str] = ()
    own_namespace: str | None = None

    @property
    def opening(self) -> Opening:
        """What the agent's namespace is to agents."""
        facts = Facts(namespace_labels=self.namespace_labels, own_namespace=self.own_namespace)
        return opening(self.agent["metadata"]["namespace"], facts)


def account(seen: Seen) -> dict[str, Any]:
    """The documented JSON form; the text shows the same."""
    agent = seen.agent
    metadata, spec, status = agent["metadata"], agent.get("spec") or {}, agent.get("status") or {}
    short = row(agent)
    return {
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "created": metadata.get("creationTimestamp"),
        "ready": short.ready is True,
        "since": short.since,
        "reason": short.reason,
        "message": short.message,
        "image": spec.get("image"),
        "pods": short.pods,
        "suspended": bool(spec.get("suspended")),
        "generation": metadata.get("generation"),
        "acceptedGeneration": status.get("acceptedGeneration"),
        "egress": _egress(seen, status),
        "ingress": _ingress(seen, spec),
        "permissions": {"level": short.level, "rights": list(status.get("effectivePermissions") or [])},
        "secrets": _secrets(spec, status),
        "conditions": list(status.get("conditions") or []),
        "violations": _violations(seen.events),
        "policies": _policies(seen),
        "together": _together(seen),
        "namespaceOpen": None if seen.opening is Opening.UNKNOWN else seen.opening is Opening.OPEN,
        "namespaceClosed": _closed(seen),
    }


def _egress(seen: Seen, status: Mapping[str, Any]) -> dict[str, Any]:
    """What is in force, by the status; DNS by the stored policy where that can be read."""
    shown = status.get("effectiveEgress") or []
    dns = any(line.startswith(DNS_LINE) for line in shown)
    if seen.allow_policy is not None:
        stored = (seen.allow_policy.get("spec") or {}).get("egress") or []
        dns = any(port.get("protocol") == "UDP" for rule in stored for port in rule.get("ports") or [])
    return {
        "destinations": [line for line in shown if not line.startswith(DNS_LINE)],
        "hosts": list(host_lines(named_hosts(seen.agent))),
        "dns": dns,
        "apiServer": bool(status.get("effectivePermissions")),
    }


def _ingress(seen: Seen, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Who may connect. `observed`: read from the stored NetworkPolicy; else what the spec asks for."""
    if seen.allow_policy is not None:
        rules = (seen.allow_policy.get("spec") or {}).get("ingress") or []
        return {"observed": True, "callers": [_caller(rule) for rule in rules]}
    own = seen.agent["metadata"]["namespace"]
    numbers = {port.get("name"): port.get("port") for port in spec.get("ports") or []}
    callers = [
        {
            "namespace": (rule.get("from") or {}).get("namespace") or own,
            "podLabels": (rule.get("from") or {}).get("podLabels") or {},
            "port": numbers.get(rule.get("port")),
        }
        for rule in (spec.get("network") or {}).get("ingress") or []
    ]
    return {"observed": False, "callers": callers}


def _caller(rule: Mapping[str, Any]) -> dict[str, Any]:
    peer: Mapping[str, Any] = next(iter(rule.get("from") or []), {})
    port: Mapping[str, Any] = next(iter(rule.get("ports") or []), {})
    namespaces = ((peer.get("namespaceSelector") or {}).get("matchLabels") or {}).get(NAMESPACE_NAME_LABEL)
    labels = (peer.get("podSelector") or {}).get("matchLabels") or {}
    return {"namespace": namespaces, "podLabels": labels, "port": port.get("port")}


def _secrets(spec: Mapping[str, Any], status: Mapping[str, Any]) -> list[dict[str, Any]]:
    known = {one.get("name"): one for one in status.get("secrets") or []}
    asked = {one.get("name"): one for one in spec.get("secrets") or []}
    return [_key(name, asked.get(name) or {}, known.get(name) or {}) for name in {**asked, **known}]


def _key(name: str, asked: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    source, delivery = asked.get("source") or {}, asked.get("delivery") or {}
    rotation = asked.get("rotation") or {}
    existing = source.get("existing") or {}
    return {
        "name": name,
        "source": f"Secret {existing.get('secretName')}" if existing else "generated" if source else "not in the spec",
        "delivery": (delivery.get("file") or {}).get("path") or _variable(delivery),
        "every": rotation.get("every"),
        "overlap": rotation.get("overlap"),
        "lastRotated": known.get("lastRotated"),
        "nextRotation": known.get("nextRotation"),
    }


def _variable(delivery: Mapping[str, Any]) -> str | None:
    name, through = (delivery.get("env") or {}).get("name"), delivery.get("gateway") or {}
    if through:
        return f"${through.get('env')} (placeholder), sent to {through.get('host')}"
    return f"${name}" if name else None


def _violations(events: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]] | None:
    """The same sentence once, with its newest time and how often; the newest first."""
    if events is None:
        return None
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for event in events:
        reason, message = str(event.get("reason", "")), str(event.get("message", ""))
        one = found.setdefault((reason, message), {"reason": reason, "message": message, "count": 0, "last": ""})
        one["count"] += max(1, (event.get("series") or {}).get("count") or event.get("count") or 1)
        one["last"] = max(one["last"], _time(event))
    return sorted(found.values(), key=lambda one: str(one["last"]), reverse=True)


def _time(event: Mapping[str, Any]) -> str:
    """The newest time that an Event knows of; it depends on who wrote it which field has it."""
    times = (
        (event.get("series") or {}).get("lastObservedTime"),
        event.get("lastTimestamp"),
        event.get("eventTime"),
        (event.get("metadata") or {}).get("creationTimestamp"),
    )
    return next((str(time) for time in times if time), "")


def _policies(seen: Seen) -> list[dict[str, Any]] | None:
    """Those that bind the namespace, as `decide` chooses them; None where that cannot be told."""
    if seen.policies is None or seen.namespace_labels is None:
        return None
    bound = binding(seen.policies, Facts(namespace_labels=seen.namespace_labels))
    return [_told(one, readable=one.name not in seen.unreadable) for one in bound]


def _together(seen: Seen) -> list[dict[str, Any]] | None:
    """What they allow together, field by field, and which of them narrow it; None where that cannot be told."""
    if seen.policies is None or seen.namespace_labels is None:
        return None
    found = together(binding(seen.policies, Facts(namespace_labels=seen.namespace_labels)))
    known = {policy.name: policy.name.partition(" ")[0] for policy in seen.policies}  # one may have a remark behind it
    return [
        {"field": one.path, "value": one.value, "narrowedBy": [known.get(name, name) for name in one.policies]}
        for one in found
    ]


def _told(policy: NamedPolicy, *, readable: bool) -> dict[str, Any]:
    """One that cannot be read allows nothing: there are no bounds to tell."""
    name = policy.name if readable else policy.name.partition(" ")[0]
    return {"name": name, "readable": readable, "bounds": _bounds(policy) if readable else []}


def _bounds(policy: NamedPolicy) -> list[str]:
    """What a reader wants to know first, in few words."""
    spec = policy.spec
    found = [f"level up to {spec.permissions.max_level}"]
    if spec.permissions.allow is not None:
        found.append(f"only the rights of its {len(spec.permissions.allow)} rules")
    found += _elsewhere(spec.permissions)
    found += _by_name(policy)
    found.append(f"addresses in {', '.join(spec.egress.cidrs)}" if spec.egress.cidrs else "no egress by address")
    if spec.egress.service_namespaces:
        found.append(f"Services of {', '.join(spec.egress.service_namespaces)}")
    if spec.egress.dns == "Never":
        found.append("no DNS")
    if spec.images.registries != ["*"]:
        found.append(f"images of {', '.join(spec.images.registries) or 'nowhere'}")
    if not spec.images.require_digest:
        found.append("images without a digest")
    if spec.images.signed_by:
        found.append(f"images signed by {' or '.join(key.name for key in spec.images.signed_by)}")
    if spec.sandbox.runtime_class_names:
        found.append(f"sandbox {' or '.join(spec.sandbox.runtime_class_names)}")
    if spec.connections.groups:
        found.append(f"exec into agents for {', '.join(spec.connections.groups)}")
    if spec.existing == "Suspend":
        found.append("agents that no longer fit are suspended")
    return [*found, f"secrets for {spec.secrets.max_age}", *described(spec)]


def _by_name(policy: NamedPolicy) -> Iterator[str]:
    """Entries that count."""
    for hosts, what in (
        (policy.allowed_hosts, "hosts"),
        (policy.tunnel_hosts, "tunnels to"),
        (policy.unkeyed_hosts, "any secret for"),
    ):
        if hosts:
            yield f"{what} {listed(sorted(one.name for one in hosts), _MOST_HOSTS)}"


def _elsewhere(bounds: PolicyPermissions) -> Iterator[str]:
    if bounds.namespaces:
        yield f"permissions in {', '.join(bounds.namespaces)} where these consent"
    if bounds.cluster_reads:
        yield f"reads of {', '.join(bounds.cluster_reads)} of the cluster"


def _closed(seen: Seen) -> str | None:
    """Why the namespace is not open; None where it is, or may be."""
    match seen.opening:
        case Opening.OPEN | Opening.UNKNOWN:
            return None
        case Opening.UNLABELLED:
            return "This namespace is not open to agents: it lacks the label that opens it."
        case where:
            return (
                f"This namespace is not open to agents: {closed_for_good(seen.agent['metadata']['namespace'], where)}."
            )
