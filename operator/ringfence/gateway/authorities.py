"""Whom an agent trusts, host by host: for each declared name an authority that can sign for that one alone.

One authority for all names would be another one with every name that comes or goes, and pods that still trust the one
before would be cut off from the hosts that stayed. For the same reason a name that goes and comes back has the
authority that it had: who began before, or reads a file that the kubelet has not written anew, trusts that one.

What is kept here is what `certificates` makes; keys are random, all else comes in.
"""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec

from ringfence.pki.certificates import Reason

from .certificates import LEAF_LIFETIME, Pair, authority, examine_authority, examine_leaf, leaf
from .naming import certificate_file, key_file

REMEMBERED: Final = timedelta(days=1)
"""How long a name that is not declared any more keeps its authority."""
MOST_REMEMBERED: Final = 16
"""Of such names: the latest. All of it has to fit into a Secret."""
_AUTHORITIES: Final = "authorities"
_LEAF: Final = "leaf"
_LEFT: Final = "left"


@dataclass(frozen=True)
class Site:
    """Of one host: its authorities, the oldest first, and the leaf that one of them signed.

    `left`: since when it is not declared any more; None: it is. Then it has no leaf.
    """

    authorities: tuple[Pair, ...] = ()
    leaf: Pair = field(default_factory=lambda: Pair(b"", b""))
    left: datetime | None = None


@dataclass(frozen=True)
class Authorities:
    """All hosts of an agent, by name. `renew_at`: when to look again."""

    sites: Mapping[str, Site] = field(default_factory=dict, repr=False)
    renew_at: datetime | None = None

    @classmethod
    def read(cls, text: bytes) -> "Authorities":
        """What `text` says; what cannot be read of it is made anew."""
        try:
            found: Any = json.loads(text) if text else {}
            return cls({str(name): _site(one) for name, one in found.items()})
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls()

    def renewed(self, names: Iterable[str], agent: str, now: datetime) -> "Authorities":
        """The same for `names`, with new ones where one is missing, damaged, or soon at its end.

        Of other names the authorities alone are kept for a while. `agent`: for people who read a certificate.
        """
        sites = {name: _renewed(self.sites.get(name, Site()), name, agent, now) for name in sorted(set(names))}
        left = _left({name: site for name, site in self.sites.items() if name not in sites}, now)
        moments = [moment for name, site in sites.items() for moment in _moments(site, name, now)]
        moments += [site.left + REMEMBERED for site in left.values() if site.left is not None]
        return Authorities(sites | left, min(moments, default=None))

    def bundle(self) -> bytes:
        """PEM: all authorities, each once, of names that are remembered, too: such a one signs for nobody else."""
        return b"".join(one.certificate for site in self.sites.values() for one in site.authorities)

    def leaves(self) -> dict[str, bytes]:
        """Files for the gateway: certificates with their keys."""
        pairs = [(name, site.leaf) for name, site in self.sites.items() if site.left is None]
        return {certificate_file(name): pair.certificate for name, pair in pairs} | {
            key_file(name): pair.key for name, pair in pairs
        }

    def text(self) -> bytes:
        """For `read`. Holds private keys."""
        found = {
            name: {_AUTHORITIES: list(map(_packed, site.authorities)), _LEAF: _packed(site.leaf)}
            | ({_LEFT: site.left.isoformat()} if site.left is not None else {})
            for name, site in self.sites.items()
        }
        return json.dumps(found, sort_keys=True).encode()


def _renewed(site: Site, name: str, agent: str, now: datetime) -> Site:
    kept = [one for one in site.authorities if _lives(one, name, now)]
    if not kept or examine_authority(kept[-1], [name], now).reason is not None:
        kept.append(authority(_key(), agent, [name], now))
    # An agent learns to trust the next one long before that signs: it may have read the file when it began.
    signer = next((one for one in kept if _outlives_leaf(one, name, now)), kept[-1])
    held = site.leaf
    if not any(examine_leaf(held, one.certificate, [name], now).reason is None for one in kept):
        held = leaf(signer, _key(), [name], now)
    return Site(tuple(kept), held)


def _left(sites: Mapping[str, Site], now: datetime) -> dict[str, Site]:
    """What is remembered of names that are not declared: the latest of them."""
    found = [(site.left or now, name, site.authorities) for name, site in sites.items()]
    latest = sorted((one for one in found if one[0] + REMEMBERED > now), key=lambda one: one[:2])[-MOST_REMEMBERED:]
    return {name: Site(authorities, left=since) for since, name, authorities in sorted(latest, key=lambda one: one[1])}


def _lives(one: Pair, name: str, now: datetime) -> bool:
    """Whether it may sign for this name and is not at its end. One that is due lives until then."""
    found = examine_authority(one, [name], now)
    return found.reason in {None, Reason.DUE} and found.not_after is not None and found.not_after > now


def _outlives_leaf(one: Pair, name: str, now: datetime) -> bool:
    found = examine_authority(one, [name], now).not_after
    return found is not None and found >= now + LEAF_LIFETIME


def _moments(site: Site, name: str, now: datetime) -> Sequence[datetime]:
    found = [examine_authority(site.authorities[-1], [name], now).renew_at]
    found += [examine_leaf(site.leaf, one.certificate, [name], now).renew_at for one in site.authorities]
    return [moment for moment in found if moment is not None]


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _packed(pair: Pair) -> list[str]:
    return [base64.b64encode(part).decode() for part in (pair.certificate, pair.key)]


def _unpacked(found: Sequence[str]) -> Pair:
    certificate, key = found
    return Pair(base64.b64decode(certificate), base64.b64decode(key))


def _site(found: Mapping[str, Any]) -> Site:
    left = datetime.fromisoformat(found[_LEFT]).astimezone(UTC) if _LEFT in found else None
    return Site(tuple(map(_unpacked, found[_AUTHORITIES])), _unpacked(found[_LEAF]), left)
