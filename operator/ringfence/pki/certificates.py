"""The parts of which each certificate is made, and what can be wrong with one. The time comes in."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.utils import CryptographyDeprecationWarning

RENEW_AFTER: Final = 2 / 3
"""Part of the lifetime after which a new certificate is made: a third is left for whatever prevents it."""
BACKDATED: Final = timedelta(hours=1)
"""For clocks that run behind."""
UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    CryptographyDeprecationWarning,
)
"""All that `cryptography` raises for a certificate or a key that is damaged, while it is `strict`."""


class Reason(StrEnum):
    """Why a new certificate is needed."""

    MISSING = "Missing"
    UNREADABLE = "Unreadable"
    KEY_MISMATCH = "KeyMismatch"
    UNTRUSTED = "Untrusted"
    WRONG_NAMES = "WrongNames"
    NOT_YET_VALID = "NotYetValid"
    EXPIRED = "Expired"
    DUE = "DueForRenewal"


@contextmanager
def strict() -> Iterator[None]:
    """What a later `cryptography` will refuse, such as a serial number of 0, is damage today."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", CryptographyDeprecationWarning)
        yield


def builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, until: datetime
) -> x509.CertificateBuilder:
    """Of a certificate for `key`, valid from a moment before `now`."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(until)
    )


def usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """Of an authority, which signs certificates, or of a server, which signs nothing but its handshakes."""
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def as_pem(certificate: x509.Certificate) -> bytes:
    """As it is stored."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_as_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The same of a private key, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def signed_by(certificate: x509.Certificate, authority: bytes) -> bool:
    """Whether the authority (PEM) signed it. Never raises."""
    try:
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
    except (*UNREADABLE, InvalidSignature):
        return False
    return True
