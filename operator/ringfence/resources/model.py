"""What the children of an agent are built from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ringfence.api import AgentDeploymentSpec
from ringfence.api.names import (
    AGENT_LABEL,
    API_VERSION,
    CHILD_PREFIX,
    GROUP,
    MANAGED_BY,
    MANAGED_BY_LABEL,
)
from ringfence.api.permissions import AgentRule, Level
from ringfence.policy.addresses import Network

from .dns import USUAL_DNS, Dns, ServiceName
from .kinds import CHILD_KINDS, Manifest
from .users import USUAL_IDS, UserIds

DENY = "deny"
ALLOW = "allow"
"""Suffixes of the two NetworkPolicies' names."""
ROTATION_LABEL = f"{GROUP}/rotation"
"""On what rotates a secret, and on its jobs' pods: its name. The jobs' NetworkPolicy selects by it."""
FOREGROUND = "foregroundDeletion"
"""Kubernetes' own finalizer: the garbage collector removes the object only after what it owns."""
COLLECTOR = (FOREGROUND, "orphan")
"""The garbage collector's own finalizers: it takes them off itself. Any other one is somebody's."""


class Ref(NamedTuple):
    """Which child."""

    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> "Ref":
        """The reference of a manifest."""
        return cls(manifest["kind"], manifest["metadata"]["namespace"], manifest["metadata"]["name"])

    @property
    def group_version(self) -> str:
        """As in `apiVersion`."""
        return CHILD_KINDS[self.kind].group_version

    @property
    def plural(self) -> str:
        """As in a URL."""
        return CHILD_KINDS[self.kind].plural


@dataclass(frozen=True)
class ServicePort:
    """Where one port of one Service leads: the pods' labels, and their port (a number or a container port's name)."""

    selector: Mapping[str, str]
    target_port: int | str


@dataclass(frozen=True, order=True)
class Endpoint:
    """One address of the API server, as pods reach it (after the Service's translation)."""

    address: str
    port: int


@dataclass(frozen=True)
class JobImage:
    """An image that pods of ours run: Ringfence itself for rotation jobs, Envoy for gateways."""

    name: str
    pull_policy: str = "IfNotPresent"


@dataclass(frozen=True)
class Gate:
    """What the gate of each agent's pod runs, and which places no agent's fence lets it to.

    `image`: Ringfence's own. `address`, `port`: of the canary's Service. `api_server`: whether the API server is to be
    denied, too, to agents without permissions: not where it runs on a node of the cluster, for a pod's way to its own
    node is always open (kubernetes.io/docs/concepts/services-networking/network-policies, on IP blocks).
    """

    image: JobImage
    address: str
    port: int
    api_server: bool = False


@dataclass(frozen=True)
class GatewayReports:
    """Who learns what gateways let through and refuse.

    `address`: of the controller's Service, `ADDRESS:PORT`; None: nobody is told of refusals. `namespace`, `labels`,
    `port`: of the pods behind it. `scrapers`: labels of the namespaces from which figures are read; empty: from none.
    """

    address: str | None = None
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    scrapers: Mapping[str, str] = field(default_factory=dict)


REPORTS_TO_NOBODY = GatewayReports()


@dataclass(frozen=True)
class UpstreamProxy:
    """A corporate proxy, through which gateways reach all hosts.

    `addresses`: of IP, any of which will do. `secret`: name of a Secret beside each gateway, which has the credentials;
    "": the proxy asks for none.
    """

    addresses: tuple[str, ...]
    port: int
    secret: str = ""


@dataclass(frozen=True)
class Runs:
    """Which runs of an agent there are to be.

    `by_spec`: the one of mode Job, which has not ended. `request`: name of the Job that somebody asked for. `held`: no
    scheduled run may begin, because that one is at work.
    """

    by_spec: bool = True
    request: str | None = None
    held: bool = False


@dataclass(frozen=True)
class Verification:
    """A trial of the agent's fence that is to be. `name`: of its Job; `table`: what is tried, as JSON."""

    name: str
    table: str


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Which agent. Enough to fence it, even where its spec cannot be read."""

    name: str
    namespace: str
    uid: str

    @property
    def labels(self) -> dict[str, str]:
        """On every child."""
        return {MANAGED_BY_LABEL: MANAGED_BY, AGENT_LABEL: self.name}

    @property
    def selector(self) -> dict[str, str]:
        """What selects the agent's pods."""
        return {AGENT_LABEL: self.name}


@dataclass(frozen=True)
class SecretState:
    """What is known of a Secret whose value the egress gateway sends.

    `uid`: of the Secret; "": it is not there, or has no such key. `version`: its resourceVersion. `problem`: why the
    value cannot be sent, in words without the value; "": it can.
    """

    uid: str = ""
    version: str = ""
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Agent(Identity):
    """One accepted AgentDeployment and what was read of its surroundings.

    `fence_uid`: uid of its deny policy once that is stored. `services`: (namespace, name, port) -> where it leads; a
    Service that was not found is left out. `service_addresses`: of those that are there, whatever they lead to, the
    addresses that the cluster gave them; a headless one has none. `dns`: where the cluster's DNS answers;
    `dns_allowed`: whether the agent may be let out to it. `cluster`: addresses of nodes, pods
    and Services, which no network of the agent's opens. `job_image`: what rotation jobs run; None: there are none.
    `gateway_image`: Envoy's; None: hosts open nothing. `gateway_address`: of the gateway's Service once that is there.
    `gateway_reports`: who learns what it refuses. `upstream_proxy`: what it reaches hosts through; None: nothing.
    `restarts`: annotations of the pods' template by which rotation jobs have restarted the agent. `elsewhere`: by other
    namespaces that consent to it, the rules that hold there and the lowest level that holds them. `runs`: which
    there are to be; `verification`: None: its fence is not tried now. `user_ids`: who says which ids its pods have,
    and those of its jobs. `secret_states`: by the names of secrets that its gateway sends; one of which nothing is
    known yet is left out. `gate`: of its pods; None: what that needs is not known, and no pod is made.
    """

    spec: AgentDeploymentSpec
    fence_uid: str | None = None
    services: Mapping[tuple[str, str, int], ServicePort] = field(default_factory=dict)
    service_addresses: Mapping[ServiceName, tuple[str, ...]] = field(default_factory=dict)
    dns: Dns = USUAL_DNS
    dns_allowed: bool = True
    api_server: tuple[Endpoint, ...] = ()
    cluster: tuple[Network, ...] = ()
    job_image: JobImage | None = None
    gateway_image: JobImage | None = None
    gateway_address: str | None = None
    gateway_reports: GatewayReports = REPORTS_TO_NOBODY
    upstream_proxy: UpstreamProxy | None = None
    restarts: Mapping[str, str] = field(default_factory=dict)
    elsewhere: Mapping[str, tuple[Level, Sequence[AgentRule]]] = field(default_factory=dict)
    runs: Runs = field(default_factory=Runs)
    verification: Verification | None = None
    user_ids: UserIds = USUAL_IDS
    secret_states: Mapping[str, SecretState] = field(default_factory=dict)
    gate: Gate | None = None


def child_name(agent: str, suffix: str = "") -> str:
    """Name of a child. A kind has suffixes always or never, so two agents' children of a kind never share a name."""
    return f"{CHILD_PREFIX}{agent}" + (f"-{suffix}" if suffix else "")


def elsewhere_name(agent: Identity) -> str:
    """Name of an agent's Role and RoleBinding in other namespaces: two dots are in the name of no other child."""
    return f"{child_name(agent.name)}.of.{agent.namespace}"


def removal(namespace: str, agent: str) -> str:
    """The command that removes what an agent left behind, but for its data: volumes and Secrets."""
    kinds = "deployment,service,cronjob,job,networkpolicy,rolebinding,role,serviceaccount"
    return f"kubectl delete {kinds} -n {namespace} -l {AGENT_LABEL}={agent}"


def child(
    agent: Identity, api_version: str, kind: str, *, suffix: str = "", name: str | None = None, **fields: Any
) -> Manifest:
    """A manifest with the metadata that every child has; `name` where it is not the agent's with a suffix."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name or child_name(agent.name, suffix),
            "namespace": agent.namespace,
            "labels": agent.labels,
            "ownerReferences": [owner_reference(agent)],
        },
        **fields,
    }


def owner_reference(agent: Identity) -> Manifest:
    """The agent as the one controller of a child: the cluster deletes the child with it."""
    return {
        "apiVersion": API_VERSION,
        "kind": "AgentDeployment",
        "name": agent.name,
        "uid": agent.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
