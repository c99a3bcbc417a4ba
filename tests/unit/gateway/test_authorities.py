"""Whom an agent trusts: for each host an authority of its own, known long before it signs."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ringfence.gateway.authorities import MOST_REMEMBERED, REMEMBERED, Authorities
from ringfence.gateway.certificates import AUTHORITY_LIFETIME, LEAF_LIFETIME, examine_leaf

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
AGENT = "team/a"
DAMAGED = b'{"b.example": {"authorities": [], "leaf": ["", ""], "left": "yesterday"}}'


def made(*names: str, before: Authorities | None = None, at: datetime = NOW) -> Authorities:
    return (before or Authorities()).renewed(names, AGENT, at)


def trusts(bundle: bytes, found: Authorities, name: str, at: datetime = NOW) -> bool:
    """Whether who read `bundle` when it began takes the certificate that is served now."""
    read = [one.public_bytes(Encoding.PEM) for one in x509.load_pem_x509_certificates(bundle)]
    return any(examine_leaf(found.sites[name].leaf, one, [name], at).reason in {None, "DueForRenewal"} for one in read)


def test_a_host_that_comes_or_goes_changes_nothing_for_the_others() -> None:
    first = made("a.example", "b.example")
    more = made("a.example", "b.example", "c.example", before=first)
    assert {name: more.sites[name] for name in first.sites} == first.sites
    assert trusts(first.bundle(), more, "a.example")
    assert not trusts(first.bundle(), more, "c.example")
    fewer = made("b.example", before=more)
    assert fewer.sites["b.example"] == first.sites["b.example"]
    assert set(fewer.leaves()) == {"b.example.crt", "b.example.key"}


def test_a_host_that_goes_and_comes_back_is_signed_for_by_who_is_trusted_already() -> None:
    """Pods may have read the file before, between or after: none of the three is cut off."""
    first = made("a.example", "*.b.example")
    without = made("a.example", before=Authorities.read(first.text()), at=NOW + timedelta(minutes=5))
    back = made("a.example", "*.b.example", before=Authorities.read(without.text()), at=NOW + timedelta(minutes=9))
    for read in (first, without, back):
        assert trusts(read.bundle(), back, "*.b.example", NOW + timedelta(minutes=9))
    assert back.sites["*.b.example"].left is None
    assert without.leaves().keys() == made("a.example").leaves().keys(), "nothing is served for it meanwhile"


def test_a_name_that_is_not_declared_is_remembered_for_a_day() -> None:
    first = made("a.example", "b.example")
    without = made("a.example", before=first)
    assert without.renew_at == NOW + REMEMBERED, "then the file is written without it"
    kept = made("a.example", before=without, at=NOW + REMEMBERED - timedelta(seconds=1))
    assert kept.sites == without.sites, "another look is no other day"
    assert set(made("a.example", before=kept, at=NOW + REMEMBERED).sites) == {"a.example"}


def test_of_many_names_the_latest_are_remembered() -> None:
    found = made(*(f"h{number}.example" for number in range(MOST_REMEMBERED)))
    found = made("late.example", before=found, at=NOW + timedelta(minutes=1))
    found = made("a.example", before=found, at=NOW + timedelta(minutes=2))
    assert len(found.sites) == 1 + MOST_REMEMBERED
    assert "late.example" in found.sites


def test_an_authority_signs_for_its_own_host_alone() -> None:
    found = made("a.example", "b.example")
    for name, site in found.sites.items():
        (constraints,) = (
            x509.load_pem_x509_certificate(one.certificate).extensions.get_extension_for_class(x509.NameConstraints)
            for one in site.authorities
        )
        assert constraints.critical
        assert list(constraints.value.permitted_subtrees or ()) == [x509.DNSName(name)]


def test_what_is_written_is_read_again() -> None:
    found = made("a.example", "*.b.example")
    again = Authorities.read(found.text())
    assert again.sites == found.sites
    assert made("a.example", "*.b.example", before=again).sites == found.sites
    assert set(found.leaves()) == {"a.example.crt", "a.example.key", "_any.b.example.crt", "_any.b.example.key"}


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"1", b'{"a.example": 1}', b'{"a.example": {"leaf": []}}', b"\xff", DAMAGED]
)
def test_what_cannot_be_read_is_made_anew(text: bytes) -> None:
    found = made("a.example", before=Authorities.read(text))
    assert trusts(found.bundle(), found, "a.example")


def test_a_damaged_pair_is_made_anew() -> None:
    good = made("a.example")
    damaged = Authorities.read(good.text().replace(b'"leaf": ["', b'"leaf": ["AAAA'))
    found = made("a.example", before=damaged)
    assert found.sites["a.example"].authorities == good.sites["a.example"].authorities
    assert trusts(good.bundle(), found, "a.example")


def test_a_leaf_is_renewed_and_the_same_authority_signs() -> None:
    first = made("a.example")
    assert first.renew_at is not None
    assert first.renew_at < NOW + LEAF_LIFETIME
    later = first.renew_at + timedelta(hours=1)
    found = made("a.example", before=first, at=later)
    assert found.sites["a.example"].leaf != first.sites["a.example"].leaf
    assert trusts(first.bundle(), found, "a.example", later)


def test_over_years_an_agent_that_read_its_file_half_a_year_ago_is_never_cut_off() -> None:
    found, at = made("a.example"), NOW
    read = {NOW: found.bundle()}
    while at < NOW + 3 * AUTHORITY_LIFETIME:
        assert found.renew_at is not None
        assert found.renew_at > at, "no time is skipped, and none is spent twice"
        at = found.renew_at + timedelta(hours=1)
        found = made("a.example", before=found, at=at)
        for moment, bundle in read.items():
            if at - moment < timedelta(days=120):
                assert trusts(bundle, found, "a.example", at), (moment, at)
        read[at] = found.bundle()
        assert len(found.sites["a.example"].authorities) <= 2, "an authority at its end is forgotten"


def test_private_keys_are_in_no_repr() -> None:
    assert "PRIVATE" not in repr(made("a.example"))
    assert "PRIVATE" not in repr(made("a.example").sites["a.example"])
