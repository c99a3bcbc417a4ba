"""Callers that an agent lets in: of its own namespace, and of those that every policy names."""

from collections.abc import Iterator, Sequence

from ringfence.api.network import IngressRule

from .model import NamedPolicy, RuleName, Violation
from .text import quote

_AT = "spec.network.ingress"


def check_ingress(rules: Sequence[IngressRule], namespace: str, policies: Sequence[NamedPolicy]) -> Iterator[Violation]:
    """Every violation of the rule about callers. Adding a rule to `rules` never removes one."""
    for index, rule in enumerate(rules):
        caller = rule.from_.namespace or namespace
        for policy in policies if caller != namespace else ():
            if caller not in policy.caller_namespaces:
                message = (
                    f"policy {quote(policy.name)} lets no pods of namespace {quote(caller)} connect to agents: name "
                    "callers in the agent's own namespace, or have it added to the policy's spec.ingress.namespaces"
                )
                yield Violation(f"{_AT}[{index}].from.namespace", RuleName.INGRESS_ABOVE_POLICY, message)
