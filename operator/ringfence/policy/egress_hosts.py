"""Egress by host name: which names an agent may ask for, and in which way."""

from collections.abc import Iterator, Mapping, Sequence

from ringfence.api.network import EgressRule, HostLimits

from .hostnames import Host, Refused, covered, read_host, refusal
from .model import NamedPolicy, RuleName, Violation
from .providers import provider_of, providers
from .text import listed, quote

_AT = "spec.network.egress"


def check_hosts(
    rules: Sequence[EgressRule], policies: Sequence[NamedPolicy], keyed: frozenset[str] = frozenset()
) -> Iterator[Violation]:
    """Every violation of the rules about hosts. `keyed`: hosts to which the gateway itself brings the key."""
    seen: dict[tuple[str, int], int] = {}
    for index, rule in enumerate(rules):
        if rule.host is None:
            continue
        at = f"{_AT}[{index}]"
        yield from _check_twice(at, index, rule, seen)
        host = read_host(rule.host)
        if isinstance(host, Refused):
            yield Violation(f"{at}.host", RuleName.EGRESS_HOST_INVALID, host.message)
        elif (why := refusal(host.name, needs_reason=False)) is not None:
            yield Violation(f"{at}.host", RuleName.EGRESS_HOST_INVALID, why)
        else:
            yield from _check_preset(at, rule, host)
            for policy in policies:
                yield from _check_policy(at, rule, host, policy, keyed)


def _check_twice(at: str, index: int, rule: EgressRule, seen: dict[tuple[str, int], int]) -> Iterator[Violation]:
    """One host and port in two rules: nobody could say which of them decides."""
    for port in rule.host_ports:
        first = seen.setdefault((str(rule.host), port), index)
        if first != index:
            message = (
                f"egress[{first}] names port {port} of this host already: put the ports and rules of both into one"
            )
            yield Violation(f"{at}.host", RuleName.EGRESS_HOST_INVALID, message)


def _check_preset(at: str, rule: EgressRule, host: Host) -> Iterator[Violation]:
    """Paths of one provider mean something else at another one's host."""
    if rule.preset is None or (provider := providers()[rule.preset]).meets(host):
        return
    own = provider_of(host)
    fix = f"write preset: {own.name}" if own else "write rules in place of preset"
    message = (
        f"{quote(host.name)} is no host of {rule.preset}, which has {listed(provider.hosts, 3)}: {fix}, or name one of "
        "these hosts"
    )
    yield Violation(f"{at}.preset", RuleName.EGRESS_HOST_INVALID, message)


def _check_limits(at: str, rule: EgressRule, policy: NamedPolicy) -> Iterator[Violation]:
    """What a policy bounds, an agent says: at most that. A tunnel has no requests."""
    if rule.is_tunnel:
        return
    asked, allowed = limits_of(rule.limits), limits_of(policy.spec.egress.limits)
    for field, most in allowed.items():
        if (wanted := asked.get(field)) is None or wanted > most:
            said = "says nothing of it" if wanted is None else f"asks for {wanted}"
            message = (
                f"policy {quote(policy.name)} allows a host at most {most}, and this one {said}: write limits: "
                f"{{{field}: {most}}} or less"
            )
            yield Violation(f"{at}.limits.{field}", RuleName.EGRESS_LIMIT_ABOVE_POLICY, message)


def limits_of(limits: HostLimits | None) -> Mapping[str, int]:
    """Those that are set, by their fields."""
    said = {
        "requestsPerMinute": limits.requests_per_minute if limits else None,
        "maxBodyBytes": limits.max_body_bytes if limits else None,
    }
    return {field: number for field, number in said.items() if number is not None}


def _check_policy(
    at: str, rule: EgressRule, host: Host, policy: NamedPolicy, keyed: frozenset[str]
) -> Iterator[Violation]:
    if not covered(host, policy.allowed_hosts):
        yield Violation(f"{at}.host", RuleName.EGRESS_HOST_ABOVE_POLICY, _not_allowed(host, policy))
        return
    if rule.is_tunnel and not covered(host, policy.tunnel_hosts):
        message = (
            f"policy {quote(policy.name)} does not allow a tunnel to {quote(host.name)}: leave mode out, so that the "
            "gateway decides each request, or have the host added to the policy's spec.egress.tunnel"
        )
        yield Violation(f"{at}.mode", RuleName.EGRESS_TUNNEL_ABOVE_POLICY, message)
    yield from _check_limits(at, rule, policy)
    provider = provider_of(host)
    if provider and (rule.is_tunnel or host.name not in keyed) and not covered(host, policy.unkeyed_hosts):
        message = (
            f"{quote(host.name)} is a host of an LLM provider ({provider.name}), which takes data for whoever brings a "
            "key: have the gateway bring yours (spec.secrets[].delivery.gateway, to a host by its exact name), or have "
            f"the host added to spec.egress.unkeyed of policy {quote(policy.name)}, with which the agent may use a key "
            "of its own"
        )
        yield Violation(f"{at}.host", RuleName.EGRESS_HOST_UNKEYED, message)


def _not_allowed(host: Host, policy: NamedPolicy) -> str:
    """With the fix: of a wildcard first the names below it that the policy allows."""
    told = f"policy {quote(policy.name)} does not allow {quote(host.name)}: "
    written = next((one for one in policy.spec.egress.hosts if one.name == host.name), None)
    if written is not None:
        return f"{told}its entry counts for nothing, since {refusal(written.name, written.reason)}"
    below = sorted(one.name for one in policy.allowed_hosts if host.covers(one))
    what = "a wildcard" if host.is_wildcard else "it"
    keep = f"name {' or '.join(below[:3])}" if below else "name a host that it allows"
    return f"{told}{keep}, or have {what} added to the policy's spec.egress.hosts"


def hosts_of(rules: Sequence[EgressRule]) -> Mapping[tuple[str, int], EgressRule]:
    """(name, port) of each host that is asked for -> its rule; the first where two name the same."""
    found: dict[tuple[str, int], EgressRule] = {}
    for rule in rules:
        for port in rule.host_ports:
            found.setdefault((str(rule.host), port), rule)
    return found
