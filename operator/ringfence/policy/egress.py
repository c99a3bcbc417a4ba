"""Egress that an agent asks for, decided on the set of addresses that all its rules reach together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ringfence.api.fields import network
from ringfence.api.network import EgressRule, ServiceTarget

from .addresses import Addresses
from .closed import cluster_addresses
from .model import Facts, NamedPolicy, RuleName, Violation
from .opened import CLOSED_NAMESPACES
from .special import ALL_APART, ALL_PROTECTED, PROTECTED, PublicCount, count_public, reach, what_apart
from .text import listed, quote

_AT = "spec.network.egress"

DNS_PORTS = {53: "DNS", 853: "DNS over TLS"}
"""RFC 1035 section 4.2 and RFC 7858 section 3.1."""

API_SERVER = ("default", "kubernetes")
"""Namespace and name of the API server's Service. Permissions open that way, not egress."""


@dataclass(frozen=True)
class _Asked:
    """What one rule asks for by address."""

    addresses: Addresses
    reached: Addresses
    """With the IPv4 addresses that the IPv6 ones embed."""
    public: PublicCount
    apart: Addresses
    """What is reached and is not the public internet."""


@lru_cache(maxsize=4096)
def _asked(cidr: str) -> _Asked:
    """Kept, as `network` is: a spec is looked at many times, and many agents ask for the same networks."""
    addresses = Addresses.from_networks([network(cidr)])
    reached = reach(addresses)
    return _Asked(addresses, reached, count_public(addresses), reached & ALL_APART)


def check_egress(
    rules: Sequence[EgressRule], namespace: str, policies: Sequence[NamedPolicy], facts: Facts
) -> Iterator[Violation]:
    """Every violation of the rules about egress. Adding a rule to `rules` never removes one."""
    asked: dict[int, _Asked] = {}
    for index, rule in enumerate(rules):
        if rule.service is not None:
            yield from _check_service(f"{_AT}[{index}].service", rule.service, namespace, policies, facts)
        if rule.cidr is not None or rule.host is not None:
            yield from _check_ports(f"{_AT}[{index}].ports", rule)
        if rule.cidr is not None:
            asked[index] = _asked(rule.cidr)
            cluster = cluster_addresses(facts.cluster_networks)
            yield from _check_cidr(f"{_AT}[{index}].cidr", rule.cidr, asked[index].reached, cluster)
    if not asked:
        return
    for policy in policies:
        yield from _check_inside(asked, policy)
        yield from _check_public(asked, policy)


def _check_ports(at: str, rule: EgressRule) -> Iterator[Violation]:
    for index, port in enumerate(rule.ports or ()):
        if port in DNS_PORTS:
            message = (
                f"port {port} is {DNS_PORTS[port]}, by which an agent carries data out in names: "
                "leave it out (the cluster's DNS is opened where a headless Service needs it)"
            )
            yield Violation(f"{at}[{index}]", RuleName.EGRESS_DNS_BYPASS, message)


def _check_cidr(at: str, cidr: str, reached: Addresses, cluster: Addresses) -> Iterator[Violation]:
    """What no policy can allow."""
    if reached & ALL_PROTECTED:
        hits = [
            f"{hit.display(1)} ({protected.what})" for protected in PROTECTED if (hit := reached & protected.addresses)
        ]
        message = f"{cidr} reaches {listed(hits, 3)}: name the networks that the agent needs, without these"
        yield Violation(at, RuleName.EGRESS_METADATA, message)
    inside = reached & cluster
    if inside:
        message = (
            f"{cidr} reaches {inside.display()}, addresses of nodes, pods, Services or the API server: "
            "name a service instead, or a network outside of the cluster"
        )
        yield Violation(at, RuleName.EGRESS_CLUSTER_ADDRESS, message)


def _check_inside(asked: dict[int, _Asked], policy: NamedPolicy) -> Iterator[Violation]:
    allowed = policy.allowed_networks
    fix = ""
    for index, one in asked.items():
        outside = one.addresses - allowed
        if unnamed := one.apart - policy.opened_apart - reach(outside):
            yield _unnamed(f"{_AT}[{index}].cidr", one, unnamed, policy)
        if not outside:
            continue
        fix = fix or (f"keep to {allowed.display()}" if allowed else "name a service instead")
        message = (
            f"policy {quote(policy.name)} does not allow {outside.display()}: {fix}, "
            "or have the network added to its spec.egress.cidrs"
        )
        yield Violation(f"{_AT}[{index}].cidr", RuleName.EGRESS_ABOVE_POLICY, message)


def _unnamed(at: str, asked: _Asked, unnamed: Addresses, policy: NamedPolicy) -> Violation:
    """What a policy's entries hold, and none of them was written for: 10.0.0.0/8 within 0.0.0.0/0."""
    own = next(unnamed.networks())
    carried = "" if unnamed <= asked.addresses else ", which the IPv6 network carries,"
    message = (
        f"policy {quote(policy.name)} does not open {unnamed.display()}{carried} by an entry of its own: this is "
        f"{what_apart(unnamed)}, and not the public internet. Keep out of it, or have {own}, or what is around it in "
        "the same range, added to the policy's spec.egress.cidrs: a wider entry, such as 0.0.0.0/0, does not open it"
    )
    return Violation(at, RuleName.EGRESS_ABOVE_POLICY, message)


def _check_public(asked: dict[int, _Asked], policy: NamedPolicy) -> Iterator[Violation]:
    """A rule too wide by itself is named; the others are added up: many small ones are no way around."""
    most = policy.spec.egress.max_public_addresses
    small: list[_Asked] = []
    for index, one in asked.items():
        if one.public.total > most:
            yield _unrestricted(f"{_AT}[{index}].cidr", one.addresses.display(), one.public, policy)
        else:
            small.append(one)
    if sum(one.public.total for one in small) <= most:
        return  # the set that they make up is at most as large as that
    together = Addresses.union(one.addresses for one in small)
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
    at: str, service: ServiceTarget, namespace: str, policies: Sequence[NamedPolicy], facts: Facts
) -> Iterator[Violation]:
    target = service.namespace or namespace
    if target == facts.own_namespace:
        message = (
            f"namespace {quote(target)} is Ringfence's own and closed to agents: the gate of each pod waits until what "
            "is there is denied, and would never end. Name a service elsewhere"
        )
        yield Violation(f"{at}.namespace", RuleName.EGRESS_SERVICE_FORBIDDEN, message)
        return
    if target in CLOSED_NAMESPACES:
        message = f"namespace {quote(target)} is the cluster's own and closed to agents: name a service elsewhere"
        yield Violation(f"{at}.namespace", RuleName.EGRESS_SERVICE_FORBIDDEN, message)
        return
    if (target, service.name) == API_SERVER:
        message = "this is the API server: ask for permissions in spec.permissions.rules, which open the way to it"
        yield Violation(f"{at}.name", RuleName.EGRESS_SERVICE_FORBIDDEN, message)
    if target == namespace:
        return
    for policy in policies:
        if target not in policy.service_namespaces:
            message = (
                f"policy {quote(policy.name)} does not allow services in namespace {quote(target)}: name one "
                "in the agent's own namespace, or have it added to the policy's spec.egress.serviceNamespaces"
            )
            yield Violation(f"{at}.namespace", RuleName.EGRESS_SERVICE_FORBIDDEN, message)
