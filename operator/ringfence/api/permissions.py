"""Rights on the Kubernetes API, as an agent asks for them and as a policy allows them."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .base import ListType, Model, Rule
from .fields import DnsLabel, DnsSubdomain, RbacGroup, RbacWord

Level = Literal["ReadOnly", "LimitedWrite", "Admin", "Critical"]
"""Ordered from least to most; `policy/grants.py` says what each holds."""

ClusterRead = Literal["namespaces", "nodes", "persistentvolumes", "storageclasses"]
"""Kinds outside of all namespaces that an agent can be let read; `policy/grants.py` says from which level on."""

MOST_TARGETS = 32
"""Entries of `namespaces`, over all rules of an agent: each makes a Role and a RoleBinding."""


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


class AgentRule(PolicyRule):
    """The same, and where it holds."""

    namespaces: Annotated[list[DnsLabel], Field(max_length=16), ListType("set")] = Field(
        default_factory=list,
        description="Where the rule holds; empty: in the agent's own namespace. Every other one must be allowed by the "
        "policies, and consent by its annotation ringfence.dev/consent.",
    )


class Permissions(Model):
    """What the agent may do on the Kubernetes API. Absent: no rights, no token."""

    cel_rules: ClassVar = (
        Rule(
            cel=f"!has(self.rules) || self.rules.map(r, size(r.namespaces)).sum() <= {MOST_TARGETS}",
            message=f"all rules together name at most {MOST_TARGETS} namespaces",
            check=lambda found: sum(len(rule.namespaces) for rule in found.rules) <= MOST_TARGETS,
        ),
    )

    level: Level = Field(
        default="ReadOnly",
        description="The ceiling that the rules must fit under: ReadOnly < LimitedWrite < Admin < Critical. "
        "It grants nothing by itself.",
    )
    rules: Annotated[list[AgentRule], Field(max_length=32), ListType("atomic")] = Field(
        default_factory=list,
        description="The rights. They become a Role for the agent's own ServiceAccount. Empty: none. Whoever adds one "
        "must hold it himself, or the namespace's delegate must.",
    )
    cluster_reads: Annotated[list[ClusterRead], Field(max_length=4), ListType("set")] = Field(
        default_factory=list,
        description="Kinds outside of all namespaces that the agent may get, list and watch. Each asks for a level, "
        "and for a policy that names it. Empty: none. Whoever adds one must hold it himself, too.",
    )

    @property
    def asks(self) -> bool:
        """Whether it asks for anything: then the agent gets a token, and a way to the API server."""
        return bool(self.rules or self.cluster_reads)
