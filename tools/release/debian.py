"""The base of the image: Debian packages of one architecture, taken apart without running anything of theirs.

apt fetches them from the archive that this machine uses, for any architecture, and checks the archive's signature.
"""

import hashlib
import io
import re
import shlex
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from cluster import cache
from cluster.errors import CommandFailed
from cluster.shell import lock, run, step

from .errors import ReleaseError
from .trees import PROGRAM_MODE, Node, Tree

MULTIARCH = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
"""Architecture, as OCI and Debian call it -> the folder of its libraries."""
_MERGED = ("bin", "sbin", "lib", "lib64")
"""What is a link into /usr."""
_LEFT_OUT = re.compile(
    r"usr/share/(doc|man|info|lintian|locale|bug|apps|pixmaps|applications|binfmts|ca-certificates|gcc|gdb)(/.*)?"
    r"|usr/lib/.*/(gconv|perl.*)(/.*)?"
    r"|usr/sbin/update-ca-certificates|etc/ca-certificates(/.*)?|usr/bin/py3(compile|clean)"
)
_ROOT = "root:x:0:0:root:/nonexistent:/nonexistent\n"
_SELF = "ringfence:x:65532:65532:ringfence:/home/ringfence:/nonexistent\n"
_CERTIFICATES = "usr/share/ca-certificates/mozilla/"


@dataclass(frozen=True)
class Package:
    """A Debian package."""

    name: str
    version: str
    sha256: str
    """Of the .deb, as the archive's signed index gives it."""
    control: str
    """Its record, as dpkg keeps it."""
    tree: Tree


def names(root: Path) -> tuple[str, ...]:
    """The packages of the image, from requirements/debian.txt."""
    lines = (root / "requirements" / "debian.txt").read_text().splitlines()
    return tuple(line for line in map(str.strip, lines) if line and not line.startswith("#"))


@lru_cache
def packages(wanted: tuple[str, ...], architecture: str) -> list[Package]:
    """Fetch and unpack. Raises ReleaseError where the archive does not have one, or cannot be reached.

    Asked once a process, so that two releases of one process are made from the same packages.
    """
    folder = cache.folder() / "release" / f"debian-{architecture}"
    with lock(f"release-{folder}"), step(f"fetching Debian packages for {architecture}"):
        for name in ("state/lists/partial", "cache/archives/partial", "debs"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "state/status").touch()
        apt = ["apt-get", "-q", *_options(folder, architecture)]
        asked = [f"{name}:{architecture}" for name in wanted]
        try:
            run([*apt, "update"], timeout=900)
            with tempfile.TemporaryDirectory() as empty:  # apt lists only what is not there yet, where it runs
                listed = run([*apt, "--print-uris", "download", *asked], cwd=Path(empty))
            found = [shlex.split(line) for line in listed.splitlines() if line.startswith("'")]
            if not all(_whole(folder / "debs" / name, int(size)) for _, name, size, _ in found):
                run([*apt, "download", *asked], cwd=folder / "debs", timeout=900)
        except CommandFailed as failure:
            raise ReleaseError(
                f"Debian packages for {architecture}: {failure.output.strip()[-500:]}. The sources of this machine's"
                " apt must be Debian 12's"
            ) from None
        if len(found) != len(wanted):
            raise ReleaseError(f"apt lists {len(found)} Debian packages for {architecture}, not {len(wanted)}")
        return [_package(folder / "debs" / name, sha.removeprefix("SHA256:")) for _, name, _, sha in sorted(found)]


def base(found: list[Package]) -> Tree:
    """The root file system, without what nobody reads at run time."""
    tree: Tree = {name: Node(link=f"usr/{name}") for name in _MERGED}
    certificates: Tree = {}
    for package in found:
        tree |= {name: node for name, node in package.tree.items() if not _LEFT_OUT.fullmatch(name)}
        certificates |= {name: node for name, node in package.tree.items() if name.startswith(_CERTIFICATES)}
        tree[f"var/lib/dpkg/status.d/{package.name}"] = Node(package.control.encode())
    together = b"".join(node.content.rstrip() + b"\n" for _, node in sorted(certificates.items()))
    return tree | {
        "etc/ssl/certs/ca-certificates.crt": Node(together),
        "etc/passwd": Node((_ROOT + _SELF).encode()),
        "etc/group": Node(b"root:x:0:\nringfence:x:65532:\n"),
        "etc/nsswitch.conf": Node(b"hosts: files dns\n"),
        "var/run": Node(link="/run"),  # these two: what base-files sets up when it is installed
        "var/lock": Node(link="/run/lock"),
        "usr/sbin": Node(mode=PROGRAM_MODE, folder=True),
        "tmp": Node(mode=0o1777, folder=True),
        "home/ringfence": Node(mode=PROGRAM_MODE, folder=True),
    }


def _options(folder: Path, architecture: str) -> list[str]:
    settings = {
        "APT::Architecture": architecture,
        "APT::Architectures::": architecture,
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        "Dir::State": folder / "state",
        "Dir::State::status": folder / "state/status",
        "Dir::Cache": folder / "cache",
    }
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


def _whole(deb: Path, size: int) -> bool:
    return deb.is_file() and deb.stat().st_size == size


def _package(deb: Path, sha256: str) -> Package:
    if hashlib.sha256(deb.read_bytes()).hexdigest() != sha256:
        raise ReleaseError(f"{deb.name} is not what the archive's index says: remove {deb}")
    control = run(["dpkg-deb", "--field", str(deb)])
    fields = dict(line.split(": ", 1) for line in control.splitlines() if re.match(r"[A-Z][\w-]*: ", line))
    told = control.replace("\n", "\nStatus: install ok installed\n", 1)
    return Package(fields["Package"], fields["Version"], sha256, told, _unpacked(deb))


def _unpacked(deb: Path) -> Tree:
    packed = subprocess.run(["dpkg-deb", "--fsys-tarfile", deb], check=True, capture_output=True, timeout=120).stdout
    tree: Tree = {}
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for member in archive:
            name = _merged(member.name)
            if member.issym():
                tree[name] = Node(link=member.linkname)
            elif member.isfile():
                content = archive.extractfile(member)
                tree[name] = Node(content.read() if content else b"", member.mode & 0o777)
            elif member.islnk():
                tree[name] = tree[_merged(member.linkname)]
    return tree


def _merged(name: str) -> str:
    """The path in a system whose /bin, /sbin and /lib are links into /usr."""
    parts = PurePosixPath(name).parts
    return "/".join(("usr", *parts) if parts and parts[0] in _MERGED else parts)
