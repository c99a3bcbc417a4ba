"""AgentDeployment: one agent and everything it may do."""

from typing import Annotated, ClassVar

from pydantic import Field

from .base import ListType, Model, PrinterColumn, Rule
from .container import EnvVar, Resources
from .containers import CONTAINER_RULES, InitContainer, Sidecar
from .fields import (
    DNS_LABEL,
    AbsolutePath,
    Argument,
    Bundle,
    DnsSubdomain,
    HttpPath,
    Image,
    Port,
    PortName,
    Quantity,
    matches,
)
from .files import CONTENT_RULE, ConfigFile, EnvFrom
from .identity import Identity
from .marks import PodAnnotations, PodLabels
from .names import MAX_AGENT_NAME
from .network import Network
from .permissions import Permissions
from .probes import PORT_RULE, Probe
from .run import NAME_RULE, RUN_RULES, Run
from .scheduling import Device, Scheduling
from .scratch import Scratch
from .secrets import AgentSecret
from .status import AgentStatus
from .stop import Stop
from .users import NOBODY, Id
from .volumes import ExistingVolume


class ContainerPort(Model):
    """One TCP port that the agent listens on. It stays closed until network.ingress names it."""

    name: PortName = Field(description="Name by which health and network.ingress refer to the port.")
    port: Port = Field(description="The TCP port inside the pod.")


class ImageSignature(Model):
    """What somebody signed about an image. AgentPolicies say by which keys; without a key of theirs it says nothing."""

    bundle: Bundle = Field(
        description="A Sigstore bundle v0.3 in JSON, as `cosign sign --bundle` and `cosign attest --bundle` write it. "
        "It holds no secret."
    )


class Storage(Model):
    """One volume that outlives the pod. It is deleted with the agent."""

    mount_path: AbsolutePath = Field(
        description="Where it is mounted; a writable place besides /tmp and those of scratch."
    )
    size: Quantity = Field(description="Size of the PersistentVolumeClaim, such as 1Gi.")
    storage_class_name: DnsSubdomain | None = Field(default=None, description="Absent: the cluster's default class.")


class Health(Model):
    """One HTTP probe for readiness and liveness; `probes` has them apart. The kubelet's probes pass the fence."""

    path: HttpPath = Field(default="/healthz", description="Path that answers 200 to 399 when the agent is well.")
    port: PortName = Field(description="Name of one of spec.ports.")


class Sandbox(Model):
    """A stronger wall between the agent and the node's kernel."""

    runtime_class_name: DnsSubdomain = Field(description="A RuntimeClass of the cluster, such as gvisor.")


class AgentDeploymentSpec(Model):
    """What the agent is and what it may do. What is absent is refused."""

    cel_rules: ClassVar = (
        Rule(
            cel="!has(self.storage) || self.replicas <= 1",
            message="storage is mounted by one pod at a time: set replicas to 0 or 1, or drop storage",
            check=lambda spec: spec.storage is None or spec.replicas <= 1,
        ),
        Rule(
            cel="!has(self.health) || self.ports.exists(p, p.name == self.health.port)",
            message="health.port must be the name of one of spec.ports",
            check=lambda spec: spec.health is None or spec.health.port in {port.name for port in spec.ports},
        ),
        Rule(
            cel="self.network.ingress.all(r, self.ports.exists(p, p.name == r.port))",
            message="each network.ingress[].port must be the name of one of spec.ports",
            check=lambda spec: {rule.port for rule in spec.network.ingress} <= {port.name for port in spec.ports},
        ),
        CONTENT_RULE,
        PORT_RULE,
        *RUN_RULES,
        *CONTAINER_RULES,
    )

    image: Image = Field(
        description="Container image, pinned by digest (NAME@sha256:...) unless an AgentPolicy relaxes it."
    )
    image_signatures: Annotated[list[ImageSignature], Field(max_length=8), ListType("atomic")] = Field(
        default_factory=list,
        description="Signatures of the image, and attestations about it: verified where an AgentPolicy asks for them "
        "(images.signedBy).",
    )
    command: Annotated[list[Argument], Field(max_length=64), ListType("atomic")] = Field(
        default_factory=list, description="Replaces the image's entrypoint. Run as it is, without a shell."
    )
    args: Annotated[list[Argument], Field(max_length=128), ListType("atomic")] = Field(
        default_factory=list,
        description="Arguments of the command. Not for secrets: whoever reads the object reads them.",
    )
    env: Annotated[list[EnvVar], Field(max_length=128), ListType("map", ("name",))] = Field(
        default_factory=list,
        description="Environment variables, by value only. Not for secrets: whoever reads the object reads them.",
    )
    env_from: Annotated[list[EnvFrom], Field(max_length=16), ListType("map", ("config_map",))] = Field(
        default_factory=list,
        description="Environment variables from ConfigMaps, each named. Not for secrets.",
    )
    files: Annotated[list[ConfigFile], Field(max_length=32), ListType("map", ("path",))] = Field(
        default_factory=list,
        description="Configuration files, read-only. Not for secrets.",
    )
    resources: Resources = Field(default_factory=Resources)
    replicas: int = Field(
        default=1,
        ge=0,
        le=100,
        description="Pods of this agent; 0 stops it, like suspended. kubectl "
        "scale and autoscalers change it, too, as far as policies allow (limits).",
    )
    suspended: bool = Field(
        default=False,
        description="True stops the agent: no pods. The fence stays, and so do storage and rights.",
    )
    run: Run | None = Field(default=None, description="When it works. Absent: always, as with mode Service.")
    ports: Annotated[list[ContainerPort], Field(max_length=16), ListType("map", ("name",))] = Field(
        default_factory=list,
        description="TCP ports that the agent listens on. Each stays closed until network.ingress names it. They get a "
        "Service inside of the cluster, whose name is in the status.",
    )
    storage: Storage | None = Field(
        default=None,
        description="One volume that outlives the pod and is deleted with the agent. Absent: the agent keeps nothing.",
    )
    volumes: Annotated[list[ExistingVolume], Field(max_length=4), ListType("map", ("claim",))] = Field(
        default_factory=list,
        description="PersistentVolumeClaims that are there already, as far as policies allow. They stay when the agent "
        "goes.",
    )
    scratch: Annotated[list[Scratch], Field(max_length=8), ListType("map", ("path",))] = Field(
        default_factory=list,
        description="Writable directories that end with the pod. Absent: /tmp with 256Mi, which is HOME; the rest is "
        "read-only.",
    )
    health: Health | None = Field(default=None, description="HTTP probe for readiness and liveness. Absent: no probe.")
    probes: Annotated[list[Probe], Field(max_length=3), ListType("map", ("type",))] = Field(
        default_factory=list,
        description="Probes for startup, readiness and liveness. What is absent here is that of health, if any.",
    )
    stop: Stop | None = Field(default=None, description="How its pods end. Absent: SIGTERM, and 30s later by force.")
    init_containers: Annotated[list[InitContainer], Field(max_length=4), ListType("map", ("name",))] = Field(
        default_factory=list,
        description="Containers that run before the agent, one after the other: each must end with exit code 0.",
    )
    sidecars: Annotated[list[Sidecar], Field(max_length=4), ListType("map", ("name",))] = Field(
        default_factory=list,
        description="Containers that run beside the agent, from before it starts until after it ends. They share its "
        "network, and with it all that network allows.",
    )
    image_pull_secrets: Annotated[list[DnsSubdomain], Field(max_length=8), ListType("set")] = Field(
        default_factory=list,
        description="Names of Secrets in the agent's namespace; only the kubelet reads them.",
    )
    sandbox: Sandbox | None = Field(
        default=None,
        description="A stronger wall between the agent and the node's kernel. Absent: the node's default runtime.",
    )
    run_as_user: Id | None = Field(
        default=None,
        description=f"Id of the user that it runs as, never root. Absent: {NOBODY}, or the one that the platform "
        "assigns (OpenShift). Policies allow others.",
    )
    run_as_group: Id | None = Field(
        default=None, description="Id of its group, which its volumes belong to. The same holds of it."
    )
    scheduling: Scheduling | None = Field(
        default=None, description="On which nodes its pods run, as far as policies allow. Absent: Kubernetes chooses."
    )
    devices: Annotated[list[Device], Field(max_length=4), ListType("map", ("name",))] = Field(
        default_factory=list, description="GPUs and other devices of nodes, as far as policies allow."
    )
    pod_labels: PodLabels = Field(
        default_factory=dict,
        max_length=8,
        description="Labels of its pods beside Ringfence's own. Policies: pods.labels. Services and policies of others "
        "may select by them.",
    )
    pod_annotations: PodAnnotations = Field(
        default_factory=dict,
        max_length=8,
        description="Annotations of its pods. Policies: pods.annotations. Not for secrets.",
    )
    identity: Identity | None = Field(
        default=None,
        description="Who the agent is to a cloud, as far as policies allow. Absent: nobody, least of all its node.",
    )
    permissions: Permissions = Field(default_factory=Permissions)
    secrets: Annotated[list[AgentSecret], Field(max_length=16), ListType("map", ("name",))] = Field(
        default_factory=list, description="Secrets that the agent is given. No value is ever part of this object."
    )
    network: Network = Field(default_factory=Network)


class AgentDeployment(Model):
    """An AI agent in a fence: it runs with what this object asks for and its AgentPolicies allow, no more."""

    kind: ClassVar = "AgentDeployment"
    plural: ClassVar = "agentdeployments"
    short_names: ClassVar = ("agd", "agds")
    scale: ClassVar = {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }
    scope: ClassVar = "Namespaced"
    name_rule: ClassVar = Rule(
        cel=f"self.metadata.name.size() <= {MAX_AGENT_NAME} && self.metadata.name.matches('{DNS_LABEL}')",
        message=f"metadata.name must be at most {MAX_AGENT_NAME} characters of a-z, 0-9 and -: "
        "it becomes a label of the pods",
        check=lambda name: len(name) <= MAX_AGENT_NAME and matches(DNS_LABEL, name),
    )
    run_name_rule: ClassVar = NAME_RULE
    printer_columns: ClassVar = (
        PrinterColumn(
            "Ready",
            "string",
            '.status.conditions[?(@.type=="Ready")].status',
            "Fence in place and agent running",
        ),
        PrinterColumn("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason', "Why it is ready or not"),
        PrinterColumn("Pods", "integer", ".status.readyReplicas", "Pods that are ready"),
        PrinterColumn("Level", "string", ".spec.permissions.level", "Ceiling of its rights"),
        PrinterColumn("Secrets", "date", ".status.oldestSecret", "Age of the oldest secret"),
        PrinterColumn("Schedule", "string", ".spec.run.schedule", "When it works", 1),
        PrinterColumn("Last run", "string", ".status.runs[0].outcome", "How its last run ended", 1),
        PrinterColumn("Egress", "string", ".status.effectiveEgress", "What it may reach", 1),
        PrinterColumn("Rights", "string", ".status.effectivePermissions", "What it may do", 1),
        PrinterColumn("Message", "string", '.status.conditions[?(@.type=="Ready")].message', "In a sentence", 1),
        PrinterColumn("Age", "date", ".metadata.creationTimestamp"),
    )

    spec: AgentDeploymentSpec
    status: AgentStatus | None = Field(
        default=None, description="What was observed of the agent and its fence. Written by Ringfence only."
    )
