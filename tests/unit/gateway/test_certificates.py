"""The agent's own authority and the gateway's leaf: what is made, and what is found wrong."""

import ipaddress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ringfence.gateway import certificates
from ringfence.gateway.certificates import Examined, Pair
from ringfence.gateway.model import Gateway, Host, Mode
from ringfence.pki.certificates import BACKDATED, Reason

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
NAMES = ("api.llm.test", "*.tools.test")


def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


SIGNER = certificates.authority(key(), "research/researcher", NAMES, NOW)
LEAF = certificates.leaf(SIGNER, key(), NAMES, NOW)


def load(pair: Pair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.certificate)


def extension(pair: Pair, kind: type[x509.ExtensionType]) -> x509.Extension[x509.ExtensionType]:
    return load(pair).extensions.get_extension_for_class(kind)


def test_the_authority_can_sign_for_the_names_alone() -> None:
    found = extension(SIGNER, x509.NameConstraints)
    assert found.critical
    assert isinstance(found.value, x509.NameConstraints)
    assert found.value.permitted_subtrees == [x509.DNSName("api.llm.test"), x509.DNSName("tools.test")]
    networks = [ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")]
    assert found.value.excluded_subtrees == [x509.IPAddress(network) for network in networks]
    basic = extension(SIGNER, x509.BasicConstraints)
    assert basic.critical
    assert basic.value == x509.BasicConstraints(ca=True, path_length=0)


def test_the_leaf_has_no_subject_and_exactly_the_names() -> None:
    certificate = load(LEAF)
    assert certificate.subject == x509.Name([])
    found = extension(LEAF, x509.SubjectAlternativeName)
    assert found.critical
    assert list(found.value) == [x509.DNSName("*.tools.test"), x509.DNSName("api.llm.test")]  # type: ignore[call-overload]
    assert extension(LEAF, x509.BasicConstraints).value == x509.BasicConstraints(ca=False, path_length=None)
    certificate.verify_directly_issued_by(load(SIGNER))


def test_the_leaf_ends_no_later_than_its_authority() -> None:
    late = NOW + certificates.AUTHORITY_LIFETIME - timedelta(days=10)
    assert load(certificates.leaf(SIGNER, key(), NAMES, late)).not_valid_after_utc == load(SIGNER).not_valid_after_utc


def test_a_key_is_not_shown() -> None:
    assert b"PRIVATE" in LEAF.key
    assert "PRIVATE" not in repr(LEAF)


def test_a_long_name_of_an_agent_fits() -> None:
    assert load(certificates.authority(key(), "n" * 63 + "/" + "a" * 63, NAMES, NOW))


def test_a_signer_with_another_kind_of_key() -> None:
    other = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(TypeError):
        certificates.leaf(Pair(SIGNER.certificate, other), key(), NAMES, NOW)


def test_the_names_are_those_of_terminate() -> None:
    hosts = (Host("b.test"), Host("a.test", (443, 8443)), Host("t.test", mode=Mode.TUNNEL))
    assert certificates.names(Gateway(hosts, ())) == ("a.test", "b.test")


DUE_LEAF = NOW - BACKDATED + (certificates.LEAF_LIFETIME + BACKDATED) * 2 / 3
OTHER = certificates.authority(key(), "research/researcher", NAMES, NOW)


@pytest.mark.parametrize(
    ("held", "signer", "names", "now", "reason"),
    [
        (LEAF, SIGNER, NAMES, NOW, None),
        (LEAF, SIGNER, reversed(NAMES), NOW, None),
        (Pair(b"", b""), SIGNER, NAMES, NOW, Reason.MISSING),
        (Pair(LEAF.certificate, b""), SIGNER, NAMES, NOW, Reason.MISSING),
        (Pair(b"x", b"y"), SIGNER, NAMES, NOW, Reason.UNREADABLE),
        (Pair(LEAF.certificate, b"y"), SIGNER, NAMES, NOW, Reason.UNREADABLE),
        (Pair(LEAF.certificate, SIGNER.key), SIGNER, NAMES, NOW, Reason.KEY_MISMATCH),
        (LEAF, OTHER, NAMES, NOW, Reason.UNTRUSTED),
        (LEAF, Pair(b"", b""), NAMES, NOW, Reason.UNTRUSTED),
        (LEAF, SIGNER, NAMES[:1], NOW, Reason.WRONG_NAMES),
        (LEAF, SIGNER, (*NAMES, "new.test"), NOW, Reason.WRONG_NAMES),
        (SIGNER, SIGNER, NAMES, NOW, Reason.UNREADABLE),  # it has no names of its own
        (LEAF, SIGNER, NAMES, NOW - timedelta(hours=2), Reason.NOT_YET_VALID),
        (LEAF, SIGNER, NAMES, NOW + timedelta(days=90), Reason.EXPIRED),
        (LEAF, SIGNER, NAMES, DUE_LEAF, Reason.DUE),
        (LEAF, SIGNER, NAMES, DUE_LEAF - timedelta(seconds=2), None),
    ],
)
def test_a_leaf_is_examined(
    held: Pair, signer: Pair, names: tuple[str, ...], now: datetime, reason: Reason | None
) -> None:
    assert certificates.examine_leaf(held, signer.certificate, names, now).reason == reason


@pytest.mark.parametrize(
    ("held", "names", "now", "reason"),
    [
        (SIGNER, NAMES, NOW, None),
        (SIGNER, ("tools.test", "api.llm.test"), NOW, None),  # what is below a wildcard is what is below its parent
        (Pair(b"", b""), NAMES, NOW, Reason.MISSING),
        (Pair(b"x", b"y"), NAMES, NOW, Reason.UNREADABLE),
        (Pair(SIGNER.certificate, OTHER.key), NAMES, NOW, Reason.KEY_MISMATCH),
        (SIGNER, (*NAMES, "new.test"), NOW, Reason.WRONG_NAMES),
        (SIGNER, NAMES[:1], NOW, Reason.WRONG_NAMES),
        (LEAF, NAMES, NOW, Reason.UNREADABLE),
        (SIGNER, NAMES, NOW + certificates.AUTHORITY_LIFETIME, Reason.EXPIRED),
        (SIGNER, NAMES, NOW + timedelta(days=600), Reason.DUE),
    ],
)
def test_an_authority_is_examined(held: Pair, names: tuple[str, ...], now: datetime, reason: Reason | None) -> None:
    assert certificates.examine_authority(held, names, now).reason == reason


def test_the_time_of_renewal_is_told() -> None:
    found = certificates.examine_leaf(LEAF, SIGNER.certificate, NAMES, NOW)
    assert found == Examined(None, NOW + timedelta(days=90), DUE_LEAF)
