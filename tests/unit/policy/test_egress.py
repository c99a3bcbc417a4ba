"""Egress by address and by Service: B70 to B80."""

from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.policy.model import RuleName
from ringfence.policy.special import PROTECTED
from unit.policy.make import APART, CARELESS, NAMESPACE, WIDE, egress, facts, judge, names, places

UNRESTRICTED = RuleName.EGRESS_UNRESTRICTED
METADATA = RuleName.EGRESS_METADATA
ABOVE = RuleName.EGRESS_ABOVE_POLICY
CLUSTER = RuleName.EGRESS_CLUSTER_ADDRESS


def eighths(skip: int | None = None) -> list[str]:
    return [f"{32 * part}.0.0.0/3" for part in range(8) if part != skip]


B70_TO_B73 = {
    "B70 all of IPv4": ["0.0.0.0/0"],
    "B70 all of IPv6": ["::/0"],
    "B71 halves": ["0.0.0.0/1", "128.0.0.0/1"],
    "B71 IPv6 halves": ["::/1", "8000::/1"],
    "B72 mapped, by a shorter prefix": ["::/80"],
    "B72 NAT64": ["64:ff9b::/96"],
    "B72 local NAT64": ["64:ff9b:1::/48"],
    "B72 6to4": ["2002::/16"],
    "B72 Teredo": ["2001::/32"],
    "B72 NAT64 halves": ["64:ff9b::/97", "64:ff9b::8000:0/97"],
    "B73 eighths": eighths(),
    "B73 eighths but one": eighths(skip=2),
    "B73 one /8": ["11.0.0.0/8"],
    "B73 many small": [f"20.{part}.0.0/17" for part in range(3)],
}


@pytest.mark.parametrize("cidrs", B70_TO_B73.values(), ids=B70_TO_B73.keys())
def test_unrestricted_in_every_spelling(cidrs: list[str]) -> None:
    assert UNRESTRICTED in names(egress(*cidrs))


def test_b70_no_policy_can_lift_the_bound() -> None:
    """The most that maxPublicAddresses can be is far below the internet."""
    most = {"egress": {"cidrs": ["0.0.0.0/0", "::/0"], "maxPublicAddresses": 16777216}}
    for cidr in ("0.0.0.0/0", "::/0", "0.0.0.0/1", "16.0.0.0/7", "2000::/3"):
        assert UNRESTRICTED in names(egress(cidr, policies=[most]))


def test_b71_two_policies_do_not_add_up() -> None:
    """Each policy must allow all of it: halves allowed by two policies allow nothing."""
    halves = [{"egress": {"cidrs": [half]}} for half in ("8.8.8.0/25", "8.8.8.128/25")]
    assert places(egress("8.8.8.0/24", policies=halves)) == {(ABOVE, "spec.network.egress[0].cidr")}
    assert len(egress("8.8.8.0/24", policies=halves)) == 2


def test_the_message_shows_the_sum() -> None:
    (violation,) = egress("20.0.0.0/16", "2600::/64")
    assert violation.path == "spec.network.egress"
    assert "65536 IPv4 addresses + 1 IPv6 networks of /64 = 65537" in violation.message
    assert "more than the 65536" in violation.message
    assert '"p0"' in violation.message


def test_exactly_the_bound_is_allowed() -> None:
    assert egress("20.0.0.0/16") == []
    assert names(egress("20.0.0.0/16", "20.1.0.0/32")) == {UNRESTRICTED}


def test_private_addresses_do_not_count_as_public() -> None:
    assert egress("10.0.0.0/8", "fd12::/16", "203.0.113.0/24") == []


def test_the_strictest_policy_wins() -> None:
    strict = {"egress": {"cidrs": ["0.0.0.0/0"], "maxPublicAddresses": 10}}
    (violation,) = egress("8.8.8.0/28", policies=[WIDE, strict])
    assert (violation.rule, '"p1"' in violation.message) == (UNRESTRICTED, True)


METADATA_NETWORKS = [
    "169.254.169.254/32",
    "169.254.170.2/32",
    "169.254.170.23/32",
    "fd00:ec2::254/128",
    "fd00:ec2::23/128",
    "fd20:ce::254/128",
    "100.100.100.200/32",
    "168.63.129.16/32",
    "192.0.0.192/32",
    "192.80.8.0/24",
    "77.221.156.49/32",
    "100.96.0.96/32",
    "100.80.80.80/32",
    "fd00:100::100:200/128",
    "fd00:c1::a9fe:a9fe/128",
    "fd00:42::42/128",
    "fd00:a9fe:a9fe::1/128",
    "169.254.0.0/16",
    "169.252.0.0/14",
    "100.100.0.0/16",
    "fd00::/8",
    "127.0.0.0/8",
    "::1/128",
    "::/128",
    "0.0.0.0/32",
    "224.0.0.0/4",
    "ff02::/16",
    "fe80::/64",
    "255.255.255.255/32",
    "64:ff9b::a9fe:a9fe/128",
    "64:ff9b:1::a9fe:a9fe/128",
    "2002:a9fe:a9fe::/48",
    "::a9fe:a9fe/128",
    "::ffff:0:a9fe:a9fe/128",
    "2001:0:a9fe:a9fe::/64",
    "2001:0:808:808:0:0:5601:5601/128",
]


@pytest.mark.parametrize("cidr", METADATA_NETWORKS)
def test_b75_metadata_and_the_machine_itself(cidr: str) -> None:
    assert METADATA in names(egress(cidr, policies=[{"egress": {"cidrs": [cidr]}}]))


def test_b75_the_message_names_the_address() -> None:
    (violation,) = egress("169.254.169.240/28")
    assert "169.254.169.254" in violation.message
    assert "metadata" in violation.message


@pytest.mark.parametrize("cidr", ["169.253.0.0/16", "100.100.100.201/32", "126.0.0.0/16", "fd00:ec3::/64"])
def test_b75_neighbours_are_free(cidr: str) -> None:
    assert METADATA not in names(egress(cidr))


@pytest.mark.parametrize(
    ("cidr", "networks"),
    [
        ("10.244.0.0/16", ["10.244.3.0/24"]),
        ("10.244.3.7/32", ["10.244.0.0/16"]),
        ("192.0.2.0/24", ["192.0.2.9/32"]),
        ("2001:db8:1::/48", ["2001:db8:1:2::3/128"]),
        ("64:ff9b::a00:1/128", ["10.0.0.1/32"]),
        ("10.0.0.1/32", ["64:ff9b::a00:1/128"]),
        ("0.0.0.0/0", ["10.0.0.1/32"]),
    ],
)
def test_b76_the_cluster_is_never_reached_by_address(cidr: str, networks: list[str]) -> None:
    assert CLUSTER in names(egress(cidr, networks=networks))
    assert CLUSTER not in names(egress(cidr))


def test_egress_above_policy_names_what_is_outside() -> None:
    allowed = {"egress": {"cidrs": ["203.0.113.0/25", "198.51.100.0/24"]}}
    (violation,) = egress("203.0.113.0/24", "198.51.100.7/32", policies=[allowed])
    assert (violation.rule, violation.path) == (ABOVE, "spec.network.egress[0].cidr")
    assert "203.0.113.128/25" in violation.message
    assert '"p0"' in violation.message


NOT_FROM_OUTSIDE = {
    "RFC 1918 under everything": (["0.0.0.0/0", "::/0"], "10.2.0.0/24"),
    "RFC 1918 under what is around it": (["8.0.0.0/6"], "10.2.0.0/24"),
    "RFC 1918 under a bit more than it": (["192.168.0.0/15"], "192.168.1.0/24"),
    "RFC 1918 by two halves of everything": (["0.0.0.0/1", "128.0.0.0/1"], "172.16.0.0/12"),
    "shared address space": (["100.0.0.0/8"], "100.64.7.0/24"),
    "documentation": (["203.0.112.0/23"], "203.0.113.0/28"),
    "unique local": (["::/0"], "fd12::/64"),
    "site-local": (["fe00::/7"], "fec0::/64"),
    "NAT64 under IPv6": (["::/0"], "64:ff9b::a00:1/128"),
    "NAT64 under NAT64": (["64:ff9b::/96"], "64:ff9b::a00:1/128"),
    "NAT64 where only IPv4 is named": (["::/0", "172.16.0.0/12"], "64:ff9b::a00:1/128"),
    "6to4": (["2002::/16"], "2002:a00:1::/48"),
    "6to4 of a shared address": (["2000::/3"], "2002:6440:1::/48"),
    "Teredo's client": (["::/0", "2001::/32"], "2001:0:808:808:0:0:f5ff:fffe/128"),
    "IPv4-compatible": (["::/0"], "::a00:1/128"),
}


@pytest.mark.parametrize(("cidrs", "cidr"), NOT_FROM_OUTSIDE.values(), ids=NOT_FROM_OUTSIDE.keys())
def test_what_is_not_public_is_not_opened_from_outside_of_its_range(cidrs: list[str], cidr: str) -> None:
    (violation,) = egress(cidr, policies=[{"egress": {"cidrs": cidrs, "maxPublicAddresses": 65536}}])
    assert (violation.rule, violation.path) == (ABOVE, "spec.network.egress[0].cidr")
    assert "not the public internet" in violation.message
    assert "spec.egress.cidrs: a wider entry, such as 0.0.0.0/0, does not open it" in violation.message


FROM_INSIDE = {
    "itself": (["0.0.0.0/0", "10.0.0.0/8"], "10.0.0.0/8"),
    "a part": (["10.2.0.0/16"], "10.2.3.0/24"),
    "halves": (["10.0.0.0/9", "10.128.0.0/9"], "10.0.0.0/8"),
    "public beside it": (["0.0.0.0/0"], "11.0.0.0/24"),
    "unique local": (["fd12::/16"], "fd12::/64"),
    "NAT64 of a network that is named": (["64:ff9b::/96", "10.0.0.0/8"], "64:ff9b::a00:1/128"),
    "NAT64 of a part": (["64:ff9b::a00:0/104"], "64:ff9b::a00:1/128"),
    "NAT64 of a public address": (["64:ff9b::/96"], "64:ff9b::808:808/128"),
    "6to4 of a public address": (["2002::/16"], "2002:808:808::/48"),
}


@pytest.mark.parametrize(("cidrs", "cidr"), FROM_INSIDE.values(), ids=FROM_INSIDE.keys())
def test_what_is_not_public_is_opened_by_an_entry_of_its_own(cidrs: list[str], cidr: str) -> None:
    assert egress(cidr, policies=[{"egress": {"cidrs": cidrs, "maxPublicAddresses": 65536}}]) == []


def test_the_sentence_says_what_the_policys_author_has_to_write() -> None:
    (violation,) = egress("10.2.0.0/24", policies=[CARELESS])
    assert violation.message.startswith(
        'policy "p0" does not open 10.2.0.0/24 by an entry of its own: this is private, RFC 1918'
    )
    assert "or have 10.2.0.0/24, or what is around it in the same range, added" in violation.message
    (carried,) = egress("64:ff9b::a00:1/128", policies=[CARELESS])
    assert "does not open 10.0.0.1, which the IPv6 network carries, by an entry" in carried.message


def test_what_is_not_listed_at_all_is_told_once() -> None:
    (violation,) = egress("10.2.0.0/24", policies=[{"egress": {"cidrs": ["8.8.8.0/24"]}}])
    assert "does not allow 10.2.0.0/24: keep to 8.8.8.0/24" in violation.message


@st.composite
def near(draw: Any) -> str:
    """A network within, around or beside a range that is set apart, as it is or carried by IPv6."""
    edge = ip_network(draw(st.sampled_from([*APART, "0.0.0.0/0", "8.8.8.0/24", "2600::/16"])))
    prefix = draw(st.integers(max(edge.prefixlen - 4, 0), min(edge.prefixlen + 6, edge.max_prefixlen)))
    shift = draw(st.integers(0, 3)) << (edge.max_prefixlen - edge.prefixlen)
    base = min(int(edge.network_address) + shift, 2**edge.max_prefixlen - 1)
    found = ip_network((base, prefix), strict=False)
    form = draw(st.sampled_from(["as it is", "NAT64", "6to4"])) if found.version == 4 else "as it is"
    number = int(found.network_address)
    if form == "NAT64":
        return str(ip_network(((0x64FF9B << 96) | number, 96 + found.prefixlen)))
    return str(ip_network(((0x2002 << 112) | number << 80, 16 + found.prefixlen)) if form == "6to4" else found)


def _plain(cidr: str) -> Any:
    """What an IPv6 network of one of the two forms carries, by another way than the decision goes."""
    network = ip_network(cidr)
    number = int(network.network_address)
    if network.version == 6 and number >> 96 == 0x64FF9B and network.prefixlen >= 96:
        return ip_network((number & 0xFFFFFFFF, network.prefixlen - 96))
    if network.version == 6 and number >> 112 == 0x2002 and 16 <= network.prefixlen <= 48:
        return ip_network((number >> 80 & 0xFFFFFFFF, network.prefixlen - 16))
    return network


def _subnet(inner: Any, outer: Any) -> bool:
    return bool(inner.version == outer.version and inner.subnet_of(outer))


@given(near(), st.lists(near(), min_size=1, max_size=3))
@settings(max_examples=300)
def test_by_hand_nothing_that_is_set_apart_passes_without_an_entry_inside_of_its_range(
    cidr: str, entries: list[str]
) -> None:
    """By a model with networks instead of sets: the first address of the agent's cidr, its last and one between."""
    asked = _plain(cidr)
    policy = {"egress": {"cidrs": list(dict.fromkeys(entries)), "maxPublicAddresses": 16777216}}
    accepted = not egress(cidr, policies=[policy])
    ranges = [ip_network(one) for one in APART]
    for address in {asked[0], asked[-1], asked[asked.num_addresses // 2]}:
        host = ip_network(address)
        home = next((one for one in ranges if _subnet(host, one)), None)
        opened = [_plain(entry) for entry in entries]
        if home and not any(_subnet(host, entry) and _subnet(entry, home) for entry in opened):
            assert not accepted, (address, home)


def test_adjacent_networks_of_a_policy_add_up() -> None:
    assert egress("203.0.113.0/24", policies=[{"egress": {"cidrs": ["203.0.113.0/25", "203.0.113.128/25"]}}]) == []


def test_without_a_policy_there_is_no_egress_by_address() -> None:
    (violation,) = egress("203.0.113.7/32", policies=[])
    assert (violation.rule, "restricted (built-in)" in violation.message) == (ABOVE, True)


@pytest.mark.parametrize("port", [53, 853])
def test_b80_no_resolver_of_its_own(port: int) -> None:
    rules = [{"cidr": "203.0.113.0/24", "ports": [443, port]}]
    assert places(judge({"network": {"egress": rules}}, WIDE)) == {
        ("EgressDnsBypass", "spec.network.egress[0].ports[1]")
    }


def service(name: str, namespace: str | None = None, *, allowed: Any = ()) -> set[tuple[str, str]]:
    target = {"name": name, "port": 443} | ({} if namespace is None else {"namespace": namespace})
    spec = {"network": {"egress": [{"service": target}]}}
    return places(judge(spec, {"egress": {"serviceNamespaces": list(allowed)}}))


def test_services_of_the_own_namespace_are_open() -> None:
    assert service("search") == set()
    assert service("search", NAMESPACE) == set()


def test_services_elsewhere_need_every_policy() -> None:
    forbidden = {("EgressServiceForbidden", "spec.network.egress[0].service.namespace")}
    assert service("search", "tools") == forbidden
    assert service("search", "tools", allowed=["tools"]) == set()
    spec = {"network": {"egress": [{"service": {"name": "s", "namespace": "tools", "port": 1}}]}}
    both = judge(spec, {"egress": {"serviceNamespaces": ["tools"]}}, {})
    assert [violation.rule for violation in both] == [RuleName.EGRESS_SERVICE_FORBIDDEN]
    assert '"p1"' in both[0].message


@pytest.mark.parametrize("namespace", ["kube-system", "kube-public", "kube-node-lease"])
def test_no_policy_opens_the_clusters_own_namespaces(namespace: str) -> None:
    assert service("kube-dns", namespace, allowed=[namespace])


def test_no_policy_opens_the_namespace_that_ringfence_runs_in() -> None:
    """The canary is there: a gate whose agent is let to it would never end."""
    spec = {"network": {"egress": [{"service": {"name": "s", "namespace": "ringfence-system", "port": 7007}}]}}
    policy = {"egress": {"serviceNamespaces": ["ringfence-system"]}}
    (violation,) = judge(spec, policy, known=replace(facts(), own_namespace="ringfence-system"))
    assert (violation.rule, violation.path) == (
        RuleName.EGRESS_SERVICE_FORBIDDEN,
        "spec.network.egress[0].service.namespace",
    )
    assert "the gate of each pod waits" in violation.message
    assert judge(spec, policy, known=replace(facts(), own_namespace="ringfence")) == []
    assert judge(spec, policy) == []  # where it runs is not known to lint


def test_b76_the_api_server_is_no_service_to_ask_for() -> None:
    assert service("kubernetes", "default", allowed=["default"]) == {
        ("EgressServiceForbidden", "spec.network.egress[0].service.name")
    }
    assert service("kubernetes") == set(), "a Service of that name elsewhere is any other"


B77_TO_B79 = {
    "B77 no destination": {"ports": [443]},
    "B77 nothing": {},
    "B77 to": {"to": [{}]},
    "B78 selector": {"podSelector": {}, "ports": [443]},
    "B79 no ports": {"cidr": "203.0.113.0/24"},
    "B79 empty ports": {"cidr": "203.0.113.0/24", "ports": []},
    "B79 null ports": {"cidr": "203.0.113.0/24", "ports": None},
    "B79 port 0": {"cidr": "203.0.113.0/24", "ports": [0]},
    "B79 named port": {"cidr": "203.0.113.0/24", "ports": ["https"]},
    "B79 endPort": {"cidr": "203.0.113.0/24", "ports": [1], "endPort": 65535},
    "B50 port 1e9": {"cidr": "203.0.113.0/24", "ports": [1e9]},
    "B50 port true": {"cidr": "203.0.113.0/24", "ports": [True]},
    "B72 host bits": {"cidr": "1.2.3.4/0", "ports": [443]},
    "B72 zeros in the prefix": {"cidr": "0.0.0.0/00", "ports": [443]},
    "B72 zeros in the address": {"cidr": "010.0.0.0/8", "ports": [443]},
    "B72 mapped": {"cidr": "::ffff:0:0/96", "ports": [443]},
    "B72 mapped with dots": {"cidr": "::ffff:8.8.8.8/128", "ports": [443]},
    "B72 zone": {"cidr": "fe80::1%eth0/128", "ports": [443]},
    "B72 no prefix": {"cidr": "8.8.8.8", "ports": [443]},
    "B72 other digits": {"cidr": "\u0661.1.1.1/32", "ports": [443]},
    "B74 except": {"cidr": "203.0.113.0/24", "except": ["203.0.113.0/25"], "ports": [443]},
    "B81 by name": {"host": "*", "ports": [443]},
}


@pytest.mark.parametrize("entry", B77_TO_B79.values(), ids=B77_TO_B79.keys())
def test_what_the_types_refuse(entry: dict[str, Any]) -> None:
    assert names(judge({"network": {"egress": [entry]}}, WIDE)) == {RuleName.INVALID_FIELD}


def test_b72_the_long_zero_is_everything() -> None:
    """`0::0/0` is a spelling of ::/0 that parsers take."""
    assert UNRESTRICTED in names(egress("0::0/0"))


CIDRS = st.builds(
    lambda base, prefix: str(ip_network((base, prefix), strict=False)), st.integers(0, 2**32 - 1), st.integers(0, 32)
) | st.builds(
    lambda base, prefix: str(ip_network((base, prefix), strict=False)),
    st.integers(2**32, 2**128 - 1) | st.integers(0x64FF9B << 96, (0x64FF9B << 96) + 2**32),
    st.integers(0, 128),
)
POLICIES = st.lists(CIDRS.map(lambda cidr: {"egress": {"cidrs": [cidr, "10.0.0.0/8"]}}) | st.just(WIDE), max_size=2)


@given(st.lists(CIDRS, min_size=1, max_size=4), CIDRS, POLICIES)
@settings(max_examples=150)
def test_one_more_rule_never_removes_a_violation(cidrs: list[str], more: str, policies: Any) -> None:
    before = places(egress(*cidrs, policies=policies, networks=["10.1.0.0/16"]))
    assert before <= places(egress(*cidrs, more, policies=policies, networks=["10.1.0.0/16"]))


@given(st.lists(CIDRS, min_size=1, max_size=4), st.data(), POLICIES)
@settings(max_examples=150)
def test_splitting_a_network_does_not_change_the_verdict(cidrs: list[str], data: Any, policies: Any) -> None:
    index = data.draw(st.integers(0, len(cidrs) - 1))
    network = ip_network(cidrs[index])
    if network.prefixlen == network.max_prefixlen:
        return
    halves = [str(half) for half in network.subnets()]
    split = [*cidrs[:index], *halves, *cidrs[index + 1 :]]
    assert names(egress(*cidrs, policies=policies, networks=["10.1.0.0/16"])) == names(
        egress(*split, policies=policies, networks=["10.1.0.0/16"])
    )


@given(st.lists(CIDRS, min_size=1, max_size=4), st.randoms(use_true_random=False))
@settings(max_examples=100)
def test_the_order_of_rules_does_not_matter(cidrs: list[str], random: Any) -> None:
    shuffled = list(cidrs)
    random.shuffle(shuffled)
    assert names(egress(*cidrs)) == names(egress(*shuffled))


@given(CIDRS)
@settings(max_examples=150)
def test_whatever_touches_a_protected_address_is_refused(cidr: str) -> None:
    network = ip_network(cidr)
    touched = any(
        network.version == other.version and network.overlaps(other)
        for protected in PROTECTED
        for other in protected.addresses.networks()
    )
    if touched:
        assert METADATA in names(egress(cidr))


def test_facts_that_are_not_known_leave_their_rules_out() -> None:
    spec = {"network": {"egress": [{"cidr": "10.0.0.0/16", "ports": [443]}]}}
    assert judge(spec, WIDE, known=facts(labels=None)) == []
