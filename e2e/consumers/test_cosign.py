"""Signatures and attestations, by cosign: with a key, no transparency log, and no network but the registry."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tools.release.attest import FILES, PROVENANCE, SBOM, Signer, new_key

from cluster import programs
from cluster.errors import CommandFailed
from cluster.shell import run
from consumers.conftest import Made
from harness.gateway.room import Room
from suites.chart.registry import HOST, push, serving


@pytest.fixture(scope="module")
def pushed(made: Made, place: Room) -> Iterator[dict[str, str]]:
    """All that is signed: name -> where it is in the registry, by digest."""
    with serving(place.name, place.folder):
        push(place.name, made.folder, f"{HOST}/platform")
        layout = made.layout
        top = layout.names[f"ringfence:{made.version}"]
        found = {"ringfence": top["digest"]}
        for one in layout.read(top["digest"])["manifests"]:
            found[f"ringfence-{one['platform']['architecture']}"] = one["digest"]
        where = {name: f"{HOST}/platform/ringfence@{digest}" for name, digest in found.items()}
        for name in ("ringfence", "ringfence-crds"):
            chart = f"charts/{name}"
            where[f"chart-{name}"] = f"{HOST}/platform/{chart}@{layout.names[f'{chart}:{made.version}']['digest']}"
        yield where


def _cosign(place: Room, made: Made, verb: str, *words: str | Path, key: Path | None = None) -> str:
    trust = ("--key", key or made.key, "--insecure-ignore-tlog=true")
    return run(place.inside([programs.cosign(), verb, *trust, *words]), env={"HOME": str(place.folder)})


@pytest.mark.parametrize(
    "name", ["ringfence", "ringfence-amd64", "ringfence-arm64", "chart-ringfence", "chart-ringfence-crds"]
)
def test_signature_and_provenance(name: str, pushed: dict[str, str], made: Made, place: Room, tmp_path: Path) -> None:
    where = pushed[name]
    assert where.partition("@")[2] in _cosign(place, made, "verify", where)
    assert _cosign(place, made, "verify-attestation", "--type", PROVENANCE, where)
    other = _other_key(tmp_path)
    for words in (("verify",), ("verify-attestation", "--type", PROVENANCE)):
        with pytest.raises(CommandFailed):
            _cosign(place, made, *words, where, key=other)


@pytest.mark.parametrize("name", ["ringfence-amd64", "ringfence-arm64"])
def test_contents(name: str, pushed: dict[str, str], made: Made, place: Room) -> None:
    assert _cosign(place, made, "verify-attestation", "--type", SBOM, pushed[name])


def test_checksums(made: Made, place: Room, tmp_path: Path) -> None:
    words = ("--type", FILES, "--bundle", made.folder / "SHA256SUMS.sigstore.json")
    sums = made.folder / "SHA256SUMS"
    _cosign(place, made, "verify-blob-attestation", *words, sums)
    (tmp_path / "changed").write_bytes(sums.read_bytes() + b" ")
    with pytest.raises(CommandFailed):
        _cosign(place, made, "verify-blob-attestation", *words, tmp_path / "changed")


def _other_key(folder: Path) -> Path:
    new_key(folder / "other.pem")
    (folder / "other.pub").write_text(Signer.found(folder / "other.pem").public)
    return folder / "other.pub"
