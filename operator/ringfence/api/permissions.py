"""Rights on the Kubernetes API, as an agent asks for them and as a policy allows them."""

from typing import Annotated, Literal

from pydantic import Field

from .base import ListType, Model
from .fields import DnsSubdomain, RbacGroup, RbacWord

Level = Literal["ReadOnly", "LimitedWrite", "Admin", "Critical"]
"""Ordered from least to most; `policy/grants.py` says what each holds."""


class PolicyRule(Model):
    """Kubernetes' own PolicyRule, without nonResourceURLs: those never apply in a namespace."""

    api_groups: Annotated[list[RbacGroup], Field(min_length=1, max_length=16), ListType("atomic")] = Field(
        description='API groups, "" for the core group. No wildcard: name each.'
    )
    resources: Annotated[list[RbacWord], Field(min_length=1, max_length=32), ListType("atomic")] = Field(
        description="Resources in the plural, or RESOURCE/SUBRESOURCE. No wildcard: name each."
    )
    resource_names: Annotated[list[DnsSubdomain], Field(max_length=64), ListType("atomic")] = Field(
        default_factory=list,
        description="Only the objects of these names; empty means every object of the resource. "
        "Names do not constrain list, watch, create and deletecollection, so those are refused beside names.",
    )
    verbs: Annotated[list[RbacWord], Field(min_length=1, max_length=16), ListType("atomic")] = Field(
        description="Verbs such as get, list, watch. No wildcard: name each."
    )


class Permissions(Model):
    """What the agent may do on the Kubernetes API, in its own namespace only. Absent: no rights, no token."""

    level: Level = Field(
        default="ReadOnly",
        description="The ceiling that the rules must fit under: ReadOnly < LimitedWrite < Admin < Critical. "
        "It grants nothing by itself.",
    )
    rules: Annotated[list[PolicyRule], Field(max_length=32), ListType("atomic")] = Field(
        default_factory=list,
        description="The rights. They become a Role for the agent's own ServiceAccount. Empty: none. Whoever adds one "
        "must hold it himself, or the namespace's delegate must.",
    )
