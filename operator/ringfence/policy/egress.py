"""Egress that an agent asks for, decided on the set of addresses that all its rules reach together."""

from collections.abc import Iterator, Sequence
from functools import reduce
from ipaddress import ip_network

from ringfence.api.network import EgressRule, ServiceTarget

from .addresses import Addresses
from .model import Facts, NamedPolicy, RuleName, Violation
from .special import PROTECTED, PublicCount, count_public, reach
from .text import listed, quote

_AT = "spec.network.egress"

DNS_PORTS = {53: "DNS", 853: "DNS over TLS"}
"""RFC 1035 section 4.2 and RFC 7858 section 3.1."""

CLOSED_NAMESPACES = frozenset({"kube-system", "kube-public", "kube-node-lease"})
"""Kubernetes' own namespaces: whatever serves there is not for agents. (DNS is opened separately, where
needed.)
"""

API_SERVER = ("default", "kubernetes")
"""Namespace and name of the API server's Service. Rights open that way, not egress."""


def check_egress(
    rules: Sequence[EgressRule], namespace: str, policies: Sequence[NamedPolicy], facts: Facts
) -> Iterator[Violation]:
    """Every violation of the rules about egress. Adding a rule to `rules` never removes one."""
    cluster = reach(Addresses.from_networks(facts.cluster_networks))
    asked: dict[int, Addresses] = {}
    for index, rule in enumerate(rules):
        if rule.service is not None:
            yield from _check_service(f"{_AT}[{index}].service", rule.service, namespace, policies)
        if rule.cidr is not None:
            asked[index] = Addresses.from_networks([ip_network(rule.cidr)])
            yield from _check_ports(f"{_AT}[{index}].ports", rule)
            yield from _check_cidr(f"{_AT}[{index}].cidr", rule.cidr, asked[index], cluster)
    for policy in policies:
        yield from _check_inside(asked, policy)
        yield from _check_public(asked, policy)


def _check_ports(at: str, rule: EgressRule) -> Iterator[Violation]:
    for index, port in enumerate(rule.ports or ()):
        if port in DNS_PORTS:
            message = (
                f"port {port} is {DNS_PORTS[port]}, by which an agent carries data out in names: "
                "leave it out (the cluster's DNS is opened where a service rule needs it)"
            )
            yield Violation(f"{at}[{index}]", RuleName.EGRESS_DNS_BYPASS, message)


def _check_cidr(at: str, cidr: str, asked: Addresses, cluster: Addresses) -> Iterator[Violation]:
    """What no policy can allow."""
    reached = reach(asked)
    hits = [
        f"{(reached & protected.addresses).display(1)} ({protected.what})"
        for protected in PROTECTED
        if reached & protected.addresses
    ]
    if hits:
        message = f"{cidr} reaches {listed(hits, 3)}: name the networks that the agent needs, without these"
        yield Violation(at, RuleName.EGRESS_METADATA, message)
    inside = reached & cluster
    if inside:
        message = (
            f"{cidr} reaches {inside.display()}, addresses of nodes, pods, Services or the API server: "
            "name a service instead, or a network outside of the cluster"
        )
        yield Violation(at, RuleName.EGRESS_CLUSTER_ADDRESS, message)


def _check_inside(asked: dict[int, Addresses], policy: NamedPolicy) -> Iterator[Violation]:
    allowed = _allowed(policy)
    for index, addresses in asked.items():
        outside = addresses - allowed
        if not outside:
            continue
        fix = f"keep to {allowed.display()}" if allowed else "name a service instead"
        message = (
            f"policy {quote(policy.name)} does not allow {outside.display()}: {fix}, "
            "or have the network added to its spec.egress.cidrs"
        )
        yield Violation(f"{_AT}[{index}].cidr", RuleName.EGRESS_ABOVE_POLICY, message)


def _allowed(policy: NamedPolicy) -> Addresses:
    return Addresses.from_networks(ip_network(cidr) for cidr in policy.spec.egress.cidrs)


def _check_public(asked: dict[int, Addresses], policy: NamedPolicy) -> Iterator[Violation]:
    """A rule too wide by itself is named; the others are added up: many small ones are no way around."""
    most = policy.spec.egress.max_public_addresses
    small: list[Addresses] = []
    for index, addresses in asked.items():
        count = count_public(addresses)
        if count.total > most:
            yield _unrestricted(f"{_AT}[{index}].cidr", addresses.display(), count, policy)
        else:
            small.append(addresses)
    together = reduce(Addresses.__or__, small, Addresses())
    count = count_public(together)
    if count.total > most:
        yield _unrestricted(_AT, f"the rules together ({together.display()})", count, policy)


def _unrestricted(at: str, what: str, count: PublicCount, policy: NamedPolicy) -> Violation:
    terms = [f"{count.addresses} IPv4 addresses"] if count.addresses else []
    terms += [f"{count.blocks} IPv6 networks of /64"] if count.blocks else []
    total = f" = {count.total}" if len(terms) > 1 else ""
    message = (
        f"{what}: {' + '.join(terms)}{total} of the public internet, more than the "
        f"{policy.spec.egress.max_public_addresses} of policy {quote(policy.name)}: "
        "name only the networks that the agent needs"
    )
    return Violation(at, RuleName.EGRESS_UNRESTRICTED, message)


def _check_service(
    at: str, service: ServiceTarget, namespace: str, policies: Sequence[NamedPolicy]
) -> Iterator[Violation]:
    target = service.namespace or namespace
    if target in CLOSED_NAMESPACES:
        message = f"namespace {quote(target)} is the cluster's own and closed to agents: name a service elsewhere"
        yield Violation(f"{at}.namespace", RuleName.EGRESS_SERVICE_FORBIDDEN, message)
        return
    if (target, service.name) == API_SERVER:
        message = "this is the API server: ask for rights in spec.permissions.rules, which open the way to it"
        yield Violation(f"{at}.name", RuleName.EGRESS_SERVICE_FORBIDDEN, message)
    if target == namespace:
        return
    for policy in policies:
        if target not in policy.spec.egress.service_namespaces:
            message = (
                f"policy {quote(policy.name)} does not allow services in namespace {quote(target)}: name one "
                "in the agent's own namespace, or have it added to the policy's spec.egress.serviceNamespaces"
            )
            yield Violation(f"{at}.namespace", RuleName.EGRESS_SERVICE_FORBIDDEN, message)
