"""`python -m harness.image` makes the container image, from the Containerfile, as an OCI archive.

No registry is needed: the base is a Debian root file system that mmdebstrap makes. What was built once is in
the cache, by a hash of what it is made of; with nothing changed this takes a fraction of a second.
With docker or podman at hand, `docker build -f Containerfile .` makes the same image from its default base.
"""

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cluster import cache, packages
from cluster.errors import ClusterError, CommandFailed
from cluster.shell import lock, run, say, step

ROOT = Path(__file__).resolve().parents[2]
NAME = "localhost/ringfence:dev"

SUITE = "bookworm"
BASE_PACKAGES = ("ca-certificates", "python3", "python3-pip")
"""What the Containerfile's build stage would otherwise install first."""

INPUTS = (
    "Containerfile",
    ".containerignore",
    "LICENSE",
    "README.md",
    "pyproject.toml",
    "operator",
    "requirements",
)
"""Everything that the image is made of: files, and folders with all that is in them."""

KEPT = 4
"""Archives that stay in the cache; older ones go."""


@dataclass(frozen=True)
class Built:
    """An image in an OCI archive."""

    archive: str
    """Path of the archive."""
    name: str
    """Name with tag, which the archive carries: `localhost/ringfence:dev`."""
    digest: str
    """`sha256:...` of the manifest."""
    bytes_packed: int
    """Size of the archive: what a node has to pull."""

    @property
    def pinned(self) -> str:
        """Name with the digest in the tag's place."""
        return f"{self.name.rpartition(':')[0]}@{self.digest}"


def build(*, fresh: bool = False) -> Built:
    """The image of what is in the checkout now, built if need be; `fresh` starts from nothing, base included.

    Raises ClusterError with what to install, or with the builder's own words.
    """
    folder = cache.folder() / "image"
    key = _key()
    if not fresh and (known := _known(folder / key)):
        return known
    packages.require(packages.BUILD)
    with lock("image"):
        if not fresh and (known := _known(folder / key)):
            return known
        folder.mkdir(parents=True, exist_ok=True)
        builder = _Builder(folder / "storage", fresh=fresh)
        base = builder.base()
        with step("building the image (a change of code alone: seconds; all of it: under a minute)"):
            builder.image(base)
        built = builder.export(folder / key)
        _prune(folder)
    return built


class _Builder:
    """buildah with a storage of our own: nobody's images are touched, and no layer is made twice."""

    def __init__(self, storage: Path, *, fresh: bool) -> None:
        self._storage = storage
        if fresh:
            self._discard()
        self._driver = self._choose_driver()

    def base(self) -> str:
        """The image to build on: a Debian root file system."""
        name = f"localhost/ringfence-base:{cache.fingerprint(SUITE, *BASE_PACKAGES)}"
        if self._buildah("images", "-q", name, ok=True).strip():
            return name
        with step(f"making a Debian {SUITE} root file system (once a machine; half a minute)"):
            archive = self._storage / "base.tar"
            # Documentation stays out already here: the less there is, the faster each layer above it.
            excludes = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")]
            options = [
                f"--include={','.join(BASE_PACKAGES)}",
                '--aptopt=APT::Install-Recommends "false"',
                *excludes,
            ]
            run(["mmdebstrap", "--quiet", "--variant=minbase", *options, SUITE, str(archive)], timeout=1800)
            container = self._buildah("from", "scratch").strip()
            self._buildah("add", container, str(archive), "/", timeout=600)
            self._buildah("commit", "--quiet", "--rm", container, name, timeout=600)
            archive.unlink()
        return name

    def image(self, base: str) -> None:
        """Carry out the Containerfile; this machine's certificates and pip settings stay out of the image."""
        options = ["--layers", "--pull-never", "--timestamp", "0", "--build-arg", f"BASE={base}"]
        for name, file in (("ca", _certificates()), ("pip", os.environ.get("PIP_CONFIG_FILE"))):
            if file and Path(file).is_file():
                options += ["--secret", f"id={name},src={file}"]
        self._buildah("bud", *options, "--file", str(ROOT / "Containerfile"), "--tag", NAME, str(ROOT), timeout=3600)

    def export(self, folder: Path) -> Built:
        """Write the archive and what is to be known about it."""
        unfinished = folder.with_name(f"{folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        with step("writing the archive"):
            self._buildah("push", "--quiet", NAME, f"oci-archive:{unfinished / 'image.tar'}:{NAME}", timeout=600)
        archive = unfinished / "image.tar"
        built = Built(str(folder / "image.tar"), NAME, _digest(archive), archive.stat().st_size)
        (unfinished / "built.json").write_text(json.dumps(asdict(built)))
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)
        return built

    def _choose_driver(self) -> str:
        """Name of the storage driver: overlay, or vfs, which copies, where the kernel has none."""
        self._storage.mkdir(parents=True, exist_ok=True)
        self._driver = "overlay"
        with contextlib.suppress(CommandFailed):
            self._buildah("images", "-q")
            return "overlay"
        say("  no overlay file system here: layers are copied, which takes longer")
        return "vfs"

    def _discard(self) -> None:
        """Remove the storage with its mounts."""
        if self._storage.exists():
            self._driver = self._choose_driver()
            with contextlib.suppress(CommandFailed):
                self._buildah("rm", "--all")
                self._buildah("rmi", "--all", "--force", timeout=600)
            shutil.rmtree(self._storage, ignore_errors=True)

    def _buildah(self, *words: str, ok: bool = False, timeout: float = 120) -> str:
        places = ["--root", str(self._storage / "root"), "--runroot", str(self._storage / "run")]
        # chroot: the builder may itself be in a container without the rights that a stronger isolation takes.
        env = {**os.environ, "BUILDAH_ISOLATION": "chroot"}
        return run(["buildah", *places, "--storage-driver", self._driver, *words], env=env, ok=ok, timeout=timeout)


def _key() -> str:
    digest = hashlib.sha256()
    files = [Path(__file__)]
    for name in INPUTS:
        path = ROOT / name
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        files += [file for file in found if file.is_file() and "__pycache__" not in file.parts]
    for file in files:
        digest.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _known(folder: Path) -> Built | None:
    try:
        built = Built(**json.loads((folder / "built.json").read_text()))
    except (OSError, TypeError, json.JSONDecodeError):
        return None
    if not Path(built.archive).is_file():
        return None
    os.utime(folder)  # so that _prune takes the least used
    return built


def _digest(archive: Path) -> str:
    with tarfile.open(archive) as content:
        index = content.extractfile("index.json")
        if index is None:
            raise ClusterError(f"{archive}: no index in it")
        digest: str = json.load(index)["manifests"][0]["digest"]
    return digest


def _certificates() -> str | None:
    """File with the certificates that this machine trusts: a proxy's own may be among them."""
    named = [os.environ.get(variable) for variable in ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")]
    candidates = [*named, "/etc/ssl/certs/ca-certificates.crt"]
    return next((file for file in candidates if file and Path(file).is_file()), None)


def _prune(folder: Path) -> None:
    archives = sorted((p.parent for p in folder.glob("*/built.json")), key=lambda p: p.stat().st_mtime)
    for old in archives[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; the exit code is 1 for a failure that is explained."""
    parser = argparse.ArgumentParser(prog="python -m harness.image", description=__doc__)
    parser.add_argument(
        "--fresh", action="store_true", help="use nothing from the cache (for the base's security updates)"
    )
    parser.add_argument("--archive", action="store_true", help="print the archive's path only")
    args = parser.parse_args(argv)
    try:
        built = build(fresh=args.fresh)
    except ClusterError as error:
        say(f"image: {error}", color="31")
        return 1
    lines = [built.archive] if args.archive else [built.archive, built.name, built.pinned]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
