"""What no policy can allow, in CEL: for the floor in files, which has no webhook to count on.

Made from the tables by which `decide` judges, and never stricter: what is refused here is refused under every policy.
"""

import json
from ipaddress import IPv6Network
from typing import Any

from ringfence.api.agentpolicy import PolicyEgress
from ringfence.api.network import MAX_OTHERS
from ringfence.policy import forbidden
from ringfence.policy.addresses import Addresses
from ringfence.policy.egress import DNS_PORTS
from ringfence.policy.levels import LEVELS, LOWEST
from ringfence.policy.special import ALL_PROTECTED, EMBEDDINGS, SET_APART, Embedding

NAMELESS = ("list", "watch", "create", "deletecollection")
"""Verbs whose requests carry no name."""
V4_LEAST, V6_LEAST = 8, 40
"""Prefixes of 2 to the 24th addresses, of IPv6 of as many networks of /64: the most that a policy can allow."""

Entry = dict[str, str]


def variables() -> list[Entry]:
    """Variables of the floor's policy, in the order in which they are needed."""
    ceiling: dict[str, dict[str, dict[str, int]]] = {}
    for (group, resource), verbs in sorted(LOWEST.items()):
        ranks = {verb: LEVELS.index(level) for verb, level in sorted(verbs.items())}
        ceiling.setdefault(group, {})[resource] = ranks
    ranks = {level: rank for rank, level in enumerate(LEVELS)}
    apart = [str(network) for one in SET_APART for network in one.addresses.networks()]
    return [
        {"name": "ceiling", "expression": _cel(ceiling)},
        {
            "name": "level",
            "expression": f"{_cel(ranks)}[?object.spec.?permissions.?level.orValue('ReadOnly')].orValue(-1)",
        },
        {"name": "protected", "expression": _cel(_protected())},
        {"name": "carriers", "expression": _cel(_carriers())},
        {
            "name": "public",
            "expression": f"variables.cidrs.filter(c, isCIDR(c) && !{_cel(apart)}.exists(a, cidr(a).containsCIDR(c)))",
        },
        {
            "name": "widest",
            "expression": "variables.public.filter(c, !variables.public.exists(d, "
            "cidr(d).containsCIDR(c) && !cidr(c).containsCIDR(d)))",
        },
    ]


def validations() -> list[Entry]:
    """Validations of the floor's policy."""
    most = _most(PolicyEgress, "max_public_addresses", "le")
    each = _cel(list(range(MAX_OTHERS)))
    v4 = _cel([2 ** (32 - prefix) for prefix in range(V4_LEAST, 33)])
    v6 = _cel([2 ** (64 - prefix) for prefix in range(V6_LEAST, 65)])
    shortest = f"(cidr(c).ip().family() == 4 ? {V4_LEAST} : {V6_LEAST})"
    size = (
        f"(cidr(c).ip().family() == 4 ? {v4}[cidr(c).prefixLength() - {V4_LEAST}]"
        f" : cidr(c).prefixLength() > 64 ? 1 : {v6}[cidr(c).prefixLength() - {V6_LEAST}])"
    )
    return [
        # Of custom resources the webhook knows: those of Kubernetes' own groups, and of groups that give power, never.
        _rule(
            "variables.rules.all(r, r.?apiGroups.orValue(['']).all(g, (g.contains('.') && !g.endsWith('.k8s.io')"
            f" && !(g in {_cel(sorted(forbidden.GROUPS))})) || r.resources.all(x, r.verbs.all(v,"
            " variables.ceiling[?g][?x][?v].orValue(99) <= variables.level))))",
            "spec.permissions.rules goes beyond spec.permissions.level, or names what nobody gets: see ringfence lint",
        ),
        _rule(
            "variables.rules.all(r, size(r.?resourceNames.orValue([])) == 0"
            f" || r.verbs.all(v, !(v in {_cel(list(NAMELESS))})))",
            "spec.permissions.rules: resourceNames do not narrow list, watch, create and deletecollection",
        ),
        _rule(
            "object.spec.?network.?egress.orValue([]).all(e, !(has(e.cidr) || has(e.host))"
            f" || e.?ports.orValue([]).all(p, !(p in {_cel(sorted(DNS_PORTS))})))",
            "spec.network.egress[].ports: a resolver of one's own is no way out; leave ports 53 and 853 out",
        ),
        _rule(
            "variables.cidrs.all(c, isCIDR(c) && !variables.protected.exists(a,"
            " cidr(a).containsCIDR(c) || cidr(c).containsCIDR(a)))",
            "spec.network.egress[].cidr contains the machine itself, or what gives out a cloud's keys, or many at once",
        ),
        _rule(
            "variables.cidrs.all(c, isCIDR(c) && variables.carriers.all(a, cidr(a).containsCIDR(c)"
            " ? cidr(c).prefixLength() >= variables.carriers[a] : !cidr(c).containsCIDR(a)))",
            "spec.network.egress[].cidr carries (almost) all of IPv4 in IPv6; name what the agent is to reach",
        ),
        _rule(
            f"variables.widest.all(c, cidr(c).prefixLength() >= {shortest})"
            f" && {each}.filter(i, i < size(variables.widest) && variables.widest.indexOf(variables.widest[i]) == i)"
            f".map(i, variables.widest[i]).map(c, {size}).sum() <= {most}",
            "spec.network.egress: together more of the internet than any policy allows; name what the agent needs",
        ),
    ]


def _protected() -> list[str]:
    """What no policy opens, also as IPv6 that carries it; of Teredo's two places, the second is left to `decide`."""
    found = list(ALL_PROTECTED.networks())
    for embedding in EMBEDDINGS:
        if embedding.shift is None or embedding.inverted or _unknown_to_cel(embedding):
            continue
        (within,) = Addresses(v6=embedding.within).networks()
        for v4 in Addresses(v4=ALL_PROTECTED.v4).networks():
            carried = int(v4.network_address) << embedding.shift
            found.append(IPv6Network((int(within.network_address) | carried, 96 + v4.prefixlen - embedding.shift)))
    return [str(network) for network in found]


def _unknown_to_cel(embedding: Embedding) -> bool:
    """CEL takes no IPv4-mapped address."""
    (within,) = Addresses(v6=embedding.within).networks()
    return isinstance(within, IPv6Network) and within.network_address.ipv4_mapped is not None


def _carriers() -> dict[str, int]:
    """IPv6 that carries IPv4 -> the prefix from which on that is no more than 2 to the 24th addresses; 129: none."""
    found: dict[str, int] = {}
    for embedding in EMBEDDINGS:
        least = 129 if embedding.shift is None else 128 - embedding.shift - 24
        for network in Addresses(v6=embedding.within).networks():
            if _unknown_to_cel(embedding):  # so nothing of what is around it is let through
                network, least = network.supernet(), 129  # noqa: PLW2901
            found[str(network)] = max(least, found.get(str(network), 0))
    return found


def _rule(expression: str, message: str) -> Entry:
    return {"expression": expression, "message": message, "reason": "Forbidden"}


def _cel(value: Any) -> str:
    """JSON of strings, numbers, lists and maps is CEL, too."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


def _most(model: Any, field: str, bound: str) -> int:
    """A bound of the API's own."""
    (found,) = (getattr(one, bound) for one in model.model_fields[field].metadata if hasattr(one, bound))
    return int(found)
