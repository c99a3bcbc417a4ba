"""From a stored AgentPolicy to one that decides. One rule for all who ask: controller, admission, `explain`."""

from collections.abc import Mapping
from typing import Any, Literal

from ringfence.api import AgentPolicySpec, parse
from ringfence.api.agentpolicy import LabelSelector, PolicyEgress, PolicyImages, PolicyIngress, PolicyPermissions
from ringfence.api.parsing import FieldError

from .model import NamedPolicy


def read_policy(name: str, spec: Any) -> tuple[NamedPolicy, tuple[FieldError, ...]]:
    """The policy, and what is wrong with it where it cannot be read.

    Such a policy allows nothing in the namespaces that it selects, or in all where even its selector cannot be read:
    to skip it would open what it was written to close.
    """
    parsed = parse(AgentPolicySpec, spec)
    if parsed.value is not None:
        return NamedPolicy(name, parsed.value), ()
    selector = spec.get("namespaceSelector") if isinstance(spec, Mapping) else None
    selected = parse(LabelSelector, selector, at="spec.namespaceSelector").value
    suspends = isinstance(spec, Mapping) and spec.get("existing") == "Suspend"
    nothing = _nothing(selected, "Suspend" if suspends else "Report")
    closed = NamedPolicy(f"{name} (unreadable: it allows nothing until it is fixed)", nothing)
    return closed, parsed.errors


def _nothing(selector: LabelSelector | None, existing: Literal["Report", "Suspend"]) -> AgentPolicySpec:
    """The policy that allows no agent at all in the selected namespaces; without a selector, in any.

    `existing`: as it says itself. A mistake in a policy stops what runs only where its author wanted that.
    """
    return AgentPolicySpec(
        namespace_selector=selector or LabelSelector(),
        permissions=PolicyPermissions(max_level="ReadOnly", allow=[]),
        egress=PolicyEgress(hosts=[], cidrs=[], service_namespaces=[], max_public_addresses=0),
        ingress=PolicyIngress(namespaces=[]),
        images=PolicyImages(registries=[], require_digest=True),
        existing=existing,
    )
