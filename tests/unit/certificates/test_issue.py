"""Certificates: what is made, and what is found wrong."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.controller.certificates.issue import (
    AUTHORITIES,
    CERTIFICATE,
    KEY,
    LIFETIME,
    MAX_AUTHORITIES,
    Material,
    Names,
    bundle,
    examine,
    issue,
    valid_authorities,
)
from ringfence.pki.certificates import Reason

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
NAMES = Names.of_service("ringfence-admission", "ringfence-system")
MADE = issue(NAMES, NOW)
OTHER = issue(NAMES, NOW)


def stored(made: Material = MADE, **changes: bytes) -> dict[str, bytes]:
    data = {CERTIFICATE: made.certificate, KEY: made.key, AUTHORITIES: made.authority}
    return data | {name.replace("_", "."): value for name, value in changes.items()}


def test_a_fresh_certificate_serves() -> None:
    found = examine(stored(), NAMES, NOW)
    assert found.reason is None
    assert found.not_after == NOW + LIFETIME
    assert found.renew_at is not None
    assert timedelta(days=59) < found.renew_at - NOW < timedelta(days=61)


def test_it_is_an_ecdsa_server_certificate_for_the_service() -> None:
    certificate = x509.load_pem_x509_certificate(MADE.certificate)
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "ringfence-admission.ringfence-system.svc" in names.get_values_for_type(x509.DNSName)
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [one.dotted_string for one in usage] == ["1.3.6.1.5.5.7.3.1"]
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False


def test_the_authority_can_sign_no_further_authority() -> None:
    authority = x509.load_pem_x509_certificate(MADE.authority)
    assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0


def test_the_key_is_not_shown() -> None:
    assert "PRIVATE" not in repr(MADE)
    assert MADE.key.decode().splitlines()[1] not in repr(MADE)


def test_openssl_trusts_it_by_name(tmp_path: Path) -> None:
    made = issue(Names(("here.svc",), (ip_address("127.0.0.1"),)), datetime.now(UTC))
    (tmp_path / "crt").write_bytes(made.certificate)
    (tmp_path / "key").write_bytes(made.key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    for authority, name, trusted in [
        (made.authority, "here.svc", True),
        (made.authority, "127.0.0.1", True),
        (made.authority, "there.svc", False),
        (OTHER.authority, "here.svc", False),
        (bundle([OTHER.authority], [made.authority]), "here.svc", True),
    ]:
        assert handshake(server, authority.decode(), name) is trusted


def handshake(server: ssl.SSLContext, authority: str, name: str) -> bool:
    # The strict checks of OpenSSL (key identifiers, usages) are those of Go and more.
    client = ssl.create_default_context(cadata=authority)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    a, b = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(a, b, server_hostname=name), server.wrap_bio(b, a, server_side=True)]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError:
                return False
    return True


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({}, Reason.MISSING),
        (stored(tls_crt=b""), Reason.MISSING),
        (stored(tls_key=b""), Reason.MISSING),
        (stored(tls_crt=b"garbage"), Reason.UNREADABLE),
        (stored(tls_key=b"garbage"), Reason.UNREADABLE),
        (stored(tls_crt=MADE.key), Reason.UNREADABLE),
        (stored(tls_crt=MADE.certificate[:300]), Reason.UNREADABLE),
        (stored(tls_crt=MADE.authority), Reason.UNREADABLE),
        (stored(tls_key=OTHER.key), Reason.KEY_MISMATCH),
        (stored(ca_crt=b""), Reason.UNTRUSTED),
        (stored(ca_crt=b"garbage"), Reason.UNTRUSTED),
        (stored(ca_crt=OTHER.authority), Reason.UNTRUSTED),
        (stored(ca_crt=bundle([OTHER.authority], [MADE.authority])), None),
    ],
)
def test_what_is_wrong_is_named(data: dict[str, bytes], reason: Reason | None) -> None:
    assert examine(data, NAMES, NOW).reason is reason


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (timedelta(hours=-2), Reason.NOT_YET_VALID),
        (timedelta(minutes=-30), None),
        (timedelta(0), None),
        (timedelta(days=59), None),
        (timedelta(days=61), Reason.DUE),
        (LIFETIME - timedelta(seconds=1), Reason.DUE),
        (LIFETIME, Reason.EXPIRED),
        (timedelta(days=4000), Reason.EXPIRED),
    ],
)
def test_time_passes(after: timedelta, reason: Reason | None) -> None:
    assert examine(stored(), NAMES, NOW + after).reason is reason


@pytest.mark.parametrize(
    "names", [Names.of_service("other", "ringfence-system"), Names(NAMES.dns, (ip_address("192.0.2.1"),))]
)
def test_other_names_need_another_certificate(names: Names) -> None:
    assert examine(stored(), names, NOW).reason is Reason.WRONG_NAMES


def test_fewer_names_do_not() -> None:
    assert examine(stored(), Names(NAMES.dns[:1]), NOW).reason is None


def test_expired_and_foreign_authorities_are_dropped() -> None:
    old = issue(NAMES, NOW - LIFETIME - timedelta(days=1))
    text = bundle([old.authority], [MADE.authority, MADE.certificate, MADE.authority])
    assert valid_authorities(text, NOW) == (MADE.authority,)


def test_a_bundle_holds_a_few_each_once_newest_first() -> None:
    made = [issue(NAMES, NOW).authority for _ in range(6)]
    text = bundle([made[0]], made, made)
    assert text == b"".join(made[:MAX_AUTHORITIES])


@given(st.binary(max_size=100), st.binary(max_size=100), st.binary(max_size=100))
@settings(max_examples=60)
def test_garbage_raises_nothing(certificate: bytes, key: bytes, authorities: bytes) -> None:
    assert examine({CERTIFICATE: certificate, KEY: key, AUTHORITIES: authorities}, NAMES, NOW).reason is not None


@given(st.data())
@settings(max_examples=60)
def test_damage_raises_nothing(data: st.DataObject) -> None:
    field = data.draw(st.sampled_from([CERTIFICATE, KEY, AUTHORITIES]))
    damaged = bytearray(stored()[field])
    damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    examine(stored() | {field: bytes(damaged)}, NAMES, NOW)


@pytest.mark.parametrize("digit", [*b"AQgw049+/"])
def test_a_serial_number_that_is_not_positive_raises_nothing(digit: int) -> None:
    """The library warns of it, and will refuse it later."""
    damaged = bytearray(stored()[CERTIFICATE])
    damaged[47] = digit  # in the PEM text: the serial number's first byte
    examine(stored() | {CERTIFICATE: bytes(damaged)}, NAMES, NOW)


def test_an_encrypted_key_is_unreadable() -> None:

    key = serialization.load_pem_private_key(MADE.key, None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"x"),
    )
    assert examine(stored(tls_key=locked), NAMES, NOW).reason is Reason.UNREADABLE
