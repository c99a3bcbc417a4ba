"""Addresses with a meaning, and IPv6 addresses that carry IPv4 ones (B72, B75)."""

from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.policy.addresses import Addresses
from ringfence.policy.metadata import HANDOUTS, METADATA
from ringfence.policy.special import EMBEDDINGS, PROTECTED, PUBLIC, SET_APART, count_public, reach

CARRIERS = {
    "IPv4-mapped": lambda v4: (0xFFFF << 32) | v4,
    "IPv4-compatible": lambda v4: v4,
    "IPv4-translated": lambda v4: (0xFFFF << 48) | v4,
    "NAT64": lambda v4: (0x64FF9B << 96) | v4,
    "6to4": lambda v4: (0x2002 << 112) | (v4 << 80) | 0x1234,
    "Teredo server": lambda v4: (0x20010000 << 96) | (v4 << 64) | 0xFFFFFFFF,
    "Teredo client": lambda v4: (0x20010000 << 96) | (0x01020304 << 64) | (v4 ^ 0xFFFFFFFF),
}


@pytest.mark.parametrize("form", CARRIERS)
@given(v4=st.integers(0, 2**32 - 1))
def test_every_form_gives_up_the_address_that_it_carries(form: str, v4: int) -> None:
    v6 = Addresses.of(str(IPv6Address(CARRIERS[form](v4))))
    assert IPv4Address(v4) in reach(v6)


def test_every_embedding_is_tested() -> None:
    assert {embedding.name for embedding in EMBEDDINGS} == {*CARRIERS, "local NAT64"}


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_an_image_is_exact(first: int, second: int) -> None:
    """Neither more nor less than the low 32 bits of a range, also where they wrap."""
    (nat64,) = (embedding for embedding in EMBEDDINGS if embedding.name == "NAT64")
    low, high = sorted((first, second))
    base = 0x64FF9B << 96
    found = nat64.carried(Addresses.of("::/0").v6 & type(nat64.within)(((base + low, base + high),)))
    assert found.items == ((low, high),)


def test_a_wrapped_image_has_both_ends() -> None:
    (teredo,) = (embedding for embedding in EMBEDDINGS if embedding.name == "Teredo client")
    base = (0x20010000 << 96) | (7 << 64)
    around = type(teredo.within)(((base + 0xFFFFFFFE, base + 0x100000001),))
    assert teredo.carried(around).items == ((0, 1), (0xFFFFFFFE, 0xFFFFFFFF))


@pytest.mark.parametrize("network", ["64:ff9b:1::/48", "64:ff9b:1:abcd::/64", "2001::/32", "::/0", "2002::/16"])
def test_wide_carriers_reach_all_of_ipv4(network: str) -> None:
    assert reach(Addresses.of(network)).v4 == Addresses.of("0.0.0.0/0").v4


def test_an_ordinary_ipv6_network_carries_nothing() -> None:
    assert not reach(Addresses.of("2001:db8::/32", "fd00::/8", "2600::/12")).v4


PUBLIC_SAMPLES = ["1.1.1.1", "8.8.8.8", "9.255.255.255", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1"]
PUBLIC_SAMPLES += ["192.167.0.1", "198.20.0.1", "223.255.255.255", "2606:4700::1111", "2001:4860:4860::8888"]
OTHER_SAMPLES = ["0.1.2.3", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.1.1", "172.16.0.1", "172.31.255.255"]
OTHER_SAMPLES += ["192.0.0.1", "192.0.2.1", "192.168.1.1", "198.18.0.1", "198.19.0.1", "203.0.113.1", "224.0.0.1"]
OTHER_SAMPLES += ["240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
OTHER_SAMPLES += [
    "192.88.99.1",
    "fec0::1",
    "2001:1::1",
    "2001::1",
    "2001:db8::1",
    "3fff::1",
    "5f00::1",
    "100::1",
    "fc00::1",
    "fdff::1",
    "fe80::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", PUBLIC_SAMPLES)
def test_public(address: str) -> None:
    assert ip_address(address) in PUBLIC


@pytest.mark.parametrize("address", OTHER_SAMPLES)
def test_not_public(address: str) -> None:
    assert ip_address(address) not in PUBLIC


def test_public_ipv4_has_the_size_that_the_registry_leaves() -> None:
    """2**32 less the blocks of IANA's registry that are not, or no longer, globally reachable, and multicast."""
    apart = [24, 24, 22, 24, 16, 20, 16]  # 0/8 10/8 100.64/10 127/8 169.254/16 172.16/12 192.168/16
    apart += [8, 8, 8, 8, 8, 17, 28, 28]  # 192.0.0 192.0.2 192.88.99 198.51.100 203.0.113, 198.18/15, 224/4, 240/4
    assert PUBLIC.v4.size == 2**32 - sum(2**bits for bits in apart)


def test_counting() -> None:
    assert count_public(Addresses.of("8.8.8.0/24", "10.0.0.0/8")).total == 256
    assert count_public(Addresses.of("2600::/48")).total == 2**16
    assert count_public(Addresses.of("2600::1", "2600::2", "2600:0:0:1::1")).blocks == 2
    assert count_public(Addresses.of("8.8.8.8", "64:ff9b::808:808")).total == 1, "the same address twice"


SEEN_IN_SOURCES = [
    *("169.254.169.254", "169.254.170.2", "169.254.170.23", "169.254.169.252", "fd00:ec2::254", "fd00:ec2::23"),
    *("fd20:ce::254", "168.63.129.16", "100.100.100.200", "fd00:100::100:200", "192.0.0.192", "fd00:c1::a9fe:a9fe"),
    *("fe80::a9fe:a9fe", "169.254.0.23", "100.96.0.96", "100.80.80.80", "169.254.42.42", "fd00:42::42"),
    *("fd00:a9fe:a9fe::1", "192.80.8.124", "77.221.156.49"),
]


@pytest.mark.parametrize("address", SEEN_IN_SOURCES)
def test_b75_metadata_addresses_are_known(address: str) -> None:
    assert ip_address(address) in METADATA
    assert any(ip_address(address) in protected.addresses for protected in PROTECTED)


def test_each_entry_of_the_table_says_whose_it_is_what_it_gives_and_where_that_is_written() -> None:
    assert {one.address for one in HANDOUTS} == set(SEEN_IN_SOURCES)
    assert all(one.cloud and one.gives and one.source for one in HANDOUTS)
    assert len({(one.address, one.cloud) for one in HANDOUTS}) == len(HANDOUTS)


@pytest.mark.parametrize("address", ["169.254.0.0", "169.254.255.255", "169.254.169.123", "fe80::", "febf:ffff::1"])
def test_link_local_is_closed_as_a_whole(address: str) -> None:
    assert any(ip_address(address) in protected.addresses for protected in PROTECTED)


def test_ranges_that_are_set_apart_are_disjoint_and_one_network_each() -> None:
    networks = [list(apart.addresses.networks()) for apart in SET_APART]
    assert all(len(one) == 1 for one in networks)
    flat = [one[0] for one in networks]
    assert not [(a, b) for a, b in combinations(flat, 2) if a.version == b.version and a.overlaps(b)]
