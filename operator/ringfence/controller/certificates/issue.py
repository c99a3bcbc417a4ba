"""Certificates made and examined. Pure: the time comes in.

Each renewal makes a new CA, which signs one server certificate and whose key is then forgotten: there is no CA key
to steal, and only one way of renewing, used every time. Clients trust the old CA and the new one for a while.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
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

LIFETIME: Final = timedelta(days=90)
MAX_AUTHORITIES: Final = 4
"""CAs that clients trust at a time."""
AUTHORITY_NAME: Final = "Ringfence admission CA"

CERTIFICATE: Final = "tls.crt"
KEY: Final = "tls.key"
AUTHORITIES: Final = "ca.crt"


@dataclass(frozen=True)
class Names:
    """What the certificate is for."""

    dns: tuple[str, ...]
    addresses: tuple[IPv4Address | IPv6Address, ...] = ()

    @classmethod
    def of_service(cls, name: str, namespace: str) -> "Names":
        """The names by which the API server calls a Service."""
        return cls((f"{name}.{namespace}.svc", f"{name}.{namespace}.svc.cluster.local", f"{name}.{namespace}", name))


@dataclass(frozen=True)
class Material:
    """PEM: the server's certificate, its key, and the CA that signed it."""

    certificate: bytes
    key: bytes = field(repr=False)
    authority: bytes


@dataclass(frozen=True)
class Examined:
    """What was found in the Secret. `authorities`: those still valid, newest first; `renew_at`: None with a reason."""

    reason: Reason | None
    authorities: tuple[bytes, ...]
    not_after: datetime | None = None
    renew_at: datetime | None = None


def issue(names: Names, now: datetime) -> Material:
    """A new CA and a server certificate of it, ECDSA P-256, valid from an hour ago for 90 days."""
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, AUTHORITY_NAME)])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ringfence-admission")])
    own_id = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    authority = (
        builder(issuer, issuer, authority_key.public_key(), now, now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage(signs_certificates=True), critical=True)
        .add_extension(own_id, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    alternative = [*map(x509.DNSName, names.dns), *map(x509.IPAddress, names.addresses)]
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own_id)
    certificate = (
        builder(subject, issuer, key.public_key(), now, now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternative), critical=False)
        .add_extension(issuer_id, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return Material(as_pem(certificate), key_as_pem(key), as_pem(authority))


def examine(data: Mapping[str, bytes], names: Names, now: datetime) -> Examined:
    """Whether the pair in `data` (tls.crt, tls.key, ca.crt) serves, and until when. Never raises."""
    authorities = valid_authorities(data.get(AUTHORITIES, b""), now)
    if not data.get(CERTIFICATE) or not data.get(KEY):
        return Examined(Reason.MISSING, authorities)
    try:
        with strict():
            certificate = x509.load_pem_x509_certificate(data[CERTIFICATE])
            key = serialization.load_pem_private_key(data[KEY], password=None)
            reason = _fault(certificate, key.public_key(), authorities, names, now)
    except UNREADABLE:
        return Examined(Reason.UNREADABLE, authorities)
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    renew_at = begin + (end - begin) * RENEW_AFTER
    if reason is None and now >= renew_at:
        reason = Reason.DUE
    return Examined(reason, authorities, end, renew_at)


def valid_authorities(pem: bytes, now: datetime) -> tuple[bytes, ...]:
    """Our own CAs in `pem` that have not ended, in order, each once; an unreadable text holds none."""
    ours = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, AUTHORITY_NAME)])
    try:  # parts of a certificate are read, and found damaged, when they are asked for
        with strict():
            found = x509.load_pem_x509_certificates(pem)
            kept = [one for one in found if one.subject == ours and one.not_valid_after_utc > now]
    except UNREADABLE:
        return ()
    return tuple(dict.fromkeys(as_pem(one) for one in kept))[:MAX_AUTHORITIES]


def bundle(*groups: Iterable[bytes]) -> bytes:
    """One text of all authorities, each once, in order, at most MAX_AUTHORITIES."""
    unique = dict.fromkeys(one for group in groups for one in group)
    return b"".join(list(unique)[:MAX_AUTHORITIES])


def _fault(
    certificate: x509.Certificate,
    key: object,
    authorities: Sequence[bytes],
    names: Names,
    now: datetime,
) -> Reason | None:
    alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    held_dns = set(alternative.get_values_for_type(x509.DNSName))
    held_addresses = set(alternative.get_values_for_type(x509.IPAddress))
    faults = (
        (Reason.KEY_MISMATCH, certificate.public_key() != key),
        (Reason.EXPIRED, certificate.not_valid_after_utc <= now),
        (Reason.NOT_YET_VALID, certificate.not_valid_before_utc > now),
        (Reason.UNTRUSTED, not any(signed_by(certificate, one) for one in authorities)),
        (Reason.WRONG_NAMES, not (held_dns >= set(names.dns) and held_addresses >= set(names.addresses))),
    )
    return next((reason for reason, broken in faults if broken), None)
