"""Secrets that an agent never sees: the host that gets each, with which requests, and where in them."""

from collections.abc import Iterator, Sequence
from typing import Final

from ringfence.api.network import HTTP, EgressRule
from ringfence.api.secrets import AgentSecret, GatewayDelivery

from .model import RuleName, Violation
from .text import quote

_AT: Final = "spec.secrets"


def keyed_hosts(secrets: Sequence[AgentSecret]) -> frozenset[str]:
    """The hosts to which the gateway itself brings the value."""
    return frozenset(one.delivery.gateway.host for one in secrets if one.delivery.gateway)


def check_gateway_secrets(secrets: Sequence[AgentSecret], rules: Sequence[EgressRule]) -> Iterator[Violation]:
    """Every violation: of `delivery.gateway` alone, and together with `network.egress`."""
    first: dict[str, int] = {}
    for index, secret in enumerate(secrets):
        delivery = secret.delivery.gateway
        if delivery is None:
            continue
        at = f"{_AT}[{index}].delivery.gateway"
        before = first.setdefault(delivery.host, index)
        if before != index:
            message = (
                f"{_AT}[{before}] is sent to this host already, and the gateway could not tell which of the two a "
                "request is to have: drop one, or give the second to an agent of its own"
            )
            yield Violation(f"{at}.host", RuleName.SECRET_DELIVERY, message)
        yield from _check_host(at, delivery, [rule for rule in rules if rule.host == delivery.host])


def _check_host(at: str, delivery: GatewayDelivery, rules: Sequence[EgressRule]) -> Iterator[Violation]:
    """`rules`: those of its host."""
    host = quote(delivery.host)
    if not rules:
        message = (
            f"{host} is no host of network.egress, by its exact name: add host: {delivery.host} there, with preset or "
            "rules for the requests that are to have the value"
        )
        yield Violation(f"{at}.host", RuleName.SECRET_DELIVERY, message)
    for rule in rules:
        if why := _unfit(rule):
            yield Violation(f"{at}.host", RuleName.SECRET_DELIVERY, f"{host} {why}")
    preset = next((rule.preset for rule in rules if rule.preset), None)
    said = (delivery.header, delivery.basic, delivery.query)
    if preset is None and said == (None, None, None) and rules:
        message = (
            f"nothing says where clients of {host} put the value: write header: x-api-key, header: authorization with "
            "scheme: Bearer, basic: {user: NAME}, or query: key; or preset beside the host of an LLM provider"
        )
        yield Violation(at, RuleName.SECRET_DELIVERY, message)


def _unfit(rule: EgressRule) -> str | None:
    """Why no value can be sent by this rule."""
    if rule.is_tunnel:
        return (
            "is reached by mode: Tunnel, in which the gateway sees no request to put the value into: leave mode out, "
            "or deliver the secret as a file"
        )
    if HTTP in rule.host_ports:
        return f"is reached on port {HTTP}, too, where whoever is on the way would read the value: leave the port out"
    if rule.preset is None and rule.rules is None:
        return (
            "has no rules, and so each request would have the value: write rules or preset beside the host, with those "
            "that the agent makes"
        )
    return None
