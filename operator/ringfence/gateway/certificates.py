"""An authority for one agent alone, and the leaf with which its gateway answers for the declared names.

Pure but for the random serial numbers: keys and time come in. What the authority may sign is written into it, so an
agent that trusts it trusts nobody for any other name, nor for an address. That a permitted name permits the names below
it, too, is how name constraints work (RFC 5280 section 4.2.1.10).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ringfence.pki.certificates import (
    RENEW_AFTER,
    UNREADABLE,
    Reason,
    as_pem,
    builder,
    key_as_pem,
    signed_by,
    strict,
    usage,
)

from .model import WILDCARD, Gateway, Mode

PrivateKey = ec.EllipticCurvePrivateKey

AUTHORITY_LIFETIME: Final = timedelta(days=730)
LEAF_LIFETIME: Final = timedelta(days=90)
NO_ADDRESS: Final = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))
"""What no leaf is for. Without this, clients take a leaf for an address: constraints on names do not speak of those."""


@dataclass(frozen=True)
class Pair:
    """PEM: a certificate and its key."""

    certificate: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True)
class Examined:
    """`reason`: why a new one is needed, or None. `renew_at`: None where nothing could be read."""

    reason: Reason | None
    not_after: datetime | None = None
    renew_at: datetime | None = None


def names(gateway: Gateway) -> tuple[str, ...]:
    """The names that the leaf is for: those where TLS ends at the gateway."""
    return tuple(sorted({host.name for host in gateway.hosts if host.mode is Mode.TERMINATE}))


def authority(key: PrivateKey, agent: str, names: Iterable[str], now: datetime) -> Pair:
    """A certificate authority that can sign for `names`, and what is below them, alone. `agent`: for people to read."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Ringfence egress of {agent}"[:64])])
    certificate = (
        builder(subject, subject, key.public_key(), now, now + AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage(signs_certificates=True), critical=True)
        .add_extension(_constraints(names), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pair(certificate, key)


def leaf(signer: Pair, key: PrivateKey, names: Iterable[str], now: datetime) -> Pair:
    """A certificate of `signer` for exactly `names`. It ends before its signer does.

    Its subject is empty, so the names are a critical extension (RFC 5280 section 4.2.1.6). Raises one of UNREADABLE
    for a damaged signer.
    """
    issuer = x509.load_pem_x509_certificate(signer.certificate)
    issuer_key = serialization.load_pem_private_key(signer.key, password=None)
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        raise TypeError("the authority's key is not of an elliptic curve")
    own_id = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    until = min(now + LEAF_LIFETIME, issuer.not_valid_after_utc)
    certificate = (
        builder(x509.Name([]), issuer.subject, key.public_key(), now, until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(map(x509.DNSName, sorted(set(names)))), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own_id), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    return _pair(certificate, key)


def examine_authority(held: Pair, names: Iterable[str], now: datetime) -> Examined:
    """Whether `held` may go on signing for `names`. Never raises."""
    wanted = list(names)

    def fault(certificate: x509.Certificate) -> Reason | None:
        constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints)
        if constraints.value != _constraints(wanted) or not constraints.critical:
            return Reason.WRONG_NAMES
        return None if signed_by(certificate, held.certificate) else Reason.UNTRUSTED

    return _examine(held, now, fault)


def examine_leaf(held: Pair, signer: bytes, names: Iterable[str], now: datetime) -> Examined:
    """Whether the leaf `held` serves for exactly `names`, for who trusts the authority `signer` (PEM). Never raises."""
    wanted = set(names)

    def fault(certificate: x509.Certificate) -> Reason | None:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if list(alternative) != [x509.DNSName(name) for name in sorted(wanted)]:
            return Reason.WRONG_NAMES
        return None if signed_by(certificate, signer) else Reason.UNTRUSTED

    return _examine(held, now, fault)


def _examine(held: Pair, now: datetime, fault: Callable[[x509.Certificate], Reason | None]) -> Examined:
    if not held.certificate or not held.key:
        return Examined(Reason.MISSING)
    try:
        with strict():
            certificate = x509.load_pem_x509_certificate(held.certificate)
            key = serialization.load_pem_private_key(held.key, password=None)
            matches = certificate.public_key() == key.public_key()
            own = fault(certificate)
    except UNREADABLE:
        return Examined(Reason.UNREADABLE)
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    renew_at = begin + (end - begin) * RENEW_AFTER
    faults = (
        (Reason.KEY_MISMATCH, not matches),
        (Reason.EXPIRED, end <= now),
        (Reason.NOT_YET_VALID, begin > now),
        (own, own is not None),
        (Reason.DUE, renew_at <= now),
    )
    return Examined(next((reason for reason, broken in faults if broken), None), end, renew_at)


def _constraints(names: Iterable[str]) -> x509.NameConstraints:
    permitted = sorted({name.removeprefix(WILDCARD) for name in names})
    return x509.NameConstraints(
        permitted_subtrees=[x509.DNSName(name) for name in permitted],
        excluded_subtrees=[x509.IPAddress(network) for network in NO_ADDRESS],
    )


def _pair(certificate: x509.Certificate, key: PrivateKey) -> Pair:
    return Pair(as_pem(certificate), key_as_pem(key))
