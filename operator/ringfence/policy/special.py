"""Addresses with a meaning of their own, each with its source, and what they mean for an agent."""

from dataclasses import dataclass

from .addresses import EVERYTHING, V4_BITS, V4_MAX, Addresses, Range, Ranges

METADATA = Addresses.of(
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fd20:ce::254",
)
"""Where clouds give credentials to any program on a machine.

169.254.169.254 and fd00:ec2::254: instance metadata (AWS EC2 User Guide; the IPv4 one on nearly every cloud);
169.254.170.2: ECS task credentials; 169.254.170.23 and fd00:ec2::23: EKS Pod Identity (AWS EKS User Guide);
fd20:ce::254: Google Compute Engine over IPv6; 100.100.100.200: Alibaba Cloud ECS; 168.63.129.16: Azure's
WireServer (a public address); 192.0.0.192: Oracle Cloud's former one.
"""

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

PRIVATE = Addresses.of("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
"""RFC 1918, RFC 6598 (shared by carriers, used inside clouds) and RFC 4193."""

NOT_GLOBAL = Addresses.of(
    "192.0.0.0/24",  # RFC 6890: IETF protocol assignments
    "192.0.2.0/24",  # RFC 5737: documentation
    "198.51.100.0/24",
    "203.0.113.0/24",
    "198.18.0.0/15",  # RFC 2544: benchmarks
    "240.0.0.0/4",  # RFC 1112 section 4: reserved
    "100::/64",  # RFC 6666: discarded
    "100:0:0:1::/64",  # RFC 9780: dummy prefix
    "2001:2::/48",  # RFC 5180: benchmarks
    "2001:db8::/32",  # RFC 3849: documentation
    "3fff::/20",  # RFC 9637: documentation
    "5f00::/16",  # RFC 9602: segment routing
)
"""What IANA's special-purpose address registries (RFC 6890) call not globally reachable, besides the ones
above.
"""


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


def _public() -> Addresses:
    left = EVERYTHING - PRIVATE - NOT_GLOBAL - LINK_LOCAL - LOOPBACK - UNSPECIFIED - MULTICAST - BROADCAST
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

PROTECTED = (
    Protected("the metadata service of nearly every cloud, which gives out credentials", _FIRST_METADATA),
    Protected("metadata services of clouds, which give out credentials", METADATA - _FIRST_METADATA),
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
