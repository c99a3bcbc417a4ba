"""A release is the same bytes each time, and whatever is changed in it is found."""

import gzip
import hashlib
import io
import json
import os
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from tools.release import attest, charts, notes, plugin, python, trees
from tools.release.attest import Signer
from tools.release.build import IMAGES, KEY, SUMS, archive_name, bundle_name
from tools.release.errors import ReleaseError
from tools.release.oci import Layout
from tools.release.source import Source
from tools.release.trees import Node
from tools.release.verify import verify

from cluster.shell import run
from ringfence.policy.signatures import SIGNATURE, read_bundle
from ringfence.policy.signing_keys import verifies
from unit.release.samples import ROOT, part, release, signer


@pytest.fixture
def by(tmp_path: Path) -> Signer:
    return signer(tmp_path)


@pytest.fixture
def made(tmp_path: Path, by: Signer) -> Path:
    return release(tmp_path / "release", by)


def test_a_release_verifies(made: Path, by: Signer) -> None:
    assert len(verify(made)) == 5
    assert verify(made, by.public) == verify(made)


def test_two_are_the_same(made: Path, by: Signer, tmp_path: Path) -> None:
    other = release(tmp_path / "other", by)
    names = sorted(str(path.relative_to(made)) for path in made.rglob("*") if path.is_file())
    assert names == sorted(str(path.relative_to(other)) for path in other.rglob("*") if path.is_file())
    assert [name for name in names if (made / name).read_bytes() != (other / name).read_bytes()] == []


def test_two_processes_make_the_same(made: Path, by: Signer, tmp_path: Path) -> None:
    """Each process orders its sets in its own way, and keeps what it compressed."""
    other = tmp_path / "process" / "other"
    code = "import sys, pathlib; from unit.release.samples import release, signer;"
    code += " release(pathlib.Path(sys.argv[1]), signer(pathlib.Path(sys.argv[2])))"
    seed = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    run([sys.executable, "-c", code, str(other), str(tmp_path)], env=seed, cwd=ROOT)
    assert (other / SUMS).read_bytes() == (made / SUMS).read_bytes()
    assert attest.Signer.found(tmp_path / "key.pem").public == by.public


def _appended(path: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / path).write_bytes((folder / path).read_bytes() + b" ")

    return change


def _listed_anew(folder: Path) -> None:
    """Who changes a file can write the list of checksums anew, and not sign it."""
    _appended(IMAGES)(folder)
    text = (folder / SUMS).read_text()
    old = next(line[:64] for line in text.splitlines() if line.endswith(f"  {IMAGES}"))
    (folder / SUMS).write_text(text.replace(old, hashlib.sha256((folder / IMAGES).read_bytes()).hexdigest()))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_appended(IMAGES), "images.txt is not what SHA256SUMS says"),
        (_appended(archive_name("0.1.0")), "oci.tar is not what SHA256SUMS says"),
        (_appended("sbom-arm64.cdx.json"), "sbom-arm64.cdx.json is not what"),
        (_listed_anew, "SHA256SUMS.sigstore.json is not about"),
        (lambda folder: (folder / "ringfence-0.1.0.tgz").unlink(), "ringfence-0.1.0.tgz is missing"),
        (lambda folder: (folder / "more").write_text("x"), "more is not in SHA256SUMS"),
        (lambda folder: (folder / SUMS).unlink(), "cannot be read"),
        (lambda folder: (folder / f"{SUMS}.sigstore.json").write_text("{}"), "is no Sigstore bundle"),
    ],
)
def test_a_change_is_found(made: Path, change: Callable[[Path], None], told: str) -> None:
    change(made)
    with pytest.raises(ReleaseError, match=told):
        verify(made)


def test_another_key_is_not_the_one_that_is_trusted(made: Path, tmp_path: Path) -> None:
    (tmp_path / "else").mkdir()
    other = signer(tmp_path / "else")
    with pytest.raises(ReleaseError, match="not signed by this key"):
        verify(made, other.public)


def test_a_release_signed_anew_by_another_is_whole_and_not_trusted(tmp_path: Path, by: Signer) -> None:
    (tmp_path / "else").mkdir()
    forged = release(tmp_path / "forged", signer(tmp_path / "else"))
    assert verify(forged)
    with pytest.raises(ReleaseError, match="not signed by this key"):
        verify(forged, by.public)


def test_bundles_are_as_agents_bring_them(made: Path, by: Signer) -> None:
    text = (made / "signatures" / bundle_name("ringfence", SIGNATURE)).read_text()
    statement = read_bundle(text)
    (name,) = (made / IMAGES).read_text().split()
    assert statement.digests == {name.partition("@")[2]}
    assert statement.predicate == SIGNATURE
    assert verifies(by.public, statement.signature, statement.message)
    assert not verifies(by.public, statement.signature, statement.message + b" ")
    assert (made / KEY).read_text() == by.public


def test_a_bundle_about_something_else_is_refused(by: Signer) -> None:
    text = by.bundle({"a": "sha256:" + "1" * 64})
    with pytest.raises(ReleaseError, match="is not about sha256:222"):
        attest.check(text, by.public, SIGNATURE, ["sha256:" + "2" * 64])
    with pytest.raises(ReleaseError, match="states https://sigstore"):
        attest.check(text, by.public, attest.PROVENANCE, ["sha256:" + "1" * 64])


@pytest.mark.parametrize("pem", ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_key_that_is_none_is_told_without_repeating_it(pem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RINGFENCE_RELEASE_KEY_FILE", raising=False)
    monkeypatch.setenv("RINGFENCE_RELEASE_KEY", pem)
    with pytest.raises(ReleaseError, match="key") as refused:
        Signer.found(None)
    assert "AAAA" not in str(refused.value)


def test_a_bundle_says_by_which_key_as_cosign_does() -> None:
    folder = ROOT / "tests/unit/policy/cosign"
    wrote = json.loads((folder / "p256.json").read_text())["verificationMaterial"]["publicKey"]["hint"]
    assert attest.hint(load_pem_public_key((folder / "p256.pub").read_bytes())) == wrote


def test_a_key_is_for_its_owner_and_never_overwritten(tmp_path: Path) -> None:
    attest.new_key(tmp_path / "k")
    assert (tmp_path / "k").stat().st_mode & 0o777 == 0o600
    with pytest.raises(ReleaseError, match="is there already"):
        attest.new_key(tmp_path / "k")


def test_archives_are_sorted_and_of_nobody() -> None:
    one = trees.tar({"b/x": Node(b"1"), "a": Node(link="b")}, time=5)
    assert one == trees.tar({"a": Node(link="b"), "b/x": Node(b"1")}, time=5)
    with tarfile.open(fileobj=io.BytesIO(one)) as archive:
        members = archive.getmembers()
    assert [(m.name, m.uid, m.mtime, m.uname) for m in members] == [("a", 0, 5, ""), ("b", 0, 5, ""), ("b/x", 0, 5, "")]
    packed = trees.gzipped(b"x" * 99)
    assert packed == gzip.compress(b"x" * 99, 6, mtime=0)
    assert packed[3:8] == b"\0" * 5  # neither a name nor a time
    assert gzip.decompress(packed) == b"x" * 99


def test_a_layout_with_a_changed_blob_is_refused(made: Path, tmp_path: Path) -> None:
    layout = Layout.of(made / archive_name("0.1.0"))
    (first, *_) = layout.blobs
    layout.blobs[first] += b" "
    (tmp_path / "changed.tar").write_bytes(layout.archive())
    with pytest.raises(ReleaseError, match="another one"):
        Layout.of(tmp_path / "changed.tar")
    del layout.blobs[first]
    with pytest.raises(ReleaseError, match="missing"):
        layout.reachable()
    (tmp_path / "broken.tar").write_bytes(b"no archive")
    with pytest.raises(ReleaseError, match="no OCI layout"):
        Layout.of(tmp_path / "broken.tar")


def test_signatures_are_attached_for_registries_without_a_list_of_referrers(made: Path) -> None:
    layout = Layout.of(made / archive_name("0.1.0"))
    top = layout.names["ringfence:0.1.0"]["digest"]
    listed = layout.read(layout.names[f"ringfence:{top.replace(':', '-')}"]["digest"])["manifests"]
    assert len(listed) == 2
    for one in listed:
        assert layout.read(one["digest"])["subject"]["digest"] == top


def test_the_published_chart_names_the_image_and_keeps_its_comments() -> None:
    text = (ROOT / "charts/ringfence/values.yaml").read_text()
    values = charts.Values("registry.example/r", "sha256:" + "1" * 64, "https://r.example/runbooks")
    found = charts.pinned(text, values)
    assert yaml.safe_load(found)["image"] == {
        "repository": "registry.example/r", "digest": "sha256:" + "1" * 64, "tag": "", "pullPolicy": "",
    }  # fmt: skip
    assert found.count("#") == text.count("#")
    with pytest.raises(ReleaseError, match="no empty lines"):
        charts.pinned(text.replace('  digest: ""\n', '  digest: "x"\n'), values)


def test_notes_are_the_changelog() -> None:
    old = "## [0.1.0]\n\n### Fixed\n\n* Three.\n"
    text = f"# C\n\n## [Unreleased]\n\n### Added\n\n* One thing: `x`. More.\n* Two.\n\n{old}"
    assert notes.section(text, "0.1.0") == "### Fixed\n\n* Three.\n"
    assert notes.changes(text, "0.2.0") == [
        {"kind": "added", "description": "One thing"},
        {"kind": "added", "description": "Two"},
    ]
    with pytest.raises(ReleaseError, match="neither"):
        notes.section("# C\n", "0.1.0")
    assert notes.changes((ROOT / "CHANGELOG.md").read_text(), "0.1.0")


def test_the_plugin_has_no_links_and_krew_its_digest() -> None:
    source = Source(ROOT, "0.1.0", "0" * 40, 5)
    one = part("amd64")
    place = "usr/lib/x86_64-linux-gnu"
    one.layers[0].update(
        {
            f"{place}/ld-linux-x86-64.so.2": Node(b"loader", 0o755),
            f"{place}/libz.so.1": Node(link="libz.so.1.2"),
            f"{place}/libz.so.1.2": Node(b"z"),
            "usr/bin/python3.11": Node(b"python", 0o755),
            f"{place}/dangling": Node(link="../nothing"),
        }
    )
    packed = plugin.archive(source, one)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        found = {member.name: member for member in archive}
    assert all(member.isfile() or member.isdir() for member in found.values())
    assert {"kubectl-ringfence", "LICENSE", f"{place}/libz.so.1", "usr/bin/python3.11"} <= found.keys()
    manifest = yaml.safe_load(plugin.manifest(source, "https://d.example", {"amd64": "sha256:abc"}))
    assert manifest["metadata"]["name"] == Path(plugin.MANIFEST).stem
    (platform,) = manifest["spec"]["platforms"]
    assert platform["uri"] == "https://d.example/kubectl-ringfence-0.1.0-linux-amd64.tar.gz"
    assert platform["sha256"] == "abc"


def test_the_list_of_contents_names_every_package(made: Path) -> None:
    listed = json.loads((made / "sbom-amd64.cdx.json").read_text())
    assert listed["bomFormat"] == "CycloneDX"
    found = {one["purl"]: one.get("hashes", [{}])[0].get("content") for one in listed["components"]}
    assert found == {
        "pkg:pypi/ringfence@0.1.0": None,
        "pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12": "1" * 64,
        "pkg:pypi/click@8.5.1": "2" * 64,
    }


def test_files_of_wheels_keep_whether_they_are_programs(tmp_path: Path) -> None:
    path = tmp_path / "one-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, mode in (("one/run.py", 0o100755), ("one/read.py", 0o100644)):
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            wheel.writestr(info, "")
    tree = python.installed([path])
    assert {name: oct(node.mode) for name, node in tree.items()} == {
        f"{python.SITE}/one/run.py": "0o755",
        f"{python.SITE}/one/read.py": "0o644",
    }


def test_links_are_followed_inside_of_the_tree_alone() -> None:
    tree = {
        "lib": Node(link="usr/lib"),
        "usr/lib/a.py": Node(link="/etc/a.py"),
        "etc/a.py": Node(b"a"),
        "usr/lib/b": Node(link="../lib/a.py"),
        "usr/lib/c": Node(link="/lib/b"),
        "usr/lib/round": Node(link="round"),
        "usr/lib/out": Node(link="/etc/passwd"),
        "tmp": Node(folder=True),
    }
    for name in ("usr/lib/a.py", "usr/lib/b", "usr/lib/c"):
        assert trees.followed(tree, name) == Node(b"a")
    for name in ("usr/lib/round", "usr/lib/out", "tmp", "nothing"):
        assert trees.followed(tree, name) is None
