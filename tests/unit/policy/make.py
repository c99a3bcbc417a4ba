"""Agents and policies for tests: the smallest that is accepted, plus what a test is about."""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_network
from typing import Any

from ringfence.api import AgentPolicySpec
from ringfence.policy.decide import decide
from ringfence.policy.model import AgentObject, Facts, NamedPolicy, RuleName, Violation
from ringfence.policy.special import SET_APART

DIGEST = "sha256:" + "0123456789abcdef" * 4
IMAGE = f"registry.example/acme/agent@{DIGEST}"
OPEN = {"ringfence.dev/agents": "enabled"}
NAMESPACE = "team-a"

CRITICAL = {"permissions": {"maxLevel": "Critical"}}
"""A policy that leaves permissions to the levels."""
EVERYWHERE = ["0.0.0.0/0", "::/0"]
APART = [str(network) for apart in SET_APART for network in apart.addresses.networks()]
WIDE = {"egress": {"cidrs": [*EVERYWHERE, *APART], "maxPublicAddresses": 65536}}
"""A policy that leaves egress to the rules that no policy can lift, and to the sum of addresses."""
CARELESS = {"egress": {"cidrs": EVERYWHERE, "maxPublicAddresses": 65536}}
"""A policy whose author thought of the internet, and of nothing else."""


def policy(spec: Mapping[str, Any], name: str = "wide") -> NamedPolicy:
    return NamedPolicy(name, AgentPolicySpec.model_validate(spec))


def facts(*networks: str, labels: Mapping[str, str] | None = OPEN) -> Facts:
    return Facts(labels, tuple(ip_network(network) for network in networks))


def judge(spec: Any, *policies: Mapping[str, Any], known: Facts | None = None, name: str = "agent") -> list[Violation]:
    """What is decided about `spec` (its image is filled in) under `policies`, called p0, p1, ..."""
    full = {"image": IMAGE, **spec} if isinstance(spec, dict) else spec
    named = [policy(text, f"p{index}") for index, text in enumerate(policies)]
    return decide(AgentObject(name, NAMESPACE, full), named, known or facts())


def rule(
    verbs: str | Sequence[str], resources: str | Sequence[str], groups: str | Sequence[str] = "", **more: Any
) -> dict[str, Any]:
    """A rule of permissions; a single word stands for a list of one."""
    return {"apiGroups": _words(groups), "resources": _words(resources), "verbs": _words(verbs), **more}


def permitted(*rules: Mapping[str, Any], level: str = "Critical", allow: Any = None) -> list[Violation]:
    """What is decided about an agent with these rules at `level`, under a policy with `allow`."""
    permissions = CRITICAL["permissions"] | ({} if allow is None else {"allow": allow})
    return judge({"permissions": {"level": level, "rules": list(rules)}}, {"permissions": permissions})


def egress(*cidrs: str, policies: Sequence[Mapping[str, Any]] = (WIDE,), networks: Iterable[str] = ()) -> Any:
    """What is decided about an agent that asks for port 443 of each of `cidrs`."""
    rules = [{"cidr": cidr, "ports": [443]} for cidr in cidrs]
    return judge({"network": {"egress": rules}}, *policies, known=facts(*networks))


def names(violations: Iterable[Violation]) -> set[RuleName]:
    return {violation.rule for violation in violations}


def places(violations: Iterable[Violation]) -> set[tuple[str, str]]:
    return {(violation.rule.value, violation.path) for violation in violations}


def _words(words: str | Sequence[str]) -> list[str]:
    return [words] if isinstance(words, str) else list(words)
