"""Whom an agent trusts, host by host: for each declared name an authority that can sign for that one alone.

One authority for all names would be another one with every name that comes or goes, and pods that still trust the one
before would be cut off from the hosts that stayed. What is kept here is what `certificates` makes; keys are random, all
else comes in.
"""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec

from ringfence.pki.certificates import Reason

from .certificates import LEAF_LIFETIME, Pair, authority, examine_authority, examine_leaf, leaf
from .naming import certificate_file, key_file

_AUTHORITIES: Final = "authorities"
_LEAF: Final = "leaf"


@dataclass(frozen=True)
class Site:
    """Of one host: its authorities, the oldest first, and the leaf that one of them signed."""

    authorities: tuple[Pair, ...] = ()
    leaf: Pair = field(default_factory=lambda: Pair(b"", b""))


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
        """The same for exactly `names`, with new ones where one is missing, damaged, or soon at its end.

        `agent`: for people who read a certificate.
        """
        sites = {name: _renewed(self.sites.get(name, Site()), name, agent, now) for name in sorted(set(names))}
        moments = [moment for name, site in sites.items() for moment in _moments(site, name, now)]
        return Authorities(sites, min(moments, default=None))

    def bundle(self) -> bytes:
        """PEM: all authorities, each once."""
        return b"".join(one.certificate for site in self.sites.values() for one in site.authorities)

    def leaves(self) -> dict[str, bytes]:
        """Files for the gateway: certificates with their keys."""
        pairs = [(name, site.leaf) for name, site in self.sites.items()]
        return {certificate_file(name): pair.certificate for name, pair in pairs} | {
            key_file(name): pair.key for name, pair in pairs
        }

    def text(self) -> bytes:
        """For `read`. Holds private keys."""
        found = {
            name: {_AUTHORITIES: list(map(_packed, site.authorities)), _LEAF: _packed(site.leaf)}
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
    return Site(tuple(map(_unpacked, found[_AUTHORITIES])), _unpacked(found[_LEAF]))
