"""The algebra of address sets, against Python's own sets and the standard library's networks."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.policy.addresses import EVERYTHING, V4_MAX, Addresses, Ranges

SMALL = st.integers(0, 40)
PAIRS = st.lists(st.tuples(SMALL, SMALL), max_size=8)


def members(ranges: Ranges) -> set[int]:
    return {number for number in range(50) if number in ranges}


def plain(pairs: list[tuple[int, int]]) -> set[int]:
    return {number for first, last in pairs for number in range(first, last + 1)}


@given(PAIRS, PAIRS)
def test_ranges_behave_like_sets_of_numbers(left: list[tuple[int, int]], right: list[tuple[int, int]]) -> None:
    a, b = Ranges.of(left), Ranges.of(right)
    x, y = plain(left), plain(right)
    assert members(a) == x
    assert members(a | b) == x | y
    assert members(a & b) == x & y
    assert members(a - b) == x - y
    assert (a <= b) == (x <= y)
    assert a.size == len(x)
    assert bool(a) == bool(x)
    assert a.blocks(2) == len({number >> 2 for number in x})


@given(PAIRS, PAIRS)
def test_results_are_sorted_disjoint_and_not_adjacent(
    left: list[tuple[int, int]], right: list[tuple[int, int]]
) -> None:
    a, b = Ranges.of(left), Ranges.of(right)
    for ranges in (a, a | b, a & b, a - b):
        assert ranges == Ranges.of(ranges.items)
        assert all(first <= last for first, last in ranges.items)


V4 = st.builds(
    lambda base, prefix: ip_network((base, prefix), strict=False),
    st.integers(0xC0A80000, 0xC0A800FF),
    st.integers(26, 32),
)
V6 = st.builds(
    lambda base, prefix: ip_network((IPv6Address((0x20010DB8 << 96) + base), prefix), strict=False),
    st.integers(0, 255),
    st.integers(122, 128),
)


@given(st.lists(V4 | V6, max_size=6), st.lists(V4 | V6, max_size=6))
def test_address_sets_agree_with_the_standard_library(
    left: list[IPv4Network | IPv6Network], right: list[IPv4Network | IPv6Network]
) -> None:
    a, b = Addresses.from_networks(left), Addresses.from_networks(right)
    x = {address for network in left for address in network}
    y = {address for network in right for address in network}
    assert {address for network in (a | b).networks() for address in network} == x | y
    assert {address for network in (a & b).networks() for address in network} == x & y
    assert {address for network in (a - b).networks() for address in network} == x - y
    assert (a <= b) == (x <= y)
    assert all(address in a for address in x)
    assert not any(address in a for address in y - x)
    assert a.v4.size + a.v6.size == len(x)


def test_families_do_not_mix() -> None:
    assert IPv6Address(1) not in Addresses.of("0.0.0.0/0")
    assert IPv4Address(1) not in Addresses.of("::/0")
    assert not Addresses.of("0.0.0.0/0") & Addresses.of("::/0")
    assert Addresses.of("0.0.0.0/0", "::/0") == EVERYTHING
    assert EVERYTHING.v4.size == V4_MAX + 1


@pytest.mark.parametrize(
    ("networks", "shown"),
    [
        ((), "none"),
        (("10.0.0.1/32",), "10.0.0.1"),
        (("10.0.0.0/9", "10.128.0.0/9"), "10.0.0.0/8"),
        (("2001:db8::/32", "10.0.0.0/8"), "10.0.0.0/8, 2001:db8::/32"),
        (("10.0.0.0/32", "10.0.0.2/32", "10.0.0.4/32"), "10.0.0.0, 10.0.0.2, 10.0.0.4"),
        (("10.0.0.0/32", "10.0.0.2/32", "10.0.0.4/32", "10.0.0.6/32"), "10.0.0.0, 10.0.0.2, 10.0.0.4, ..."),
    ],
)
def test_a_set_is_shown_as_few_networks(networks: tuple[str, ...], shown: str) -> None:
    assert Addresses.of(*networks).display() == shown
