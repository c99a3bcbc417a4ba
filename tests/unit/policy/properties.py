"""The arithmetic of sets behind decisions, against a model that looks at each member by itself.

The models know no ranges, no merged sets and no bisection: addresses one by one, requests one by one. Each property
draws one case from a seeded `Random` and raises AssertionError where the two differ. `make property` runs a million.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_network
from itertools import product
from random import Random
from typing import Any, Final

from ringfence.api import AgentPolicySpec
from ringfence.api.network import EgressRule, IngressRule
from ringfence.api.permissions import Permissions, PolicyRule
from ringfence.policy import special
from ringfence.policy.addresses import Ranges
from ringfence.policy.atoms import Atom, expand
from ringfence.policy.closed import exceptions
from ringfence.policy.decide import binding, decide
from ringfence.policy.egress import check_egress
from ringfence.policy.ingress import check_ingress
from ringfence.policy.levels import CATALOGUE
from ringfence.policy.model import AgentObject, Facts, NamedPolicy, RuleName
from ringfence.policy.permissions import check_permissions
from ringfence.policy.special import Protected, SetApart

IMAGE: Final = "registry.example/acme/agent@sha256:" + "0" * 64
Network = IPv4Network | IPv6Network

WINDOWS: Final = tuple(
    ip_network(text)
    for text in (
        "8.8.8.0/26",  # public
        "10.0.0.0/26",  # private, beside what is public
        "9.255.255.192/26",
        "100.64.0.0/26",  # shared
        "169.254.169.192/26",  # metadata
        "168.63.129.0/26",  # metadata among what is public
        "203.0.113.0/26",  # documentation
        "223.255.255.192/26",  # beside multicast
        "224.0.0.0/26",
    )
)
"""Small pieces of the address space where something begins, ends, or lies apart: each address can be looked at."""
NAT64: Final = 0x64FF9B << 96


# --- the model: an address is a number; one above all of IPv4 is IPv6 (of the windows: NAT64)


@cache
def carried(address: int) -> int:
    """The IPv4 address that is reached with it."""
    return address & 0xFFFFFFFF


@cache
def reached(network: Network) -> frozenset[int]:
    """Each address of a network, with the IPv4 one that it carries."""
    return frozenset(own for one in members(network) for own in (one, carried(one)))


@cache
def span(network: Network) -> range:
    """All numbers of a network. Those of a wide IPv6 one that IPv4 has, too, are none of its addresses: see is_in."""
    return range(int(network.network_address), int(network.broadcast_address) + 1)


def is_in(address: int, network: Network) -> bool:
    return (address > 0xFFFFFFFF) == (network.version == 6) and address in span(network)


@cache
def networks_of(one: SetApart | Protected) -> tuple[Network, ...]:
    return tuple(one.addresses.networks())


@cache
def apart(address: int) -> bool:
    return any(is_in(address, network) for one in special.SET_APART for network in networks_of(one))


@cache
def protected(address: int) -> bool:
    return any(is_in(address, network) for one in special.PROTECTED for network in networks_of(one))


@cache
def public(address: int) -> bool:
    """Of the windows' IPv4: neither set apart nor of the wire, nor of many."""
    own = IPv4Address(address)
    return not (apart(address) or own.is_link_local or own.is_multicast)


@cache
def members(network: Network) -> tuple[int, ...]:
    return tuple(span(network))


@cache
def opens(entry: Network, address: int) -> bool:
    """Whether an entry of a policy opens an address that is set apart: it lies inside of the same range as a whole."""
    view: Network = entry
    if isinstance(entry, IPv6Network):
        if entry.prefixlen < 96 or not is_in(int(entry.network_address), IPv6Network((NAT64, 96))):
            return False
        view = IPv4Network((carried(int(entry.network_address)), entry.prefixlen - 96))
    return is_in(address, view) and any(
        isinstance(network, IPv4Network) and isinstance(view, IPv4Network) and view.subnet_of(network)
        for one in special.SET_APART
        for network in networks_of(one)
    )


# --- what is drawn


def a_window(random: Random) -> Network:
    window = random.choice(WINDOWS)
    assert isinstance(window, IPv4Network)
    return IPv6Network((NAT64 + int(window.network_address), 122)) if random.random() < 0.25 else window


def a_part(random: Random, window: Network) -> Network:
    """A network inside of a window."""
    most = window.max_prefixlen
    prefix = random.randint(window.prefixlen, most)
    base = int(window.network_address) + random.randrange(window.num_addresses)
    return _network(window.version, base >> (most - prefix) << (most - prefix), prefix)


def a_wide(random: Random, window: Network) -> Network:
    """A network around a window, or everything."""
    prefix = random.choice((0, random.randint(0, window.prefixlen)))
    most = window.max_prefixlen
    return _network(window.version, int(window.network_address) >> (most - prefix) << (most - prefix), prefix)


@cache
def _network(version: int, base: int, prefix: int) -> Network:
    return IPv6Network((base, prefix)) if version == 6 else IPv4Network((base, prefix))


def some(random: Random, most: int, draw: Callable[[], Any], least: int = 0) -> list[Any]:
    return [draw() for _ in range(random.randint(least, most))]


# --- the properties


def ranges(random: Random) -> None:
    """Union, intersection, difference, containment and sizes of ranges of numbers."""
    pairs = [some(random, 6, lambda: (random.randrange(40), random.randrange(40))) for _ in range(2)]
    left, right = map(Ranges.of, pairs)
    x, y = ({n for first, last in one for n in range(first, last + 1)} for one in pairs)
    for made, wanted in ((left, x), (left | right, x | y), (left & right, x & y), (left - right, x - y)):
        assert {n for n in range(42) if n in made} == wanted, pairs
        assert made.size == len(wanted), pairs
        assert made == Ranges.of(made.items), pairs
        assert made.blocks(3) == len({n >> 3 for n in wanted}), pairs
    assert (left <= right) == (x <= y), pairs


def egress(random: Random) -> None:
    """What a set of rules by address breaks under several policies, beside the cluster's own networks."""
    windows = [a_window(random) for _ in range(random.randint(1, 2))]

    def part() -> Network:
        return a_part(random, random.choice(windows))

    asked: list[Network] = some(random, 4, part, 1)
    cluster: list[Network] = some(random, 2, part)
    policies = []
    for index in range(random.randint(1, 3)):
        cidrs = [*some(random, 3, part), *some(random, 1, lambda: a_wide(random, random.choice(windows)))]
        policies.append((f"p{index}", list(dict.fromkeys(cidrs)), random.choice((0, 1, 8, 40, 65536))))
    rules = [EgressRule.model_validate({"cidr": str(one), "ports": [443]}) for one in asked]
    named = [
        NamedPolicy(name, _policy({"egress": {"cidrs": [str(one) for one in cidrs], "maxPublicAddresses": most}}))
        for name, cidrs, most in policies
    ]
    facts = Facts({}, tuple(cluster))
    found = {(one.path, one.rule, _policy_of(one.message)) for one in check_egress(rules, "team", named, facts)}
    assert found == set(_egress_model(asked, policies, cluster)), (asked, policies, cluster)


def _egress_model(
    asked: Sequence[Network], policies: Sequence[tuple[str, list[Network], int]], cluster: Sequence[Network]
) -> Iterable[tuple[str, RuleName, str]]:
    at = [f"spec.network.egress[{index}].cidr" for index in range(len(asked))]
    inside = frozenset().union(*map(reached, cluster))
    for path, network in zip(at, asked, strict=True):
        if any(protected(one) for one in reached(network)):
            yield path, RuleName.EGRESS_METADATA, ""
        if reached(network) & inside:
            yield path, RuleName.EGRESS_CLUSTER_ADDRESS, ""
    for name, cidrs, most in policies:
        together: set[int] = set()
        for path, network in zip(at, asked, strict=True):
            outside = [one for one in members(network) if not any(is_in(one, cidr) for cidr in cidrs)]
            told = {carried(one) for one in outside}
            own = {carried(one) for one in members(network)}
            unnamed = [one for one in own - told if apart(one) and not any(opens(cidr, one) for cidr in cidrs)]
            if outside or unnamed:
                yield path, RuleName.EGRESS_ABOVE_POLICY, name
            counted = {one for one in own if public(one)}
            if len(counted) > most:
                yield path, RuleName.EGRESS_UNRESTRICTED, name
            else:
                together |= counted
        if len(together) > most:
            yield "spec.network.egress", RuleName.EGRESS_UNRESTRICTED, name


def left_out(random: Random) -> None:
    """What a written policy leaves out of an accepted network when the cluster has grown into it."""
    window = a_window(random)
    asked = a_part(random, window)
    cluster = tuple(some(random, 3, lambda: a_part(random, window if random.random() < 0.7 else a_window(random))))
    out = exceptions(str(asked), cluster)
    inside = frozenset().union(*map(reached, cluster))
    closed = {one for one in members(asked) if any(own in inside or protected(own) for own in (one, carried(one)))}
    if out is None:
        assert closed == set(members(asked)), (asked, cluster)
        return
    assert {one for one in members(asked) if any(is_in(one, network) for network in out)} == closed, (asked, cluster)
    assert all(network.subnet_of(asked) and network != asked for network in out), (asked, cluster)  # type: ignore[arg-type]


WORDS: Final = {
    "apiGroups": ["", "apps", "*"],
    "resources": ["pods", "configmaps", "deployments", "pods/log", "secrets"],
    "verbs": ["get", "list", "delete", "*"],
}
OBJECTS: Final = ("a", "b", "c")
"""`c` is never named: it stands for every other object."""
Request = tuple[str, str, str, str]


def a_rule(random: Random) -> dict[str, list[str]]:
    rule = {field: random.sample(words, random.randint(1, 2)) for field, words in WORDS.items()}
    if random.random() < 0.4:
        rule["resourceNames"] = random.sample(OBJECTS[:2], random.randint(1, 2))
    return rule


def requests(rules: Iterable[Mapping[str, list[str]]]) -> set[Request]:
    """Every known request that one of `rules` allows."""
    return {
        (group, resource, verb, name)
        for rule in rules
        for group, resource, verb in product(rule["apiGroups"], rule["resources"], rule["verbs"])
        if verb in CATALOGUE.get(group, {}).get(resource, frozenset())
        for name in (rule.get("resourceNames") or OBJECTS)
    }


def permissions(random: Random) -> None:
    """Containment and difference of permissions, and what every policy's list has to hold."""
    mine = some(random, 3, lambda: a_rule(random), 1)
    lists = [some(random, 3, lambda: a_rule(random)) for _ in range(random.randint(1, 3))]
    left, held = expand(_rules(mine), CATALOGUE), requests(mine)
    for group, resource, verb, name in product(*WORDS.values(), OBJECTS):
        names = None if name == OBJECTS[2] else frozenset({name})
        assert left.allows(Atom(group, resource, verb), names) == ((group, resource, verb, name) in held), mine
    for other in lists:
        right, theirs = expand(_rules(other), CATALOGUE), requests(other)
        assert set(left.beyond(right)) == {Atom(*one[:3]) for one in held - theirs}, (mine, other)
        for atom, names in left.without(right).atoms.items():
            lacking = {one[3] for one in held - theirs if Atom(*one[:3]) == atom}
            # Of what is asked for on every object, a part by name cannot be taken away: all of it stays.
            assert names == frozenset(lacking) if OBJECTS[2] not in lacking else names is None, (mine, other)
    asked = Permissions.model_validate({"level": "Critical", "rules": mine})
    named = [
        NamedPolicy(f"p{number}", _policy({"permissions": {"maxLevel": "Critical", "allow": other}}))
        for number, other in enumerate(lists)
    ]
    above = RuleName.RIGHTS_ABOVE_POLICY
    found = {
        (one.path, _policy_of(one.message)) for one in check_permissions(asked, named, "team") if one.rule is above
    }
    wanted = {
        (f"spec.permissions.rules[{at}]", f"p{number}")
        for at, rule in enumerate(mine)
        for number, other in enumerate(lists)
        if requests([rule]) - requests(other)
    }
    assert found == wanted, (mine, lists)


NAMESPACES: Final = ("team", "ops", "tools", "kube-system")


def ingress(random: Random) -> None:
    """Who may be let in: the own namespace, and what every policy names."""
    callers = some(random, 4, lambda: random.choice((None, *NAMESPACES)), 1)
    policies: list[dict[str, Any]] = []
    for _ in range(random.randint(1, 3)):
        spec: dict[str, Any] = {"egress": {"serviceNamespaces": random.sample(NAMESPACES, random.randint(0, 3))}}
        if random.random() < 0.5:
            spec["ingress"] = {"namespaces": random.sample(NAMESPACES, random.randint(0, 3))}
        policies.append(spec)
    rules = []
    for caller in callers:
        peer = {"podLabels": {"app": "x"}} | ({} if caller is None else {"namespace": caller})
        rules.append(IngressRule.model_validate({"from": peer, "port": "panel"}))
    named = [NamedPolicy(f"p{index}", _policy(spec)) for index, spec in enumerate(policies)]
    found = {(one.path, _policy_of(one.message)) for one in check_ingress(rules, "team", named)}
    wanted = {
        (f"spec.network.ingress[{at}].from.namespace", f"p{index}")
        for at, caller in enumerate(callers)
        for index, spec in enumerate(policies)
        if caller not in {None, "team"}
        and caller not in spec.get("ingress", {}).get("namespaces", spec["egress"]["serviceNamespaces"])
    }
    assert found == wanted, (callers, policies)


LABELS: Final = tuple(
    {key: value for key, value in zip(("env", "tier"), values, strict=True) if value}
    for values in product(("", "x", "y"), repeat=2)
)
"""All labels that a namespace of the model can have."""


def a_selector(random: Random) -> dict[str, Any]:
    terms = []
    for _ in range(random.randint(0, 2)):
        operator = random.choice(("In", "NotIn", "Exists", "DoesNotExist"))
        term: dict[str, Any] = {"key": random.choice(("env", "tier")), "operator": operator}
        if operator in {"In", "NotIn"}:
            term["values"] = random.sample(("x", "y", "z"), random.randint(1, 2))
        terms.append(term)
    labels = {random.choice(("env", "tier")): random.choice("xy")} if random.random() < 0.3 else {}
    return {"matchLabels": labels, "matchExpressions": terms}


def selected(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    for term in selector["matchExpressions"]:
        value = labels.get(term["key"], "")  # no label has an empty value here
        match = {
            "In": value in term.get("values", ()),
            "NotIn": value not in term.get("values", ()),
            "Exists": value != "",
            "DoesNotExist": value == "",
        }[term["operator"]]
        if not match:
            return False
    return all(labels.get(key) == value for key, value in selector["matchLabels"].items())


def together(random: Random) -> None:
    """Which policies bind a namespace, and that several allow what each of them allows: no more, no less."""
    labels = {**random.choice(LABELS), "ringfence.dev/agents": "enabled"}
    policies = []
    for index in range(random.randint(1, 3)):
        spec = {
            "namespaceSelector": a_selector(random),
            "permissions": {
                "maxLevel": random.choice(("ReadOnly", "Admin")),
                "allow": some(random, 1, lambda: a_rule(random)),
            },
            "egress": {"cidrs": random.choice(([], ["8.8.8.0/24"], ["8.8.8.0/25"])), "maxPublicAddresses": 128},
        }
        policies.append((NamedPolicy(f"p{index}", _policy(spec)), spec))
    known = Facts(labels)
    bound = binding([policy for policy, _ in policies], known)
    wanted = [policy for policy, spec in policies if selected(spec["namespaceSelector"], labels)]
    assert (bound if wanted else []) == wanted, policies
    asked = {
        "image": IMAGE,
        "permissions": {"level": random.choice(("ReadOnly", "Admin")), "rules": [a_rule(random)]},
        "network": {"egress": [{"cidr": str(a_part(random, WINDOWS[0])), "ports": [443]}]},
    }
    agent = AgentObject("agent", "team", asked)
    each = [set(decide(agent, [policy], known)) for policy in bound]
    assert set(decide(agent, bound, known)) == set().union(*each), (asked, policies)


PROPERTIES: Final[Mapping[str, Callable[[Random], None]]] = {
    "ranges": ranges,
    "egress": egress,
    "left_out": left_out,
    "permissions": permissions,
    "ingress": ingress,
    "together": together,
}


def check(name: str, seed: str, cases: int) -> None:
    """Try one property. A case that fails names the seed that makes it again."""
    for number in range(cases):
        try:
            PROPERTIES[name](Random(f"{seed}/{name}/{number}"))
        except AssertionError as failure:
            failure.add_note(f"seed {seed}: case {number} of {name}")
            raise


def _rules(rules: Iterable[Mapping[str, Any]]) -> list[PolicyRule]:
    return [PolicyRule.model_validate(rule) for rule in rules]


def _policy(spec: Mapping[str, Any]) -> AgentPolicySpec:
    return AgentPolicySpec.model_validate(spec)


def _policy_of(message: str) -> str:
    """The policy that a message names; none where no policy is to blame."""
    return message.partition('policy "')[2].partition('"')[0] if 'policy "' in message else ""
