"""What is left out of an accepted network: nodes that join later, and whatever else is closed (B75, B76)."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_network
from itertools import chain
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.policy.addresses import Addresses
from ringfence.policy.closed import MOST_EXCEPTIONS, exceptions
from ringfence.policy.model import RuleName
from unit.policy.make import WIDE, egress

TABLE: dict[str, tuple[str, list[str], list[str] | None]] = {
    "nothing of the cluster": ("203.0.113.0/24", ["10.0.0.0/8"], []),
    "a node": ("203.0.113.0/24", ["203.0.113.7/32"], ["203.0.113.7/32"]),
    "two nodes side by side": ("203.0.113.0/24", ["203.0.113.6/32", "203.0.113.7/32"], ["203.0.113.6/31"]),
    "pods of a node": ("10.0.0.0/8", ["10.244.3.0/24", "192.0.2.9/32"], ["10.244.3.0/24"]),
    "a half": ("10.0.0.0/8", ["10.128.0.0/9"], ["10.128.0.0/9"]),
    "all of it": ("203.0.113.7/32", ["203.0.113.7/32"], None),
    "all of it, by what is around it": ("203.0.113.0/28", ["203.0.113.0/24"], None),
    "all of it, by its halves": ("203.0.113.0/24", ["203.0.113.0/25", "203.0.113.128/25"], None),
    "a part of what is around it": ("203.0.113.0/24", ["203.0.112.0/24", "203.0.113.9/32"], ["203.0.113.9/32"]),
    "metadata, in any case": ("168.63.129.0/24", [], ["168.63.129.16/32"]),
    "link-local, in any case": ("169.254.0.0/15", [], ["169.254.0.0/16"]),
    "a node by IPv6": ("2001:db8::/32", ["2001:db8::7/128"], ["2001:db8::7/128"]),
    "a node behind NAT64": ("64:ff9b::a00:0/104", ["10.0.0.5/32"], ["64:ff9b::a00:5/128"]),
    "a node behind 6to4": ("2002:a00::/24", ["10.0.0.5/32"], ["2002:a00:5::/48"]),
    "a node behind a translator": ("::ffff:0:a00:0/112", ["10.0.0.5/32"], ["::ffff:0:a00:5/128"]),
    "a node that is Teredo's client": (
        "2001:0:808:808:0:0:f5ff:0/112",
        ["10.0.0.5/32"],
        ["2001:0:808:808::f5ff:fffa/128"],
    ),
    "a node behind a translator of the site's own, at any place": ("64:ff9b:1::/64", ["10.0.0.5/32"], None),
    "IPv4 of a node that is known by NAT64": ("10.0.0.0/24", ["64:ff9b::a00:5/128"], ["10.0.0.5/32"]),
}


@pytest.mark.parametrize(("cidr", "cluster", "expected"), TABLE.values(), ids=TABLE.keys())
def test_what_is_left_out(cidr: str, cluster: list[str], expected: list[str] | None) -> None:
    found = exceptions(cidr, tuple(map(ip_network, cluster)))
    assert (found if found is None else [str(one) for one in found]) == expected


def test_what_was_found_for_other_networks_of_the_cluster_is_not_kept() -> None:
    first, second = ((ip_network(f"203.0.113.{n}/32"),) for n in (7, 8))
    found = [exceptions("203.0.113.0/24", cluster) for cluster in (first, first, second, (), first)]
    assert found == [first, first, second, (), first]


def test_many_are_rounded_up_to_few_that_close_all_of_them() -> None:
    nodes = tuple(ip_network(f"10.{subnet * 16}.0.{n}/32") for subnet in range(16) for n in range(1, 255, 2))
    found = exceptions("10.0.0.0/8", nodes)
    assert found is not None
    assert len(found) <= MOST_EXCEPTIONS
    left_out = Addresses.from_networks(found)
    assert Addresses.from_networks(nodes) <= left_out
    subnets = Addresses.of(*(f"10.{subnet * 16}.0.0/24" for subnet in range(16)))
    assert left_out <= subnets, "and not the rest of the network"
    few = nodes[:MOST_EXCEPTIONS]
    assert exceptions("10.0.0.0/8", few) == few, "no more than needed"


def test_what_is_closed_everywhere_leaves_nothing() -> None:
    spread = tuple(ip_network(f"203.0.113.{n}/32") for n in range(0, 256, 2))
    assert exceptions("203.0.113.0/24", spread) == spread
    wide = tuple(ip_network((2**120 * 0xFD + n * 2**110, 128)) for n in range(1024))
    assert exceptions("fd00::/8", wide) is None, "rounded up, it is all of the network"


SMALL = st.builds(lambda n, p: ip_network((0x0A000000 + n, p), strict=False), st.integers(0, 1023), st.integers(24, 32))


@given(SMALL, st.lists(SMALL, max_size=6))
@settings(max_examples=300)
def test_address_by_address(cidr: Any, cluster: list[Any]) -> None:
    """By brute force: each address of the network is left out, or it is none of the cluster's."""
    closed = set(chain.from_iterable(cluster))
    found = exceptions(str(cidr), tuple(cluster))
    left_out = set(cidr) if found is None else set(chain.from_iterable(found))
    assert left_out == closed & set(cidr)
    for one in found or []:
        assert one != cidr
        assert one.subnet_of(cidr)


@given(st.integers(0, 1023), SMALL, st.sampled_from(["NAT64", "6to4", "Teredo client", "Teredo server"]))
@settings(max_examples=200)
def test_address_by_address_in_ipv6(node: int, around: Any, form: str) -> None:
    """An IPv6 network that carries `around`, and a node at an IPv4 address: exactly its carrier is left out."""
    ways: dict[str, Callable[[int], int]] = {
        "NAT64": lambda v4: (0x64FF9B << 96) | v4,
        "6to4": lambda v4: (0x2002 << 112) | (v4 << 80),
        "Teredo client": lambda v4: (0x20010000 << 96) | (0x08080808 << 64) | (v4 ^ 0xFFFFFFFF),
        "Teredo server": lambda v4: (0x20010000 << 96) | (v4 << 64) | 0xF7F7F7F7,
    }
    carries = ways[form]
    ends = sorted((carries(int(around[0])), carries(int(around[-1]))))
    prefix = {"6to4": 16, "Teredo server": 32}.get(form, 96) + around.prefixlen
    asked = ip_network((ends[0], prefix), strict=False)
    if form == "Teredo server":  # it carries every client, and so every address
        assert exceptions(str(asked), ()) is None or around.prefixlen == 32
        return
    address = IPv4Address(0x0A000000 + node)
    found = exceptions(str(asked), (ip_network(address),))
    inside = address in around
    left_out = inside if found is None else any(IPv6Address(carries(int(address))) in one for one in found)
    assert left_out is inside
    assert found is None or bool(found) is inside


ANY = st.builds(
    lambda n, p: ip_network((n, p), strict=False), st.integers(0, 2**32 - 1), st.integers(8, 32)
) | st.builds(
    lambda n, p: ip_network((n, p), strict=False),
    st.integers(2**32, 2**128 - 1) | st.integers(0x64FF9B << 96, (0x64FF9B << 96) + 2**32),
    st.integers(16, 128),
)
CLOSED = {RuleName.EGRESS_METADATA, RuleName.EGRESS_CLUSTER_ADDRESS}


@given(ANY, st.lists(ANY, max_size=3))
@settings(max_examples=300)
def test_nothing_is_left_out_of_what_would_be_accepted(cidr: Any, cluster: list[Any]) -> None:
    """And something is left out of all else: the decision and the policy close the same addresses."""
    refused = CLOSED & {one.rule for one in egress(str(cidr), policies=[WIDE], networks=map(str, cluster))}
    assert (exceptions(str(cidr), tuple(cluster)) != ()) is bool(refused)
