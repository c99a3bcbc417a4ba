"""Sets of IP addresses as sorted, merged ranges: every question about egress is asked of such a set."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network, summarize_address_range
from itertools import chain, islice
from typing import Self

Network = IPv4Network | IPv6Network
Range = tuple[int, int]
"""First and last number, both inside."""

V4_BITS = 32
V6_BITS = 128
V4_MAX = (1 << V4_BITS) - 1
V6_MAX = (1 << V6_BITS) - 1


@dataclass(frozen=True)
class Ranges:
    """A set of numbers. `items` are sorted, disjoint and not adjacent, so equal sets are equal objects."""

    items: tuple[Range, ...] = ()

    @classmethod
    def of(cls, ranges: Iterable[Range]) -> Self:
        """The union of `ranges`, in any order; one that ends before it begins is empty."""
        merged: list[Range] = []
        for first, last in sorted(pair for pair in ranges if pair[0] <= pair[1]):
            if merged and first <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
            else:
                merged.append((first, last))
        return cls(tuple(merged))

    def __bool__(self) -> bool:
        return bool(self.items)

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self.items, number, key=lambda pair: pair[0]) - 1
        return at >= 0 and number <= self.items[at][1]

    def __or__(self, other: "Ranges") -> "Ranges":
        return Ranges.of(chain(self.items, other.items))

    def __and__(self, other: "Ranges") -> "Ranges":
        return Ranges(tuple(_overlaps(self.items, other.items))) if self.items and other.items else Ranges()

    def __sub__(self, other: "Ranges") -> "Ranges":
        return Ranges(tuple(_remainders(self.items, other.items)))

    def __le__(self, other: "Ranges") -> bool:
        return not self - other

    @property
    def size(self) -> int:
        """How many numbers are in the set."""
        return sum(last - first + 1 for first, last in self.items)

    def blocks(self, bits: int) -> int:
        """How many aligned blocks of 2**bits numbers the set touches."""
        return Ranges.of((first >> bits, last >> bits) for first, last in self.items).size


def _overlaps(left: tuple[Range, ...], right: tuple[Range, ...]) -> Iterator[Range]:
    i = j = 0
    while i < len(left) and j < len(right):
        first, last = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if first <= last:
            yield first, last
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1


def _remainders(left: tuple[Range, ...], right: tuple[Range, ...]) -> Iterator[Range]:
    j = 0
    for first, last in left:
        while j < len(right) and right[j][1] < first:
            j += 1
        at, start = j, first
        while at < len(right) and right[at][0] <= last:
            if start < right[at][0]:
                yield start, right[at][0] - 1
            start = right[at][1] + 1
            at += 1
        if start <= last:
            yield start, last


@dataclass(frozen=True)
class Addresses:
    """A set of IPv4 and IPv6 addresses."""

    v4: Ranges = field(default_factory=Ranges)
    v6: Ranges = field(default_factory=Ranges)

    @classmethod
    def from_networks(cls, networks: Iterable[Network]) -> Self:
        """All addresses of all `networks`."""
        v4: list[Range] = []
        v6: list[Range] = []
        for network in networks:
            pair = (int(network.network_address), int(network.broadcast_address))
            (v4 if isinstance(network, IPv4Network) else v6).append(pair)
        return cls(Ranges.of(v4), Ranges.of(v6))

    @classmethod
    def union(cls, sets: Iterable["Addresses"]) -> Self:
        """All addresses of all `sets`."""
        held = list(sets)
        v4 = Ranges.of(chain.from_iterable(one.v4.items for one in held))
        return cls(v4, Ranges.of(chain.from_iterable(one.v6.items for one in held)))

    @classmethod
    def of(cls, *texts: str) -> Self:
        """All addresses of the networks and addresses in `texts`. Raises ValueError for anything else."""
        return cls.from_networks(ip_network(text) for text in texts)

    def __bool__(self) -> bool:
        return bool(self.v4) or bool(self.v6)

    def __contains__(self, address: IPv4Address | IPv6Address) -> bool:
        return int(address) in (self.v4 if isinstance(address, IPv4Address) else self.v6)

    def __or__(self, other: "Addresses") -> "Addresses":
        return Addresses(self.v4 | other.v4, self.v6 | other.v6)

    def __and__(self, other: "Addresses") -> "Addresses":
        return Addresses(self.v4 & other.v4, self.v6 & other.v6)

    def __sub__(self, other: "Addresses") -> "Addresses":
        return Addresses(self.v4 - other.v4, self.v6 - other.v6)

    def __le__(self, other: "Addresses") -> bool:
        return self.v4 <= other.v4 and self.v6 <= other.v6

    def networks(self) -> Iterator[Network]:
        """The fewest networks that make up the set, IPv4 first."""
        for first, last in self.v4.items:
            yield from summarize_address_range(IPv4Address(first), IPv4Address(last))
        for first, last in self.v6.items:
            yield from summarize_address_range(IPv6Address(first), IPv6Address(last))

    def display(self, most: int = 3) -> str:
        """At most `most` of the networks, such as `10.0.0.0/8, 192.0.2.3, ...`; `none` if empty."""
        shown = [_short(network) for network in islice(self.networks(), most + 1)]
        if len(shown) > most:
            shown[most:] = ["..."]
        return ", ".join(shown) or "none"


def _short(network: IPv4Network | IPv6Network) -> str:
    return str(network.network_address) if network.num_addresses == 1 else str(network)


EVERYTHING = Addresses(Ranges(((0, V4_MAX),)), Ranges(((0, V6_MAX),)))
