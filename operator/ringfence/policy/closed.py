"""What of a network stays closed to agents: the cluster's own addresses and those that no policy opens.

An accepted network holds none of them. A node that joins later may have its address inside of one: the agent keeps
running, and the NetworkPolicy leaves that address out.
"""

from collections.abc import Iterable
from functools import cached_property
from typing import Final

from ringfence.api.fields import network

from .addresses import EVERYTHING, Addresses, Network, Ranges
from .metadata import METADATA
from .special import ALL_PROTECTED, PUBLIC, carriers, reach

MOST_EXCEPTIONS: Final = 256
"""Networks that are left out of one: what needs more is rounded up to fewer and larger ones. Bounds the object's size
and what a network plugin has to keep for each rule."""


NAT64_HALVES: Final = (Addresses.of("64:ff9b::/97"), Addresses.of("64:ff9b::8000:0/97"))
"""RFC 6052 section 2.1: the one embedding that the resolver of a network without IPv4 answers with."""


def not_public(cluster: Addresses, opened: Iterable[Addresses] = ()) -> Addresses:
    """All that is not the internet: private, special, and the cluster's own, but what is `opened`.

    `cluster`: pods, Services and nodes, public or not. IPv6 addresses that carry IPv4 belong to it, but those of NAT64
    that carry a public one. What `special.PROTECTED` holds belongs to it whatever is opened.
    """
    closed = (((EVERYTHING - PUBLIC) | cluster) - Addresses.union(opened)) | METADATA | ALL_PROTECTED
    v6 = closed.v6
    for half in NAT64_HALVES:  # of a range that carries all of IPv4, `carriers` lets nothing through
        v6 = (v6 - half.v6) | carriers(closed.v4, half.v6)
    return Addresses(closed.v4, v6)


class _Cluster:
    """What is made of the cluster's networks, once: they are the same tuple for a long time, for all agents.

    `left_out`, `inside`: by cidr, what `exceptions` and `beyond_public` found.
    """

    def __init__(self, networks: tuple[Network, ...] = ()) -> None:
        self.networks = networks
        self.addresses = reach(Addresses.from_networks(networks))
        self.closed = self.addresses | ALL_PROTECTED
        self.left_out: dict[str, tuple[Network, ...] | None] = {}
        self.inside: dict[str, tuple[Network, ...]] = {}

    @cached_property
    def not_public(self) -> Addresses:
        """As the function of this name says, with nothing opened: the same for every cidr."""
        return not_public(self.addresses)


_MOST_KEPT: Final = 4096
_last = _Cluster()


def _cluster(networks: tuple[Network, ...]) -> _Cluster:
    global _last  # noqa: PLW0603 - the one that is kept
    if _last.networks is not networks:
        _last = _Cluster(networks)
    return _last


def cluster_addresses(networks: tuple[Network, ...]) -> Addresses:
    """All addresses of `networks`, with the IPv4 ones that their IPv6 part embeds."""
    return _cluster(networks).addresses


def exceptions(cidr: str, networks: tuple[Network, ...]) -> tuple[Network, ...] | None:
    """What is to be left out of `cidr` as long as the cluster has `networks`. None: nothing of it may be reached.

    Each lies strictly inside of `cidr`; there are at most MOST_EXCEPTIONS.
    """
    known = _cluster(networks)
    if cidr not in known.left_out:
        if len(known.left_out) >= _MOST_KEPT:
            known.left_out.clear()
        known.left_out[cidr] = _exceptions(cidr, known.closed)
    return known.left_out[cidr]


def beyond_public(cidr: str, networks: tuple[Network, ...]) -> tuple[Network, ...]:
    """What of `cidr` is not the internet, as long as the cluster has `networks`: private, special, and the cluster's.

    At most MOST_EXCEPTIONS, each strictly inside of `cidr`, which holds more than that.
    """
    known = _cluster(networks)
    if cidr not in known.inside:
        inside = Addresses.from_networks([network(cidr)]) & known.not_public
        known.inside[cidr] = tuple(_few(inside, cidr))
    return known.inside[cidr]


def _exceptions(cidr: str, closed: Addresses) -> tuple[Network, ...] | None:
    asked = Addresses.from_networks([network(cidr)])
    inside = (asked & closed) | Addresses(v6=carriers(closed.v4, asked.v6))
    if not inside:
        return ()
    found = _few(inside, cidr)
    return None if asked <= Addresses.from_networks(found) else tuple(found)


def _few(inside: Addresses, cidr: str) -> list[Network]:
    """The networks of `inside`, in blocks of the smallest size in which they are few."""
    found = list(inside.networks())
    if len(found) <= MOST_EXCEPTIONS:
        return found
    low, high = 0, network(cidr).max_prefixlen - network(cidr).prefixlen - 1  # its two halves are few, and inside of it
    while low < high:
        middle = (low + high) // 2
        if _blocks(inside, middle) <= MOST_EXCEPTIONS:
            high = middle
        else:
            low = middle + 1
    return list(_rounded(inside, low).networks())


def _blocks(addresses: Addresses, bits: int) -> int:
    return addresses.v4.blocks(bits) + addresses.v6.blocks(bits)


def _rounded(addresses: Addresses, bits: int) -> Addresses:
    """Every aligned block of 2**bits addresses of which `addresses` hold something."""

    def of(ranges: Ranges) -> Ranges:
        return Ranges.of((first >> bits << bits, last | ((1 << bits) - 1)) for first, last in ranges.items)

    return Addresses(of(addresses.v4), of(addresses.v6))
