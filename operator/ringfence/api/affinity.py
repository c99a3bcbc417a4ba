"""Which nodes an agent's pods need or would rather have, and whose pods they want beside them or far from them."""

from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from .base import ListType, Model, Rule
from .fields import DnsLabel, LabelKey, LabelValue, matches

_NUMBER: Final = "^(0|[1-9][0-9]{0,17})$"


class NodeRequirement(Model):
    """What a label of a node must be like."""

    cel_rules: ClassVar = (
        Rule(
            cel="self.operator in ['Gt', 'Lt'] ? size(self.values) == 1 : "
            "(self.operator in ['In', 'NotIn']) == (size(self.values) > 0)",
            message="In and NotIn need values, Gt and Lt need one; Exists and DoesNotExist take none",
            check=lambda one: (
                len(one.values) == 1
                if one.operator in {"Gt", "Lt"}
                else (one.operator in {"In", "NotIn"}) == bool(one.values)
            ),
        ),
        Rule(
            cel=f"!(self.operator in ['Gt', 'Lt']) || self.values.all(one, one.matches('{_NUMBER}'))",
            message='Gt and Lt compare whole numbers: write values: ["8"]',
            check=lambda one: one.operator not in {"Gt", "Lt"} or all(matches(_NUMBER, value) for value in one.values),
        ),
    )

    key: LabelKey = Field(description="Key of the label. Policies: pods.nodeLabels.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"] = Field(
        description="How it is compared. But for In, a policy must allow the key with any value: what is not named is "
        "chosen, too."
    )
    values: Annotated[list[LabelValue], Field(max_length=16), ListType("atomic")] = Field(
        default_factory=list,
        description="Its values: for Gt and Lt one whole number, for Exists and DoesNotExist none.",
    )


class PreferredNode(NodeRequirement):
    """The same as a wish."""

    weight: int = Field(default=1, ge=1, le=100, description="How much it counts beside other wishes.")


class NodeAffinity(Model):
    """Labels of nodes, beyond nodeSelector."""

    required: Annotated[list[NodeRequirement], Field(max_length=8), ListType("atomic")] = Field(
        default_factory=list, description="What a node must meet, all of it."
    )
    preferred: Annotated[list[PreferredNode], Field(max_length=8), ListType("atomic")] = Field(
        default_factory=list, description="What a node had better meet; each for itself."
    )


class Neighbour(Model):
    """Pods of an agent of the same namespace, and what counts as one place."""

    agent: DnsLabel | None = Field(
        default=None, description="Name of the AgentDeployment, in the agent's own namespace. Absent: this one."
    )
    topology_key: LabelKey = Field(
        description="Label of nodes: nodes with the same value are one place, such as kubernetes.io/hostname. "
        "Policies: pods.topologyKeys."
    )
    when_unsatisfiable: Literal["ScheduleAnyway", "DoNotSchedule"] = Field(
        default="ScheduleAnyway", description="What becomes of a pod that fits nowhere so."
    )


class Away(Neighbour):
    """The same of pods to stay away from."""

    cel_rules: ClassVar = (
        # The scheduler would keep the other agent's pods away from these, too.
        Rule(
            cel="!has(self.agent) || self.whenUnsatisfiable != 'DoNotSchedule'",
            message="DoNotSchedule is for the agent's own pods: it would keep another agent's pods from starting. "
            "Leave agent out, or write ScheduleAnyway",
            check=lambda one: one.agent is None or one.when_unsatisfiable != "DoNotSchedule",
        ),
    )
