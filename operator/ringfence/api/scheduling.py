"""On which nodes an agent's pods may run, and which devices of these they get. Each only as far as policies allow."""

from typing import Annotated, Final, Literal

from pydantic import Field

from .affinity import Away, Neighbour, NodeAffinity
from .base import ListType, Model, ValueRule
from .fields import DnsSubdomain, LabelKey, Labels, LabelValue

_NODES_OWN: Final = ("node-role.kubernetes.io/", "node.kubernetes.io/")

TaintKey = Annotated[
    LabelKey,
    ValueRule(
        cel="!self.startsWith('node-role.kubernetes.io/') && !self.startsWith('node.kubernetes.io/')",
        message="no agent tolerates the taints of control-plane nodes, nor those of nodes that are not well: name a "
        "taint of your own, such as example.com/agents",
        check=lambda key: not key.startswith(_NODES_OWN),
    ),
]
DeviceName = Annotated[
    str,
    Field(min_length=3, max_length=64, pattern=r"^(?:[a-z0-9][-a-z0-9.]*)/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"),
    ValueRule(
        cel="!self.contains('kubernetes.io/') && !self.startsWith('requests.')",
        message="must be an extended resource such as nvidia.com/gpu, none of Kubernetes' own",
        check=lambda name: "kubernetes.io/" not in name and not name.startswith("requests."),
    ),
]


class Toleration(Model):
    """A taint of nodes."""

    key: TaintKey = Field(description="Key of the taint.")
    value: LabelValue | None = Field(default=None, description="Its value. Absent: any value.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="Its effect. Absent: any effect."
    )


class NodeLabel(Model):
    """A label of nodes by which agents may choose."""

    key: LabelKey = Field(description="Key of the label.")
    value: LabelValue | None = Field(default=None, description="Its value. Absent: any value.")


class Spread(Model):
    """The agent's own pods spread over nodes, zones or whatever else a label of nodes tells apart."""

    topology_key: LabelKey = Field(
        description="Label of nodes, such as topology.kubernetes.io/zone. Policies: pods.topologyKeys."
    )
    max_skew: int = Field(
        default=1, ge=1, le=100, description="By how many pods two values of the label may differ at most."
    )
    when_unsatisfiable: Literal["ScheduleAnyway", "DoNotSchedule"] = Field(
        default="ScheduleAnyway", description="What becomes of a pod that fits nowhere so."
    )


class Scheduling(Model):
    """Which nodes. Absent: any that Kubernetes chooses."""

    node_selector: Labels = Field(
        default_factory=dict, max_length=8, description="Labels that a node must have. Policies: pods.nodeLabels."
    )
    tolerations: Annotated[list[Toleration], Field(max_length=8), ListType("atomic")] = Field(
        default_factory=list, description="Taints that keep others away. Policies: pods.tolerations."
    )
    spread: Annotated[list[Spread], Field(max_length=4), ListType("map", ("topology_key",))] = Field(
        default_factory=list,
        description="How the agent's own pods spread; others' are not looked at. Policies: pods.topologyKeys.",
    )
    node_affinity: NodeAffinity = Field(
        default_factory=NodeAffinity, description="Labels of nodes, compared in other ways. Policies: pods.nodeLabels."
    )
    near: Annotated[list[Neighbour], Field(max_length=4), ListType("atomic")] = Field(
        default_factory=list, description="Whose pods they are put beside. Policies: pods.topologyKeys."
    )
    apart: Annotated[list[Away], Field(max_length=4), ListType("atomic")] = Field(
        default_factory=list, description="Whose pods they are kept away from. Policies: pods.topologyKeys."
    )
    priority_class_name: DnsSubdomain | None = Field(
        default=None, description="A PriorityClass: whose pods go before others'. Policies: pods.priorityClassNames."
    )


class Device(Model):
    """Devices of one kind, for each pod."""

    name: DeviceName = Field(description="The extended resource, such as nvidia.com/gpu. Policies: pods.devices.")
    count: int = Field(ge=1, le=64, description="How many each pod gets.")


class DeviceLimit(Model):
    """Devices of one kind, for all pods of an agent together."""

    name: DeviceName = Field(description="The extended resource, such as nvidia.com/gpu.")
    most: int = Field(ge=1, le=1000, description="The most that one agent gets: its count times its replicas.")
