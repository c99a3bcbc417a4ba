"""What `ringfence doctor` finds wrong, from what it saw of a cluster. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from ringfence.api.names import AGENTS_ENABLED, AGENTS_LABEL, CEILING_CLUSTER_ROLE

OLDEST: Final = (1, 31)
"""Oldest Kubernetes: the first with all that the CRDs' rules and the floor use."""
RENEW_BEFORE: Final = timedelta(days=7)
"""A certificate that ends sooner should have been renewed."""
ENOUGH_CANARIES: Final = 2
CRDS: Final = ("agentdeployments.ringfence.dev", "agentpolicies.ringfence.dev")
ENFORCING: Final[Mapping[str, str]] = {
    "calico-node": "Calico",
    "cilium": "Cilium",
    "anetd": "GKE Dataplane V2",
    "antrea-agent": "Antrea",
    "kube-router": "kube-router",
    "ovnkube-node": "OVN-Kubernetes",
    "weave-net": "Weave Net",
    "azure-npm": "Azure NPM",
}
"""DaemonSet -> the network that it is of: these enforce NetworkPolicies."""
IGNORING: Final[Mapping[str, str]] = {"kube-flannel-ds": "Flannel"}
"""The same of those that do not."""


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Check:
    """One check. `fix`: a command, or what to do, where it is not ok."""

    name: str
    state: State
    message: str
    fix: str = ""

    def as_json(self) -> dict[str, str]:
        """The documented JSON form."""
        return {"check": self.name, "state": str(self.state), "message": self.message, "fix": self.fix}


@dataclass(frozen=True)
class Seen:
    """What the cluster showed. None: this user may not see it; the check then says so.

    `crds`: name -> whether it has every field of this version; one that is not there is left out.
    `certificate_ends`: of the CA in the webhook's registration. `addresses`: of the admission server that are ready.
    `canaries`: those that are ready; without one no agent's pod starts.
    `floor`: names of its ValidatingAdmissionPolicies. `requester`: whether who asks for an agent is recorded.
    """

    version: str
    crds: Mapping[str, bool] | None = None
    leads: bool | None = None
    leader: str = ""
    webhook: bool | None = None
    certificate_ends: datetime | None = None
    addresses: int | None = None
    canaries: int | None = None
    floor: Sequence[str] | None = None
    requester: bool | None = None
    daemon_sets: Sequence[str] | None = None
    dns_pods: int | None = None
    dns: str = ""
    node_local: bool = False
    cilium: Mapping[str, Any] | None = None
    """Data of its ConfigMap; None: the network is another one."""
    api_server_on_nodes: Sequence[str] = ()
    """Those addresses of the API server that are also addresses of nodes."""
    ceiling: bool | None = None
    namespaces: Sequence[Mapping[str, Any]] | None = None
    hidden: Mapping[str, str] = field(default_factory=dict)
    """Check -> what the API server says of the right that is missing."""


def diagnose(seen: Seen, now: datetime) -> list[Check]:
    """All checks, in the order in which to mend."""
    found = [
        _version(seen),
        _crds(seen),
        _controller(seen),
        *_admission(seen, now),
        _canary(seen),
        _floor(seen),
        _requester(seen),
        _grants(seen),
        _network(seen),
        *_api_server(seen),
        _dns(seen),
        _namespaces(seen),
    ]
    return unless_hidden(found, seen.hidden)


def unless_hidden(found: Sequence[Check], hidden: Mapping[str, str]) -> list[Check]:
    """The same; those that this user may not see are unknown. `hidden`: check -> what the API server says of it."""
    return [
        Check(one.name, State.UNKNOWN, f"you may not see it: {hidden[one.name]}", "ask for the right, or an admin")
        if one.name in hidden
        else one
        for one in found
    ]


def _version(seen: Seen) -> Check:
    numbers = [int(part) for part in seen.version.lstrip("v").split(".")[:2] if part.isdecimal()]
    if len(numbers) < len(OLDEST):
        return Check("kubernetes", State.UNKNOWN, f"version {seen.version}", "kubectl version")
    if tuple(numbers) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return Check("kubernetes", State.WRONG, f"{seen.version} is older than {oldest}", "upgrade the cluster")
    return Check("kubernetes", State.OK, seen.version)


def _crds(seen: Seen) -> Check:
    known = seen.crds or {}
    if missing := [name for name in CRDS if name not in known]:
        fix = "helm install ringfence-crds, or: ringfence crds | kubectl apply --server-side -f -"
        return Check("crds", State.WRONG, f"not there: {', '.join(missing)}", fix)
    if older := [name for name in CRDS if not known[name]]:
        fix = "helm upgrade ringfence-crds, or: ringfence crds | kubectl apply --server-side -f -"
        return Check("crds", State.WARNING, f"without fields that this version has: {', '.join(older)}", fix)
    return Check("crds", State.OK, "as this version has them")


def _controller(seen: Seen) -> Check:
    if seen.leads:
        return Check("controller", State.OK, seen.leader)
    state = State.UNKNOWN if seen.leads is None else State.WRONG
    return Check("controller", state, seen.leader, "kubectl get pods -n ringfence-system; --lease names another Lease")


def _admission(seen: Seen, now: datetime) -> Iterator[Check]:
    if not seen.webhook:
        yield Check(
            "webhook", State.WRONG, "it is not registered: nothing is decided at admission", "helm upgrade ringfence"
        )
        return
    if seen.addresses == 0:
        fix = "kubectl get pods -n ringfence-system: new agents are refused until one is ready"
        yield Check("webhook", State.WRONG, "no pod of the admission server is ready", fix)
    else:
        yield Check("webhook", State.OK, "registered" + (f", {seen.addresses} pods ready" if seen.addresses else ""))
    yield _certificate(seen, now)


def _certificate(seen: Seen, now: datetime) -> Check:
    if seen.certificate_ends is None:
        fix = "kubectl logs -n ringfence-system deploy/ringfence-controller: it makes the certificate"
        return Check("certificates", State.WRONG, "the registration has no CA that can be read", fix)
    left = seen.certificate_ends - now
    said = f"the CA ends on {seen.certificate_ends.date().isoformat()}"
    if left < timedelta():
        return Check(
            "certificates", State.WRONG, said, "kubectl rollout restart -n ringfence-system deploy/ringfence-controller"
        )
    if left < RENEW_BEFORE:
        return Check(
            "certificates", State.WARNING, said, "kubectl logs -n ringfence-system deploy/ringfence-controller"
        )
    return Check("certificates", State.OK, said)


def _canary(seen: Seen) -> Check:
    """Each agent's pod looks whether its fence keeps it from these: one that is gone looks like one that is denied."""
    help_with = "kubectl get pods -A -l app.kubernetes.io/component=canary"
    if not seen.canaries:
        told = "no canary answers: new pods of agents cannot tell whether their fence stands"
        return Check("canary", State.WRONG, told, help_with)
    if seen.canaries < ENOUGH_CANARIES:
        return Check("canary", State.WARNING, "one canary answers: while it restarts, none does", help_with)
    return Check("canary", State.OK, f"{seen.canaries} answer")


def _floor(seen: Seen) -> Check:
    if not seen.floor:
        fix = "helm upgrade ringfence --set floor.enabled=true, or: ringfence floor --manifests"
        return Check("floor", State.WARNING, "no ValidatingAdmissionPolicy of Ringfence stands behind the webhook", fix)
    return Check("floor", State.OK, f"{len(seen.floor)} ValidatingAdmissionPolicies")


def _requester(seen: Seen) -> Check:
    if not seen.requester:
        fix = "Kubernetes 1.36 and helm upgrade ringfence --set guards.enabled=true; or a delegate for each namespace"
        said = "nothing records who asks for an agent, so what he loses later shows nowhere"
        return Check("requester", State.WARNING, said, fix)
    return Check("requester", State.OK, "who asks for an agent is recorded")


def _grants(seen: Seen) -> Check:
    if not seen.ceiling:
        return Check(
            "grants", State.WRONG, f"ClusterRole {CEILING_CLUSTER_ROLE} is not there", "helm upgrade ringfence"
        )
    return Check("grants", State.OK, f"ClusterRole {CEILING_CLUSTER_ROLE} is there")


def _network(seen: Seen) -> Check:
    found = set(seen.daemon_sets or ())
    if known := sorted(ENFORCING[name] for name in found & ENFORCING.keys()):
        return Check("network", State.OK, f"{' and '.join(known)}, which enforces NetworkPolicies")
    if known := sorted(IGNORING[name] for name in found & IGNORING.keys()):
        fix = "install a network that does, such as Calico or Cilium: without one the fence drops no packet"
        return Check("network", State.WRONG, f"{' and '.join(known)} does not enforce NetworkPolicies", fix)
    fix = "ringfence verify NAME -n NAMESPACE, which sends packets"
    return Check("network", State.UNKNOWN, "which network this is cannot be told by its DaemonSets", fix)


def _api_server(seen: Seen) -> list[Check]:
    """A policy lets agents out to the API server's addresses; Cilium leaves nodes out of these unless it is told."""
    if seen.cilium is None:
        return []
    if not seen.api_server_on_nodes:
        return [Check("api-server", State.OK, "it answers outside of the nodes, where Cilium goes by addresses")]
    if "nodes" in str(seen.cilium.get("policy-cidr-match-mode") or ""):
        return [Check("api-server", State.OK, "Cilium goes by addresses of nodes, too")]
    where = ", ".join(seen.api_server_on_nodes)
    told = (
        f"it answers at {where}, on a node, and Cilium leaves nodes out of the networks of a policy: agents with "
        "permissions and rotation jobs do not reach it"
    )
    fix = (
        "helm upgrade cilium cilium/cilium -n kube-system --reuse-values --set policyCIDRMatchMode=nodes, and "
        "kubectl rollout restart ds/cilium -n kube-system"
    )
    return [Check("api-server", State.WRONG, told, fix)]


def _dns(seen: Seen) -> Check:
    name = "helm upgrade with --set dns.service=NAMESPACE/NAME, the Service of the cluster's DNS"
    if not seen.dns_pods:
        return Check("dns", State.WRONG, f"no DNS pod at {seen.dns}: agents find no Service", name)
    if "node-local-dns" in (seen.daemon_sets or ()) and not seen.node_local:
        fix = "helm upgrade with --set dns.addresses={ADDRESS/32}, where that cache listens on each node"
        told = "pods ask a cache on their node (node-local-dns), which is not found by its Service"
        return Check("dns", State.WARNING, told, fix)
    return Check("dns", State.OK, f"{seen.dns_pods} DNS pods at {seen.dns}")


def _namespaces(seen: Seen) -> Check:
    opened = [one for one in seen.namespaces or () if _labels(one).get(AGENTS_LABEL) == AGENTS_ENABLED]
    if not opened:
        fix = f"kubectl label namespace NAME {AGENTS_LABEL}={AGENTS_ENABLED}"
        return Check("namespaces", State.WARNING, "no namespace is open to agents", fix)
    return Check("namespaces", State.OK, f"{len(opened)} open to agents")


def _labels(namespace: Mapping[str, Any]) -> Mapping[str, str]:
    return (namespace.get("metadata") or {}).get("labels") or {}
