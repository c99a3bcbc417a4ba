"""What `make release` makes: the same each time, whole, and to be installed from a registry by its digests."""

import gzip
import io
import json
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tools.release.attest import Signer, new_key
from tools.release.build import IMAGES, Where, archive_name, build
from tools.release.debian import MULTIARCH
from tools.release.oci import Layout
from tools.release.python import VERSION as PYTHON
from tools.release.python import machine
from tools.release.verify import verify

from cluster import programs
from cluster.instance import find
from cluster.shell import nsenter, run, wait_for
from harness import imports
from harness.image import Built
from suites.chart.registry import HOST, push, serving
from suites.chart.release import NAMESPACE, ROOT, Release

PREFIX = f"{HOST}/platform"
WHERE = Where(PREFIX, "https://downloads.example/ringfence")
VERSION = "0.1.0"
OTHERWISE = ("usr/local/bin/", "var/lib/dpkg/status.d/")
"""Commands and packages' records: the same names, in other words."""
PASSING = ("dist-info/RECORD", "dist-info/INSTALLER", "dist-info/REQUESTED", "dist-info/direct_url.json", ".pyc")
"""What pip writes about itself, and what is compiled: the same modules, by another path."""
PROCESSORS = {"amd64": 62, "arm64": 183}
"""What an ELF file says of the processor that it is for."""
MOUNTED = {"etc/hostname", "etc/hosts", "etc/resolv.conf"}
"""Empty files that a builder leaves behind where it mounted its own while it ran a command, as runtimes do."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("releases")
    new_key(folder / "key.pem")
    for name in ("one", "two"):
        build(folder / name, WHERE, Signer.found(folder / "key.pem"), uncommitted=True)
    return folder


@pytest.fixture(scope="module")
def layout(made: Path) -> Layout:
    return Layout.of(made / "one" / archive_name(VERSION))


@pytest.fixture(scope="module")
def installed(release: Release, made: Path) -> Iterator[Release]:
    """Ringfence from the registry, by nothing but helm."""
    instance = find(release.cluster.name)
    assert instance
    with serving(instance.netns, made):
        push(instance.netns, made / "one", PREFIX)
        for name, words in (("ringfence-crds", ()), ("ringfence", ("--wait", "--timeout=300s"))):
            chart = [f"oci://{PREFIX}/charts/{name}", "--version", VERSION, "--plain-http"]
            helm = [str(programs.tools() / "helm"), "-n", NAMESPACE, "install", name, *chart, *words]
            run(nsenter(instance.netns, *helm), env=release.cluster.env, timeout=320)
            if not words:
                crds = ("crd/agentdeployments.ringfence.dev", "crd/agentpolicies.ringfence.dev")
                wait = ("wait", "--for=condition=Established", "--timeout=10s", *crds)
                wait_for("the CRDs", lambda: release.cluster.kubectl(*wait))  # noqa: B023
        yield release
        for name in ("ringfence", "ringfence-crds"):
            release.helm("uninstall", name, "--wait")
        release.cluster.kubectl("delete", "crd", "agentdeployments.ringfence.dev", "agentpolicies.ringfence.dev")


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_two_builds_are_the_same_bytes(made: Path) -> None:
    one, two = _files(made / "one"), _files(made / "two")
    assert one.keys() == two.keys()
    assert sorted(name for name in one if one[name] != two[name]) == []


def test_it_verifies_without_a_network(made: Path) -> None:
    told = verify(made / "one", Signer.found(made / "key.pem").public)
    assert any("signature and provenance of ringfence, ringfence-amd64, ringfence-arm64" in line for line in told)


def _image(layout: Layout, architecture: str) -> tuple[dict[str, bytes], set[str]]:
    """Files and links of one architecture's image: path -> content or target; and which of them are programs."""

    top = layout.read(layout.names[f"ringfence:{VERSION}"]["digest"])
    (one,) = (m for m in top["manifests"] if m["platform"]["architecture"] == architecture)
    found: dict[str, bytes] = {}
    programs_found: set[str] = set()
    for layer in layout.read(one["digest"])["layers"]:
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(layout.blobs[layer["digest"]]))) as archive:
            _take(archive, found, programs_found)
    return found, programs_found


def _take(archive: tarfile.TarFile, found: dict[str, bytes], executable: set[str]) -> None:
    for member in archive:
        name = member.name.removeprefix("./").strip("/")
        if member.issym():
            found[name] = member.linkname.encode()
        elif member.isfile() or member.islnk():
            content = archive.extractfile(member)
            found[name] = content.read() if content else b""
            if member.mode & stat.S_IXUSR:
                executable.add(name)


def _built(image: Built) -> tuple[dict[str, bytes], set[str]]:
    """The same of the image that the Containerfile makes."""

    found: dict[str, bytes] = {}
    executable: set[str] = set()
    with tarfile.open(image.archive) as outer:

        def blob(digest: str) -> bytes:
            file = outer.extractfile(f"blobs/{digest.replace(':', '/')}")
            assert file
            return file.read()

        for layer in json.loads(blob(image.digest))["layers"]:
            content = blob(layer["digest"])
            with tarfile.open(
                fileobj=io.BytesIO(gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)
            ) as one:
                _take(one, found, executable)
    return found, executable


def test_it_holds_what_the_containerfile_makes(release: Release, layout: Layout) -> None:
    """The image that all suites run, and the one that is published, are one: file by file."""
    published, programs_published = _image(layout, machine())
    tested, programs_tested = _built(release.image)
    assert {tested.pop(name) for name in MOUNTED} == {b""}
    programs_tested -= MOUNTED

    def counted(found: dict[str, bytes]) -> dict[str, bytes]:
        return {name: content for name, content in found.items() if not name.endswith(PASSING)}

    assert counted(published).keys() ^ counted(tested).keys() == set()
    same = [name for name in counted(published) if not name.startswith(OTHERWISE)]
    assert sorted(name for name in same if published[name] != tested[name]) == []
    assert {n for n in published if n.endswith(".pyc")} == {n for n in tested if n.endswith(".pyc")}
    assert programs_published ^ programs_tested == set()


@pytest.mark.parametrize(("architecture", "other"), [("amd64", "arm64"), ("arm64", "amd64")])
def test_each_architecture_has_its_own_programs(layout: Layout, architecture: str, other: str) -> None:
    """Programs and compiled modules: each for this processor, and none that the other architecture has not."""
    found = {name: content for name, content in _image(layout, architecture)[0].items() if content[:4] == b"\x7fELF"}
    assert {int.from_bytes(content[18:20], "little") for content in found.values()} == {PROCESSORS[architecture]}
    modules = {name.partition(".cpython")[0] for name in found if "dist-packages" in name}
    theirs = _image(layout, other)[0]
    assert modules == {n.partition(".cpython")[0] for n in theirs if "dist-packages" in n and n.endswith(".so")}
    assert modules


def test_the_node_pulls_the_image_by_its_digest_and_it_works(installed: Release, made: Path) -> None:
    (name,) = (made / "one" / IMAGES).read_text().split()
    for component in ("controller", "admission"):
        pods = installed.pods(component)
        assert len(pods) == 2
        for pod in pods:
            assert pod["spec"]["containers"][0]["image"] == name
            (state,) = pod["status"]["containerStatuses"]
            assert state["ready"]
            assert state["imageID"] == name
    assert "1 passed, 0 failed" in installed.helm("test", "ringfence", "--logs")


def test_the_plugin_brings_all_that_it_needs(made: Path, tmp_path: Path) -> None:
    archive = made / "one" / f"kubectl-ringfence-{VERSION}-linux-{machine()}.tar.gz"
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    words = [str(tmp_path / "kubectl-ringfence"), "lint", "--policy", str(ROOT / "examples/01-policy.yaml")]
    env = {"PATH": "/usr/bin:/bin", "HOME": os.devnull}
    told = run([*words, str(ROOT / "examples/20-minimal.yaml")], env=env)
    assert "0 refused" in told or "accepted" in told
    libraries = f"/usr/lib/{MULTIARCH[machine()]}"
    (loader,) = tmp_path.glob(f"{libraries[1:]}/ld-linux-*.so.*")
    python = [f"{libraries}/{loader.name}", "--library-path", libraries, f"/usr/bin/python{PYTHON}", "-s"]
    # Elsewhere the loader would find libraries of this machine.
    env = {"PATH": "/usr/sbin:/usr/bin", "PYTHONHOME": "/usr", "HOME": "/"}
    told = run(["chroot", str(tmp_path), *python, "-c", imports.PROGRAM], env=env)
    imports.check(told)
