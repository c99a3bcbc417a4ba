"""AgentPolicy: the platform team's guardrails for all agents of some namespaces."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .base import ListType, Model, PrinterColumn, Rule
from .fields import (
    Cidr,
    DnsLabel,
    DnsSubdomain,
    Generation,
    LabelKey,
    Labels,
    LabelValue,
    PublicKey,
    Quantity,
    RbacWord,
    Uri,
    UserGroup,
)
from .hostnames import HostPattern
from .identity import PolicyIdentity
from .marks import MarkKey, PodMark
from .network import HostLimits
from .permissions import ClusterRead, Level, PolicyRule
from .scheduling import DeviceLimit, NodeLabel, Toleration
from .secrets import PolicySecrets
from .stop import GRACE, GracePeriod
from .users import NOBODY, IdRange
from .volumes import AllowedClaim

Registry = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^(\*|[a-z0-9][a-z0-9._:/-]*)$")]


class LabelRequirement(Model):
    """One expression of a label selector, as in Kubernetes."""

    cel_rules: ClassVar = (
        Rule(
            cel="(self.operator in ['In', 'NotIn']) == (size(self.values) > 0)",
            message="In and NotIn need values; Exists and DoesNotExist take none",
            check=lambda term: (term.operator in {"In", "NotIn"}) == bool(term.values),
        ),
    )

    key: LabelKey = Field(description="Key of the label.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(
        description="NotIn and DoesNotExist match a namespace without the label, too."
    )
    values: Annotated[list[LabelValue], Field(max_length=64), ListType("atomic")] = Field(
        default_factory=list, description="For In and NotIn: at least one. For Exists and DoesNotExist: none."
    )


class LabelSelector(Model):
    """A Kubernetes label selector; all parts must match. Empty matches every namespace."""

    match_labels: Labels = Field(
        default_factory=dict, max_length=16, description="Labels that the namespace must all carry."
    )
    match_expressions: Annotated[list[LabelRequirement], Field(max_length=16), ListType("atomic")] = Field(
        default_factory=list, description="Expressions that must all hold."
    )


class CustomResource(Model):
    """Custom resources that agents may use. What grants power is never given, and neither is a built-in group."""

    group: DnsSubdomain = Field(description="API group of the custom resources, such as example.com.")
    resources: Annotated[list[RbacWord], Field(min_length=1, max_length=32), ListType("atomic")] = Field(
        description="Resources in the plural, or RESOURCE/status, RESOURCE/scale. No wildcard: name each."
    )
    verbs: Annotated[list[RbacWord], Field(min_length=1, max_length=16), ListType("atomic")] = Field(
        description="Verbs such as get, list, watch. No wildcard: name each."
    )
    level: Level = Field(
        description="Lowest permissions.level of an agent that may ask for them. The highest of all policies counts."
    )


class PolicyPermissions(Model):
    """Bounds on the rights that an agent may ask for."""

    max_level: Level = Field(default="ReadOnly", description="Highest permissions.level that an agent may name.")
    allow: Annotated[list[PolicyRule], Field(max_length=64), ListType("atomic")] | None = Field(
        default=None,
        description="Rights an agent may ask for, within the level. Absent: all of the level. Empty: none.",
    )
    namespaces: Annotated[list[DnsLabel], Field(max_length=256), ListType("set")] = Field(
        default_factory=list,
        description="Other namespaces in which an agent may ask for rights. Empty: none, its own alone. Each must "
        "consent besides (annotation ringfence.dev/consent).",
    )
    cluster_reads: Annotated[list[ClusterRead], Field(max_length=4), ListType("set")] = Field(
        default_factory=list,
        description="Kinds outside of all namespaces that an agent may ask to read. Empty: none.",
    )
    custom_resources: Annotated[list[CustomResource], Field(max_length=32), ListType("atomic")] = Field(
        default_factory=list,
        description="Custom resources that an agent may ask for beside that. All policies that bind it must name them, "
        "and the cluster's ceiling must hold them: a ClusterRole with the label ringfence.dev/aggregate-to-ceiling.",
    )


class AllowedHost(Model):
    """A host that agents may name, or, with a star in place of its first label, each of that many labels."""

    name: HostPattern = Field(
        description="A host such as api.example.com, or *.example.com. A star is one label, and is never taken where "
        "anybody registers names, as in *.co.uk."
    )
    reason: Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]*$")] | None = Field(
        default=None,
        description="Why agents need all of these hosts. A star below which anybody gets a name, as in "
        "*.blob.core.windows.net, reaches an attacker's account as well, and counts for nothing without a reason.",
    )


class PolicyEgress(Model):
    """Bounds on what an agent may reach."""

    hosts: Annotated[list[AllowedHost], Field(max_length=256), ListType("map", ("name",))] = Field(
        default_factory=list,
        description="Hosts that an agent may name, on any port, through its egress gateway. Empty: none. An agent may "
        "name a wildcard only where it stands here as it is.",
    )
    tunnel: Annotated[list[HostPattern], Field(max_length=256), ListType("set")] = Field(
        default_factory=list,
        description="Of these the ones that an agent may reach by mode: Tunnel, where nobody sees what is said. Empty: "
        "none.",
    )
    unkeyed: Annotated[list[HostPattern], Field(max_length=256), ListType("set")] = Field(
        default_factory=list,
        description="Of these the hosts of LLM providers that an agent may reach with a key of its own choice, by "
        "which it may carry data out to somebody else's account. Empty: none.",
    )
    limits: HostLimits | None = Field(
        default=None,
        description="Most that an agent's limits of a host may say, which it must say then. Tunnels have none: what is "
        "in them nobody sees. Absent: an agent need not say any.",
    )
    cidrs: Annotated[list[Cidr], Field(max_length=256), ListType("set")] = Field(
        default_factory=list,
        description="Networks that an agent's cidr must lie inside. Empty: no egress by address. Private and other "
        "special ranges are opened only by entries inside of them: 0.0.0.0/0 opens nothing of 10.0.0.0/8.",
    )
    service_namespaces: Annotated[list[DnsLabel], Field(max_length=256), ListType("set")] = Field(
        default_factory=list,
        description="Other namespaces whose Services an agent may reach. Its own is always allowed.",
    )
    dns: Literal["WhereNeeded", "Never"] = Field(
        default="WhereNeeded",
        description="Whether an agent is let out to the cluster's DNS. WhereNeeded: where it may reach a headless "
        "Service, whose names are those of pods; all other names are in its pods' hosts file. Never: not even then.",
    )
    max_public_addresses: int = Field(
        default=65536,
        ge=0,
        le=16777216,
        description="Most public IPv4 addresses that one agent may reach, added up over all its rules; "
        "for IPv6 each /64 counts as one.",
    )


class PolicyIngress(Model):
    """Bounds on who may be let in."""

    namespaces: Annotated[list[DnsLabel], Field(max_length=256), ListType("set")] | None = Field(
        default=None,
        description="Other namespaces whose pods an agent may let in. Its own is always allowed. Absent: those of "
        "egress.serviceNamespaces. Empty: none.",
    )


class SigningKey(Model):
    """A key that signs images."""

    name: DnsLabel = Field(description="What it is called in refusals.")
    public_key: PublicKey = Field(
        description="Its public half in PEM, as `cosign public-key` prints it: ECDSA (P-256, P-384, P-521), or RSA "
        "with 2048, 3072 or 4096 bits."
    )


class PolicyImages(Model):
    """Bounds on the images that an agent may run."""

    cel_rules: ClassVar = (
        Rule(
            cel="has(self.signedBy) || !has(self.attestations) || size(self.attestations) == 0",
            message="attestations are signed, too: name the keys in signedBy",
            check=lambda images: images.signed_by is not None or not images.attestations,
        ),
    )

    registries: Annotated[
        list[Registry],
        Field(max_length=64),
        # In a set, server-side apply would leave the "*" of the default, which nobody owns, beside the new ones.
        ListType("atomic"),
    ] = Field(
        default_factory=lambda: ["*"],
        description="Where images may come from: a registry host, with or without leading path segments "
        '("registry.example/team"). "*" is any; an empty list is none.',
    )
    require_digest: bool = Field(default=True, description="Whether an image must be pinned by digest.")
    signed_by: Annotated[list[SigningKey], Field(min_length=1, max_length=8), ListType("map", ("name",))] | None = (
        Field(
            default=None,
            description="Keys, one of which must have signed the image; the agent brings the signature along "
            "(imageSignatures). Absent: no signature is asked for. Two at a time are how a key is replaced.",
        )
    )
    attestations: Annotated[list[Uri], Field(max_length=8), ListType("set")] = Field(
        default_factory=list,
        description="Types of predicates, such as https://slsa.dev/provenance/v1, each of which one of these keys must "
        "have attested of the image. What they say is not looked at.",
    )


class PolicySandbox(Model):
    """Bounds on the container runtimes that an agent may run under."""

    runtime_class_names: Annotated[list[DnsSubdomain], Field(min_length=1, max_length=32), ListType("set")] | None = (
        Field(default=None, description="An agent must name one of these RuntimeClasses. Absent: any, or none.")
    )


class PolicyPods(Model):
    """Bounds on what an agent's pods may say of themselves."""

    users: Annotated[list[IdRange], Field(max_length=16), ListType("atomic")] = Field(
        default_factory=list,
        description=f"Ids that an agent may run as, of users and of groups alike, beside {NOBODY}. Empty: no other.",
    )
    node_labels: Annotated[list[NodeLabel], Field(max_length=32), ListType("atomic")] = Field(
        default_factory=list, description="Labels by which an agent may choose its nodes, or rank them. Empty: none."
    )
    tolerations: Annotated[list[Toleration], Field(max_length=32), ListType("atomic")] = Field(
        default_factory=list,
        description="Taints that an agent may tolerate. Empty: none. Those of control-plane nodes are never tolerated.",
    )
    priority_class_names: Annotated[list[DnsSubdomain], Field(max_length=32), ListType("set")] = Field(
        default_factory=list, description="PriorityClasses that an agent may name. Empty: none."
    )
    labels: Annotated[list[PodMark], Field(max_length=32), ListType("atomic")] = Field(
        default_factory=list,
        description="Labels that agents may give their pods. Empty: none. In namespaces with agents the guard `labels` "
        "then keeps Services and NetworkPolicies from selecting by them alone.",
    )
    annotations: Annotated[list[MarkKey], Field(max_length=32), ListType("set")] = Field(
        default_factory=list, description="Keys of annotations that agents may give their pods. Empty: none."
    )
    max_grace_period: GracePeriod = Field(
        default=GRACE,
        description="The longest that an agent's pods may take to end; one that is stopped goes on until then, in its "
        "fence. 30s is always allowed.",
    )
    devices: Annotated[list[DeviceLimit], Field(max_length=16), ListType("map", ("name",))] = Field(
        default_factory=list, description="Devices that an agent may ask for, such as nvidia.com/gpu. Empty: none."
    )
    claims: Annotated[list[AllowedClaim], Field(max_length=32), ListType("map", ("name",))] = Field(
        default_factory=list, description="Existing PersistentVolumeClaims that an agent may mount. Empty: none."
    )
    topology_keys: Annotated[list[LabelKey], Field(max_length=16), ListType("set")] = Field(
        default_factory=list,
        description="Labels of nodes over which an agent may spread its pods, or have them near others' or apart. "
        "Empty: none.",
    )


class PolicyConnections(Model):
    """Who may get into agents' pods through the API server, beside having the right to."""

    groups: Annotated[list[UserGroup], Field(max_length=32), ListType("set")] = Field(
        default_factory=list,
        description="Groups whose members may exec, attach and forward ports into agents, reach them by the API "
        "server's proxy, and add containers to their pods. Several policies: a group that all of them name. Empty: "
        "nobody.",
    )


class AgentLimits(Model):
    """Bounds on what one agent may ask for: all of its pods together, and its volume."""

    replicas: int | None = Field(default=None, ge=0, le=1000000, description="Its pods. Absent: any number.")
    cpu: Quantity | None = Field(
        default=None, description="CPUs: its limit times its replicas, such as 2. Absent: any amount."
    )
    memory: Quantity | None = Field(
        default=None, description="Memory in bytes: its limit times its replicas, such as 4Gi. Absent: any amount."
    )
    storage: Quantity | None = Field(default=None, description="Size of its volume in bytes. Absent: any.")


class PolicyLimits(Model):
    """Bounds on what all agents of one namespace may ask for in sum. Each namespace that is bound has its own sum.

    Counted is what specs ask for, not what is used. Agents that were accepted keep what they have; of others that do
    not fit together the older one is accepted, then the one whose name comes first.
    """

    agents: int | None = Field(
        default=None, ge=0, le=1000000, description="AgentDeployments, suspended ones included. Absent: any number."
    )
    replicas: int | None = Field(
        default=None, ge=0, le=1000000, description="Pods of agents; a suspended agent has none. Absent: any number."
    )
    cpu: Quantity | None = Field(
        default=None, description="CPUs: the limit of each agent times its replicas, added up. Absent: any amount."
    )
    memory: Quantity | None = Field(
        default=None, description="Memory in bytes, added up in the same way, such as 64Gi. Absent: any amount."
    )
    storage: Quantity | None = Field(
        default=None, description="Sizes of the agents' volumes in bytes; a suspended agent keeps its own. Absent: any."
    )
    per_agent: AgentLimits = Field(
        default_factory=AgentLimits, description="The same of each agent by itself, whatever others ask for."
    )


class AgentPolicySpec(Model):
    """The most that agents in the selected namespaces may ask for. Several policies: all must allow."""

    namespace_selector: LabelSelector = Field(
        default_factory=LabelSelector, description="Namespaces that it binds, by their labels. Empty: all."
    )
    permissions: PolicyPermissions = Field(default_factory=PolicyPermissions)
    egress: PolicyEgress = Field(default_factory=PolicyEgress)
    ingress: PolicyIngress = Field(default_factory=PolicyIngress)
    images: PolicyImages = Field(default_factory=PolicyImages)
    sandbox: PolicySandbox = Field(default_factory=PolicySandbox)
    pods: PolicyPods = Field(default_factory=PolicyPods)
    identity: PolicyIdentity = Field(default_factory=PolicyIdentity)
    connections: PolicyConnections = Field(default_factory=PolicyConnections)
    secrets: PolicySecrets = Field(default_factory=PolicySecrets)
    on_orphans: Literal["Stop", "Keep"] = Field(
        default="Stop",
        description="What is done with what is left of an agent that was deleted without its children. Stop: no pods, "
        "and neither its allow policy nor its RoleBinding stays. Keep: it is told, and left as it is; several "
        "policies: all must say so.",
    )
    on_repeated_edits: Literal["Stop", "Keep"] = Field(
        default="Stop",
        description="What becomes of an agent one of whose children somebody edits again and again, three times within "
        "10 seconds: Stop takes its pods away until nobody has edited any for 60 seconds; Keep lets it run on between "
        "an edit and its repair. Several policies: Stop wins.",
    )
    existing: Literal["Report", "Suspend"] = Field(
        default="Report",
        description="What becomes of an agent that was accepted and does not fit any more. Report: it runs on as it "
        "was accepted, and its condition Accepted says why. Suspend: no pods, and neither its allow policy nor its "
        "RoleBinding stays, until it fits again. Several policies: Suspend wins.",
    )
    limits: PolicyLimits = Field(default_factory=PolicyLimits)


class AgentPolicyStatus(Model):
    """Written by Ringfence only."""

    observed_generation: Generation | None = Field(
        default=None, description="The generation of the policy that the numbers speak of."
    )
    bound_agents: int | None = Field(
        default=None, ge=0, le=1000000, description="AgentDeployments in the namespaces that it selects."
    )
    violating_agents: int | None = Field(
        default=None, ge=0, le=1000000, description="Of these, how many it does not allow as they are stored."
    )
    violating_since: Annotated[str, Field(max_length=32)] | None = Field(
        default=None, description="Since when there is any such (RFC 3339); absent when there is none."
    )


class AgentPolicy(Model):
    """Guardrails: what agents may ask for. A namespace that none binds gets the built-in `restricted`."""

    kind: ClassVar = "AgentPolicy"
    plural: ClassVar = "agentpolicies"
    short_names: ClassVar = ("agp", "agps")
    scope: ClassVar = "Cluster"
    name_rule: ClassVar = None
    printer_columns: ClassVar = (
        PrinterColumn("Max-Level", "string", ".spec.permissions.maxLevel", "Highest level an agent may name"),
        PrinterColumn("CIDRs", "string", ".spec.egress.cidrs", "Networks agents may reach"),
        PrinterColumn("Registries", "string", ".spec.images.registries", "Where images may come from", 1),
        PrinterColumn("Agents", "integer", ".status.boundAgents", "Agents that it binds", 1),
        PrinterColumn("Violating", "integer", ".status.violatingAgents", "Agents that it does not allow", 1),
        PrinterColumn("Age", "date", ".metadata.creationTimestamp"),
    )

    spec: AgentPolicySpec
    status: AgentPolicyStatus | None = None
