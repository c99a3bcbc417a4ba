"""The image for arm64, run by an emulator of its processor."""

import gzip
import io
import shutil
import tarfile
from pathlib import Path

import pytest
from tools.release.python import VERSION

from cluster import cache
from cluster.shell import run
from consumers.conftest import Made
from harness import imports
from suites.chart.release import ROOT

EMULATOR = "qemu-aarch64-static"


def _emulator() -> Path:
    def fetch(target: Path) -> None:
        run(["apt-get", "-q", "download", "qemu-user-static"], cwd=target, timeout=600)
        (package,) = target.glob("*.deb")
        run(["dpkg-deb", "--extract", package, target / "files"])
        shutil.move(target / "files/usr/bin" / EMULATOR, target / EMULATOR)
        shutil.rmtree(target / "files")
        package.unlink()

    return cache.ensure("qemu", "aarch64", fetch, doing="fetching an emulator of arm64") / EMULATOR


@pytest.fixture(scope="module")
def root(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image's file system, with the emulator and examples in it."""
    folder, layout = tmp_path_factory.mktemp("arm64"), made.layout
    top = layout.read(layout.names[f"ringfence:{made.version}"]["digest"])
    (one,) = (each for each in top["manifests"] if each["platform"]["architecture"] == "arm64")
    for layer in layout.read(one["digest"])["layers"]:
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(layout.blobs[layer["digest"]]))) as archive:
            archive.extractall(folder, filter="fully_trusted")
    folder.chmod(0o755)  # pytest lets nobody else in
    shutil.copy(_emulator(), folder / EMULATOR)
    shutil.copytree(ROOT / "examples", folder / "examples")
    return folder


def _run(root: Path, *words: str) -> str:
    environment = {"PATH": "/usr/sbin:/usr/bin", "HOME": "/", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
    python = ["chroot", "--userspec=65532:65532", str(root), f"/{EMULATOR}", f"/usr/bin/python{VERSION}"]
    return run([*python, *words], env=environment, timeout=600)


def test_the_command_line_works(root: Path, made: Made) -> None:
    assert _run(root, "-c", "import platform; print(platform.machine())") == "aarch64\n"
    assert made.version in _run(root, "/usr/local/bin/ringfence", "--version")
    policy = ("--policy", "/examples/01-policy.yaml")
    told = _run(root, "/usr/local/bin/ringfence", "lint", *policy, "/examples/20-minimal.yaml")
    assert "0 refused" in told or "accepted" in told
    assert "kind: NetworkPolicy" in _run(root, "/usr/local/bin/ringfence", "render", "/examples/20-minimal.yaml")


def test_everything_can_be_imported(root: Path) -> None:
    """All of Ringfence, and each compiled module of its libraries, is for this processor and finds what it needs."""
    imports.check(_run(root, "-c", imports.PROGRAM))
