"""What of a network stays closed to agents: the cluster's own addresses and those that no policy opens.

An accepted network holds none of them. A node that joins later may have its address inside of one: the agent keeps
running, and the NetworkPolicy leaves that address out.
"""

from typing import Final

from ringfence.api.fields import network

from .addresses import Addresses, Network, Ranges
from .special import ALL_PROTECTED, carriers, reach

MOST_EXCEPTIONS: Final = 256
"""Networks that are left out of one: what needs more is rounded up to fewer and larger ones. Bounds the object's size
and what a network plugin has to keep for each rule."""


class _Cluster:
    """The addresses of the last tuple of networks that was asked about: it is the same object for a long time."""

    def __init__(self) -> None:
        self._last: tuple[tuple[Network, ...], Addresses] = ((), Addresses())

    def addresses(self, networks: tuple[Network, ...]) -> Addresses:
        known, found = self._last
        if known is not networks:
            found = reach(Addresses.from_networks(networks))
            self._last = (networks, found)
        return found


_CLUSTER: Final = _Cluster()


def cluster_addresses(networks: tuple[Network, ...]) -> Addresses:
    """All addresses of `networks`, with the IPv4 ones that their IPv6 part embeds."""
    return _CLUSTER.addresses(networks)


def exceptions(cidr: str, networks: tuple[Network, ...]) -> list[Network] | None:
    """What is to be left out of `cidr` as long as the cluster has `networks`. None: nothing of it may be reached.

    Each lies strictly inside of `cidr`; there are at most MOST_EXCEPTIONS.
    """
    asked = Addresses.from_networks([network(cidr)])
    closed = cluster_addresses(networks) | ALL_PROTECTED
    inside = (asked & closed) | Addresses(v6=carriers(closed.v4, asked.v6))
    if not inside:
        return []
    found = _few(inside, cidr)
    return None if asked <= Addresses.from_networks(found) else found


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
