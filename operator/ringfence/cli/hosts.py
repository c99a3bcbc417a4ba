"""Hosts that an agent names, for people: what of them is let through, and which of them a target is. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ringfence.api import AgentDeploymentSpec, parse
from ringfence.api.hostnames import Host, Refused, read_host
from ringfence.api.network import HTTP, EgressRule, RequestRule
from ringfence.policy.egress_hosts import limits_of
from ringfence.policy.text import listed

_MOST: Final = 8
"""Requests shown of one host."""


def named_hosts(agent: Mapping[str, Any]) -> list[EgressRule]:
    """Rules by host of a stored AgentDeployment, where the spec that was accepted is the newest one."""
    status = agent.get("status") or {}
    if status.get("acceptedGeneration") != (agent.get("metadata") or {}).get("generation"):
        return []
    spec = parse(AgentDeploymentSpec, agent.get("spec")).value
    return [rule for rule in spec.network.egress if rule.host is not None] if spec else []


def rule_for(rules: Sequence[EgressRule], name: str, port: int) -> EgressRule | None:
    """The rule by which a host is reached; one for the exact name goes before a wildcard. `name`: in any spelling."""
    read = read_host(name)
    canonical = read.write if isinstance(read, Refused) else read.name
    if canonical is None:
        return None
    covering = [rule for rule in rules if port in rule.host_ports and Host(str(rule.host)).covers(Host(canonical))]
    return next((rule for rule in covering if rule.host == canonical), next(iter(covering), None))


def passes(rule: EgressRule) -> str:
    """What of it the gateway lets through."""
    if rule.is_tunnel:
        return "by a tunnel, in which the gateway sees nothing"
    what = "any request"
    if rule.preset:
        what = f"what preset {rule.preset} has"
    elif rule.rules:
        what = listed(map(_requests, rule.rules), _MOST)
    limits = [f"{field} {most}" for field, most in limits_of(rule.limits).items()]
    return ", ".join([f"by the gateway: {what}", *limits])


def host_lines(rules: Sequence[EgressRule]) -> Iterator[str]:
    """One line for each host."""
    for rule in rules:
        plain = f", without TLS on port {HTTP}" if HTTP in rule.host_ports else ""
        yield f"{rule.host}:{','.join(map(str, rule.host_ports))} {passes(rule)}{plain}"


def _requests(rule: RequestRule) -> str:
    return f"{'|'.join(rule.methods or ()) or 'any method'} {'|'.join(rule.paths or ()) or 'any path'}"
