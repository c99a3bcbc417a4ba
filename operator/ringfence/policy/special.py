"""Addresses with a meaning of their own, each with its source, and what they mean for an agent."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .addresses import EVERYTHING, V4_BITS, V4_MAX, Addresses, Range, Ranges
from .metadata import HANDOUTS

LINK_LOCAL = Addresses.of("169.254.0.0/16", "fe80::/10")
"""RFC 3927 and RFC 4291 section 2.5.6: the wire and the node itself; clouds put their services here."""

LOOPBACK = Addresses.of("127.0.0.0/8", "::1")
"""RFC 1122 section 3.2.1.3 and RFC 4291 section 2.5.3."""

UNSPECIFIED = Addresses.of("0.0.0.0/8", "::")
"""RFC 1122 section 3.2.1.3 ("this network") and RFC 4291 section 2.5.2. Linux takes 0.0.0.0 for the host
itself.
"""

MULTICAST = Addresses.of("224.0.0.0/4", "ff00::/8")
"""RFC 5771 and RFC 4291 section 2.7."""

BROADCAST = Addresses.of("255.255.255.255")
"""RFC 919 section 7."""


@dataclass(frozen=True)
class SetApart:
    """One range that is not the public internet, and what it is. A policy opens it by entries inside of it alone."""

    what: str
    addresses: Addresses


def _apart(network: str, what: str) -> SetApart:
    return SetApart(what, Addresses.of(network))


SET_APART = (
    _apart("10.0.0.0/8", "private, RFC 1918"),
    _apart("172.16.0.0/12", "private, RFC 1918"),
    _apart("192.168.0.0/16", "private, RFC 1918"),
    _apart("100.64.0.0/10", "shared by carriers and used inside clouds, RFC 6598"),
    _apart("192.0.0.0/24", "IETF protocol assignments, RFC 6890"),
    _apart("192.0.2.0/24", "documentation, RFC 5737"),
    _apart("198.51.100.0/24", "documentation, RFC 5737"),
    _apart("203.0.113.0/24", "documentation, RFC 5737"),
    _apart("198.18.0.0/15", "benchmarks, RFC 2544"),
    _apart("192.88.99.0/24", "relays of 6to4, RFC 7526"),
    _apart("240.0.0.0/4", "reserved, RFC 1112"),
    _apart("fc00::/7", "unique local, RFC 4193"),
    _apart("fec0::/10", "site-local, RFC 3879"),
    _apart("100::/64", "discarded, RFC 6666"),
    _apart("100:0:0:1::/64", "dummy prefix, RFC 9780"),
    _apart("2001::/23", "IETF protocol assignments, RFC 2928"),
    _apart("2001:db8::/32", "documentation, RFC 3849"),
    _apart("3fff::/20", "documentation, RFC 9637"),
    _apart("5f00::/16", "segment routing, RFC 9602"),
)
"""What IANA's special-purpose address registries (RFC 6890) do not call globally reachable, and what was so before
(site-local), besides the ranges above, which no policy opens. RFC 1918 and its like are inside of organizations: who
writes 0.0.0.0/0 into a policy means the internet, and not these.
"""

ALL_APART = Addresses.union(apart.addresses for apart in SET_APART)


@dataclass(frozen=True)
class Embedding:
    """IPv6 addresses that carry an IPv4 address, `shift` bits from the right (None: anywhere)."""

    name: str
    within: Ranges
    shift: int | None
    inverted: bool = False

    def carried(self, v6: Ranges) -> Ranges:
        """The IPv4 addresses carried by those of `v6` that lie within: exactly these, no more."""
        inside = v6 & self.within
        if self.shift is None:
            return EVERYTHING.v4 if inside else Ranges()
        return Ranges.of(part for pair in inside.items for part in self._image(*pair))

    def carriers(self, v4: Ranges, v6: Ranges) -> Ranges:
        """Those of `v6` that carry one of `v4`."""
        inside = v6 & self.within
        if self.shift is None:
            return inside if v4 else Ranges()
        return Ranges.of(part for pair in inside.items for part in self._preimage(v4, *pair))

    def _preimage(self, v4: Ranges, first: int, last: int) -> Iterator[Range]:
        """The same of one range: its carried numbers, as they stand, lie in one or two runs of all of IPv4."""
        shift = self.shift or 0
        if (last >> shift) - (first >> shift) >= V4_MAX:
            yield first, last  # such a range carries all of IPv4: nothing of it is let through
            return
        for high in {first >> shift >> V4_BITS, last >> shift >> V4_BITS}:
            for low, top in v4.items:
                if self.inverted:
                    low, top = V4_MAX - top, V4_MAX - low  # noqa: PLW2901 - the range that stands in the address
                start = ((high << V4_BITS) | low) << shift
                end = (((high << V4_BITS) | top) << shift) | ((1 << shift) - 1)
                yield max(start, first), min(end, last)  # where that is empty, Ranges.of leaves it out

    def _image(self, first: int, last: int) -> list[Range]:
        low, high = first >> (self.shift or 0), last >> (self.shift or 0)
        if high - low >= V4_MAX:
            return [(0, V4_MAX)]
        low, high = low & V4_MAX, high & V4_MAX
        if self.inverted:
            low, high = V4_MAX - high, V4_MAX - low
        return [(low, high)] if low <= high else [(low, V4_MAX), (0, high)]


def _embedding(name: str, within: str, shift: int | None, *, inverted: bool = False) -> Embedding:
    return Embedding(name, Addresses.of(within).v6, shift, inverted)


EMBEDDINGS = (
    _embedding("IPv4-mapped", "::ffff:0:0/96", 0),
    _embedding("IPv4-compatible", "::/96", 0),
    _embedding("IPv4-translated", "::ffff:0:0:0/96", 0),
    _embedding("NAT64", "64:ff9b::/96", 0),
    _embedding("local NAT64", "64:ff9b:1::/48", None),
    _embedding("6to4", "2002::/16", 128 - 16 - V4_BITS),
    _embedding("Teredo server", "2001::/32", 128 - 32 - V4_BITS),
    _embedding("Teredo client", "2001::/32", 0, inverted=True),
)
"""RFC 4291 sections 2.5.5.2 and 2.5.5.1, RFC 2765 section 2.1, RFC 6052 section 2.1, RFC 8215 (the operator
chooses the place, so any), RFC 3056 section 2, RFC 4380 section 4. A translator with a prefix of the site's
own (RFC 6052 section 2.2) cannot be told from the address: give its prefix to the decision as a cluster
network.
"""


def reach(addresses: Addresses) -> Addresses:
    """`addresses` and every IPv4 address that its IPv6 part embeds."""
    if not addresses.v6:
        return addresses
    v4 = addresses.v4
    for embedding in EMBEDDINGS:
        if carried := embedding.carried(addresses.v6):
            v4 |= carried
    return Addresses(v4, addresses.v6)


def carriers(v4: Ranges, v6: Ranges) -> Ranges:
    """Those of `v6` that carry one of `v4`, in any form."""
    if not v4 or not v6:
        return Ranges()
    return Ranges.of(part for embedding in EMBEDDINGS for part in embedding.carriers(v4, v6).items)


def named_apart(entries: Iterable[Addresses]) -> Addresses:
    """What `entries`, each one network of a policy, open of the ranges that are set apart.

    An entry opens such a range only from inside: one that is wider was not written for it. An entry of IPv6 that
    carries IPv4 is judged as the IPv4, too.
    """
    return Addresses.union(view for entry in entries for view in _views(entry) if _inside_one(view))


def _views(entry: Addresses) -> Iterator[Addresses]:
    yield entry
    if entry.v6:
        for embedding in EMBEDDINGS:
            yield Addresses(embedding.carried(entry.v6))


def _inside_one(addresses: Addresses) -> bool:
    return bool(addresses & ALL_APART) and any(addresses <= apart.addresses for apart in SET_APART)


def what_apart(addresses: Addresses) -> str:
    """What the first range is of which `addresses` hold something."""
    return next((apart.what for apart in SET_APART if addresses & apart.addresses), "public")


def _public() -> Addresses:
    left = EVERYTHING - ALL_APART - LINK_LOCAL - LOOPBACK - UNSPECIFIED - MULTICAST - BROADCAST
    v6 = left.v6
    for embedding in EMBEDDINGS:
        v6 -= embedding.within
    return Addresses(left.v4, v6)


PUBLIC = _public()
"""Everything that is not set apart above. Embedding forms are left out: they count as the IPv4 that they
carry.
"""


@dataclass(frozen=True)
class Protected:
    """Addresses that no agent reaches, whatever a policy says, and what they are."""

    what: str
    addresses: Addresses


_FIRST_METADATA = Addresses.of("169.254.169.254")
"""The one that readers know: it goes first into messages."""


def _other_metadata() -> Iterator[Protected]:
    for one in HANDOUTS:
        if (addresses := Addresses.of(one.address)) != _FIRST_METADATA:
            yield Protected(f"{one.cloud}'s metadata service, which gives out {one.gives}", addresses)


PROTECTED = (
    Protected("the metadata service of nearly every cloud, which gives out credentials", _FIRST_METADATA),
    *_other_metadata(),
    Protected("link-local: the node and the cloud's own services", LINK_LOCAL),
    Protected("loopback: the machine itself", LOOPBACK),
    Protected("'this network', which Linux takes for the machine itself", UNSPECIFIED),
    Protected("multicast, which is not one destination", MULTICAST),
    Protected("broadcast, which is not one destination", BROADCAST),
)

ALL_PROTECTED = Addresses.union(protected.addresses for protected in PROTECTED)

BLOCK_V6_BITS = 64
"""An IPv6 /64 is one subnet (RFC 4291 section 2.5.1) and counts as one public address."""


@dataclass(frozen=True)
class PublicCount:
    """How much of the internet a set covers: IPv4 `addresses` and IPv6 `blocks` of /64."""

    addresses: int
    blocks: int

    @property
    def total(self) -> int:
        return self.addresses + self.blocks


def count_public(addresses: Addresses) -> PublicCount:
    """How much of the internet `addresses` covers, embedded IPv4 included, each address once."""
    public = reach(addresses) & PUBLIC
    return PublicCount(public.v4.size, public.v6.blocks(BLOCK_V6_BITS))
