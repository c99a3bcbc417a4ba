"""What one pass has read. Pure data: observe.py fills it in, the plan and the report are made from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ringfence.api import AgentDeploymentSpec
from ringfence.api.parsing import Parsed
from ringfence.policy.handover import HandOver
from ringfence.policy.held import ALL, Held
from ringfence.policy.model import Facts, NamedPolicy
from ringfence.policy.widening import Widening
from ringfence.proof.attempts import NOTHING_AROUND, Surroundings
from ringfence.resources import Endpoint, Identity, JobImage, Ref, ServicePort
from ringfence.resources.dns import USUAL_DNS, Dns, ServiceName
from ringfence.resources.model import REPORTS_TO_NOBODY, Gate, GatewayReports, SecretState, UpstreamProxy
from ringfence.resources.network import ServiceKey
from ringfence.resources.stored import StoredChild
from ringfence.resources.users import USUAL_IDS, UserIds
from ringfence.store.records import Key, StoredAgent, StoredPod
from ringfence.store.store import OwnershipRecord

from . import redirects
from .fence import FenceHistory


@dataclass(frozen=True, kw_only=True)
class GatewaySecrets:
    """Metadata of the two Secrets of an agent's gateway; None where one is not there.

    `not_granted`: why they could not be looked at.
    """

    config: Mapping[str, Any] | None = None
    authorities: Mapping[str, Any] | None = None
    not_granted: str = ""


@dataclass(frozen=True, kw_only=True)
class Observed:
    """All that one pass has read.

    `agent`: None where there is none. `spec`: None where it cannot be read; `parsed`: the same with what is wrong with
    it, so that nobody parses it again. `children`: every child of every agent, by reference; `owned`: those of this
    one. `ownership`: what is remembered of children. `secrets`: the metadata of each secret's Secret by the secret's
    name (None: it is not there); None as a whole where they were not looked at.
    `not_granted`: why they could not be, where a permission is missing. `fence`: what is remembered of its fence.
    `widened`: what others wrote that reaches it. `hand_over`: of its existing Secrets. `held`: what the
    delegate of its namespace holds of what it gets. `pods`: those with its label. `left`: children in other namespaces
    of an agent of this name that is gone, or about to go. `reads`: the cluster-wide reads that it is listed for.
    `runs`: its Jobs, and those of its CronJob. `gateway`: what is stored for its gateway; None where it has no hosts.
    `gateway_refuses`: whether its gateway said that Envoy refused what is stored. `secret_states`: of the secrets that
    it sends, see Agent. `gate`: see Agent.
    `rotates`: whether a job runs that may write one of these. `service_addresses`: of the Services in `services`, as
    the cluster gave them. `around`: addresses that a trial of its fence must find closed. `trial`, `trial_pods`: the
    Job of the trial that was asked for, and its pods.
    """

    key: Key
    agent: StoredAgent | None
    now: datetime
    spec: AgentDeploymentSpec | None = None
    raw: Any = None
    parsed: Parsed[AgentDeploymentSpec] | None = None
    status: Mapping[str, Any] = field(default_factory=dict)
    policies: Sequence[NamedPolicy] = ()
    facts: Facts = field(default_factory=Facts)
    children: Mapping[Ref, StoredChild] = field(default_factory=dict)
    owned: Sequence[StoredChild] = ()
    ownership: Mapping[Ref, OwnershipRecord] = field(default_factory=dict)
    services: Mapping[tuple[str, str, int], ServicePort] = field(default_factory=dict)
    service_addresses: Mapping[ServiceName, tuple[str, ...]] = field(default_factory=dict)
    dns: Dns = USUAL_DNS
    api_server: tuple[Endpoint, ...] = ()
    job_image: JobImage | None = None
    gateway_image: JobImage | None = None
    gateway_reports: GatewayReports = REPORTS_TO_NOBODY
    upstream_proxy: UpstreamProxy | None = None
    gateway: GatewaySecrets | None = None
    gateway_refuses: bool = False
    secret_states: Mapping[str, SecretState] = field(default_factory=dict)
    rotates: bool = False
    gate: Gate | None = None
    user_ids: UserIds = USUAL_IDS
    secrets: Mapping[str, Mapping[str, Any] | None] | None = None
    not_granted: str = ""
    fence: FenceHistory = field(default_factory=FenceHistory)
    widened: Sequence[Widening] = ()
    hand_over: HandOver = HandOver.DECIDED
    held: Held = ALL
    pods: Sequence[StoredPod] = ()
    left: Sequence[StoredChild] = ()
    reads: frozenset[str] = frozenset()
    runs: Sequence[StoredChild] = ()
    around: Surroundings = NOTHING_AROUND
    trial: StoredChild | None = None
    trial_pods: Sequence[StoredPod] = ()

    @property
    def identity(self) -> Identity:
        """Which agent. Only where there is one."""
        uid = self.agent.uid if self.agent else ""
        return Identity(name=self.key.name, namespace=self.key.namespace, uid=uid)

    @property
    def known(self) -> bool:
        """Whether all children were written for this very generation: what is missing was taken away by somebody."""
        return self.agent is not None and self.status.get("acceptedGeneration") == self.agent.generation

    @property
    def accepted_services(self) -> dict[str, str]:
        """Where Services led when this generation was accepted."""
        return redirects.accepted(self.status, known=self.known)

    @property
    def redirected(self) -> dict[ServiceKey, tuple[str, str]]:
        """Services that lead elsewhere since, with where they led and where they lead."""
        return redirects.redirected(self.services, self.accepted_services)

    @property
    def accepted_before(self) -> bool:
        """Whether any generation was accepted: there is a last good state."""
        return self.status.get("acceptedGeneration") is not None
