"""What a decision takes in and gives out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from operator import add
from typing import Any, Final, NamedTuple

from ringfence.api import AgentDeploymentSpec, AgentPolicySpec
from ringfence.api.fields import network
from ringfence.api.parsing import Parsed

from .addresses import Addresses, Network
from .atoms import Atom, PermissionSet, expand
from .consent import Consents
from .custom import Given, given
from .hostnames import Host, counted, named
from .levels import CATALOGUE
from .special import named_apart

__all__ = ["NOTHING", "AgentObject", "Asks", "Facts", "NamedPolicy", "Network", "RuleName", "Violation"]


class RuleName(StrEnum):
    """The fixed set of rules: messages, metrics (`rule` label), lint and docs use these names and no others.

    `rules.py` says of each why it exists and how to satisfy it.
    """

    INVALID_FIELD = "InvalidField"
    NAMESPACE_NOT_OPENED = "NamespaceNotOpened"
    LEVEL_ABOVE_POLICY = "LevelAbovePolicy"
    RIGHTS_WILDCARD = "RightsWildcard"
    RIGHTS_ESCALATION = "RightsEscalation"
    RIGHTS_SECRETS = "RightsSecrets"
    RIGHTS_UNKNOWN = "RightsUnknown"
    RIGHTS_ABOVE_LEVEL = "RightsAboveLevel"
    RIGHTS_ABOVE_POLICY = "RightsAbovePolicy"
    CONSENT_MISSING = "NamespaceConsentMissing"
    RIGHTS_NAMES_IGNORED = "RightsNamesIgnored"
    EGRESS_UNRESTRICTED = "EgressUnrestricted"
    EGRESS_METADATA = "EgressMetadata"
    EGRESS_DNS_BYPASS = "EgressDnsBypass"
    EGRESS_CLUSTER_ADDRESS = "EgressClusterAddress"
    EGRESS_ABOVE_POLICY = "EgressAbovePolicy"
    EGRESS_SERVICE_FORBIDDEN = "EgressServiceForbidden"
    EGRESS_HOST_INVALID = "EgressHostInvalid"
    EGRESS_HOST_ABOVE_POLICY = "EgressHostAbovePolicy"
    EGRESS_TUNNEL_ABOVE_POLICY = "EgressTunnelAbovePolicy"
    EGRESS_HOST_UNKEYED = "EgressHostUnkeyed"
    EGRESS_LIMIT_ABOVE_POLICY = "EgressLimitAbovePolicy"
    INGRESS_ABOVE_POLICY = "IngressAbovePolicy"
    IMAGE_INVALID = "ImageInvalid"
    IMAGE_NO_DIGEST = "ImageNoDigest"
    IMAGE_REGISTRY = "ImageRegistry"
    IMAGE_NOT_SIGNED = "ImageNotSigned"
    IMAGE_NOT_ATTESTED = "ImageNotAttested"
    SANDBOX_REQUIRED = "SandboxRequired"
    USER_ABOVE_POLICY = "UserAbovePolicy"
    MARK_ABOVE_POLICY = "MarkAbovePolicy"
    GRACE_ABOVE_POLICY = "GracePeriodAbovePolicy"
    SCHEDULING_ABOVE_POLICY = "SchedulingAbovePolicy"
    VOLUME_ABOVE_POLICY = "VolumeAbovePolicy"
    VOLUME_RESERVED = "VolumeReserved"
    IDENTITY_ABOVE_POLICY = "IdentityAbovePolicy"
    AGENTS_ABOVE_POLICY = "AgentsAbovePolicy"
    REPLICAS_ABOVE_POLICY = "ReplicasAbovePolicy"
    CPU_ABOVE_POLICY = "CpuAbovePolicy"
    MEMORY_ABOVE_POLICY = "MemoryAbovePolicy"
    STORAGE_ABOVE_POLICY = "StorageAbovePolicy"
    SECRET_RESERVED = "SecretReserved"  # noqa: S105 - a rule
    SECRET_DELIVERY = "SecretDelivery"  # noqa: S105 - a rule
    SECRET_UNREADABLE = "SecretNotReadableByRequester"  # noqa: S105 - a rule
    PERMISSION_NOT_HELD = "PermissionNotHeldByRequester"
    VARIABLE_RESERVED = "VariableReserved"
    SECRET_IN_PLAIN_TEXT = "SecretInPlainText"  # noqa: S105 - a rule
    HAND_OVER_UNDECIDED = "HandOverUndecided"
    ROTATION_ABOVE_POLICY = "RotationAbovePolicy"


@dataclass(frozen=True, order=True)
class Violation:
    """One broken rule: the field's path (`spec.image`), the rule, and what is wrong with the fix in words."""

    path: str
    rule: RuleName
    message: str


@dataclass(frozen=True)
class NamedPolicy:
    """An AgentPolicy by its name; the built-in one is called `restricted (built-in)`.

    What decisions ask of it is computed once: a policy binds many agents.
    """

    name: str
    spec: AgentPolicySpec

    @cached_property
    def allowed_networks(self) -> Addresses:
        """What an agent may reach by address."""
        return Addresses.from_networks(network(cidr) for cidr in self.spec.egress.cidrs)

    @cached_property
    def opened_apart(self) -> Addresses:
        """What of that is not the public internet, and is opened by an entry of its own."""
        return named_apart(Addresses.from_networks([network(cidr)]) for cidr in self.spec.egress.cidrs)

    @cached_property
    def allowed_hosts(self) -> frozenset[Host]:
        """What an agent may reach by name; entries that count for nothing are left out."""
        return counted(self.spec.egress.hosts)

    @cached_property
    def tunnel_hosts(self) -> frozenset[Host]:
        """What of that it may tunnel to."""
        return named(self.spec.egress.tunnel)

    @cached_property
    def unkeyed_hosts(self) -> frozenset[Host]:
        """Which LLM providers of that it may reach with a key of its own."""
        return named(self.spec.egress.unkeyed)

    @cached_property
    def allowed_permissions(self) -> PermissionSet | None:
        """What `permissions.allow` lists; None where it is absent and the level alone counts."""
        allow = self.spec.permissions.allow
        if allow is None:
            return None
        custom = {Atom(*pair, verb): None for pair, verbs in self.custom_resources.items() for verb in verbs}
        return PermissionSet({**expand(allow, CATALOGUE).atoms, **custom})

    @cached_property
    def custom_resources(self) -> Given:
        """The custom resources that agents may ask for, whatever `permissions.allow` says of others."""
        return given(self.spec.permissions.custom_resources)

    @cached_property
    def target_namespaces(self) -> frozenset[str]:
        """Other namespaces in which an agent may ask for permissions."""
        return frozenset(self.spec.permissions.namespaces)

    @cached_property
    def service_namespaces(self) -> frozenset[str]:
        """Other namespaces whose Services an agent may reach."""
        return frozenset(self.spec.egress.service_namespaces)

    @cached_property
    def caller_namespaces(self) -> frozenset[str]:
        """Other namespaces whose pods an agent may let in."""
        named = self.spec.ingress.namespaces
        return self.service_namespaces if named is None else frozenset(named)


class Asks(NamedTuple):
    """What agents ask for, in sum. Agents and replicas are numbers; the rest is in billionths of a CPU or a byte."""

    agents: int = 0
    replicas: int = 0
    cpu: int = 0
    memory: int = 0
    storage: int = 0

    def plus(self, other: "Asks") -> "Asks":
        """Both."""
        return Asks(*map(add, self, other))


NOTHING: Final = Asks()


@dataclass(frozen=True)
class Facts:
    """What is known of the world around the object.

    `namespace_labels`: labels of the object's namespace, or None where they are not known (offline lint):
    then the rules that need them are left out, and the policies given are taken to bind. `cluster_networks`:
    addresses of nodes, pods, Services and the API server: never reachable by address.
    `others`: what other agents of the namespace have that go before this one; None where that is not known. `held`:
    what the agent has already, by a spec of it that was accepted. `own_namespace`: where Ringfence itself runs; None
    where that is not known. `consents`: of namespaces to permissions in them; None where they are not known.
    `api_audiences`: for which audiences the API server takes tokens; empty where that is not known.
    """

    namespace_labels: Mapping[str, str] | None = None
    cluster_networks: tuple[Network, ...] = ()
    others: Asks | None = None
    held: Asks = NOTHING
    own_namespace: str | None = None
    consents: Consents | None = None
    api_audiences: frozenset[str] = frozenset()


@dataclass(frozen=True)
class AgentObject:
    """An AgentDeployment as received: parsed by `decide`, so that a malformed one is a violation too.

    `parsed`: its spec, where the caller has parsed it already.
    """

    name: str
    namespace: str
    spec: Any
    generation: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    parsed: Parsed[AgentDeploymentSpec] | None = None
