"""What an author of an AgentPolicy is told although the policy is valid: what in it allows nothing.

For the warnings of admission and for `ringfence policy check` alike.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from ringfence.api import AgentPolicySpec
from ringfence.api.agentpolicy import PolicyEgress, SigningKey
from ringfence.api.permissions import PolicyRule

from .atoms import WILDCARD
from .custom import refusal
from .hostnames import Host, counted
from .hostnames import refusal as refusal_of_host
from .levels import CATALOGUE
from .providers import provider_of
from .text import listed, quote

MAX_WARNINGS: Final = 10
"""The API server cuts what is longer than 4 KiB in all."""


def advice(spec: AgentPolicySpec) -> list[str]:
    """Warnings, at most ten, each with the path of its field."""
    found: list[str] = []
    for index, entry in enumerate(spec.permissions.custom_resources):
        for resource in entry.resources:
            if why := refusal(entry.group, resource, entry.verbs):
                path = f"spec.permissions.customResources[{index}]"
                found.append(f"{path}: {quote(f'{resource}.{entry.group}')} counts for nothing, since {why}")
    for index, rule in enumerate(spec.permissions.allow or ()):
        found += _about(f"spec.permissions.allow[{index}]", rule)
    found += _about_hosts(spec.egress)
    found += _about_keys(spec.images.signed_by or ())
    if len(found) > MAX_WARNINGS:
        found[MAX_WARNINGS - 1 :] = [f"and {len(found) - MAX_WARNINGS + 1} more warnings"]
    return found


def _about_hosts(egress: PolicyEgress) -> Iterator[str]:
    at = "spec.egress"
    for index, one in enumerate(egress.hosts):
        if why := refusal_of_host(one.name, one.reason):
            yield f"{at}.hosts[{index}].name: {quote(one.name)} counts for nothing, since {why}"
    allowed = counted(egress.hosts)
    for field, entries in (("tunnel", egress.tunnel), ("unkeyed", egress.unkeyed)):
        for index, name in enumerate(entries):
            host = Host(name)
            if why := refusal_of_host(name, needs_reason=False):
                yield f"{at}.{field}[{index}]: {quote(name)} counts for nothing, since {why}"
            elif not any(one.meets(host) for one in allowed):
                yield f"{at}.{field}[{index}]: {quote(name)} allows nothing: name it in spec.egress.hosts, too"
            elif field == "unkeyed" and provider_of(host) is None:
                yield f"{at}.{field}[{index}]: {quote(name)} allows nothing: it is no host of an LLM provider"


def _about_keys(keys: Sequence[SigningKey]) -> Iterator[str]:
    if keys:
        from .signing_keys import is_usable  # noqa: PLC0415 - only here is it needed, and start-up time counts

        for index, key in enumerate(keys):
            if not is_usable(key.public_key):
                path = f"spec.images.signedBy[{index}].publicKey"
                yield f"{path}: no signature is verified by it: write what cosign public-key prints"


def _about(path: str, rule: PolicyRule) -> Iterator[str]:
    fields = {"apiGroups": rule.api_groups, "resources": rule.resources, "verbs": rule.verbs}
    for field, words in fields.items():
        if WILDCARD in words:
            yield f'{path}.{field}: "*" allows nothing: name each'
    unknown = sorted({word for word in rule.api_groups if word not in CATALOGUE} - {WILDCARD})
    if unknown:
        yield f"{path}.apiGroups: {listed(map(quote, unknown))}: no agent is ever given permissions in this group"
    known: dict[str, frozenset[str]] = {}
    for group in rule.api_groups:
        known |= CATALOGUE.get(group, {})
    strange = sorted({word for word in rule.resources if word not in known} - {WILDCARD})
    if strange:
        yield f"{path}.resources: {listed(map(quote, strange))}: no agent is ever given permissions on this"
    verbs = frozenset[str]().union(*(known[word] for word in rule.resources if word in known))
    idle = sorted({word for word in rule.verbs if word not in verbs} - {WILDCARD})
    if idle and verbs:
        yield f"{path}.verbs: {listed(map(quote, idle))}: no agent is ever given this verb on these resources"
