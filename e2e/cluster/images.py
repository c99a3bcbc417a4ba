"""Container images: making small ones without any tool, and loading them into the node."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import cache, programs
from .errors import ClusterError
from .instance import Instance
from .shell import run

__all__ = ["ENVOY", "PAUSE", "Image", "built_in", "envoy", "load", "single", "testbox", "write_archive"]

PAUSE = "localhost/ringfence-pause:dev"
TESTBOX = "localhost/ringfence-testbox:dev"
COREDNS = "localhost/ringfence-coredns:dev"
ENVOY = f"localhost/ringfence-envoy:{programs.ENVOY}"

CRI_NAMESPACE = "k8s.io"
"""Where containerd keeps the images that the kubelet sees."""


@dataclass(frozen=True)
class Image:
    """An image in the node."""

    tag: str
    """Its name with a tag, such as "localhost/ringfence-testbox:dev"."""

    digest: str
    """"sha256:..." of its manifest."""

    @property
    def pinned(self) -> str:
        """Its name with the digest instead of the tag."""
        return f"{_repository(self.tag)}@{self.digest}"


def testbox() -> tuple[Path, Image]:
    """Archive and names of the image with the test programs."""
    return single(TESTBOX, programs.testbox() / "testbox", user="65532:65532")


def built_in() -> list[Path]:
    """Archives of the images that every node gets."""
    pause, _ = single(PAUSE, programs.testbox() / "pause", user="65535:65535")
    dns, _ = single(COREDNS, programs.coredns(), user="0:0")
    return [pause, dns, testbox()[0]]


def envoy(authority: Path, folder: Path) -> tuple[Path, Image]:
    """Archive, in `folder`, and names of an image as Envoy's makers ship it: the real program at the same place.

    `authority`: PEM file of the CA that it trusts, and no other.
    """
    program = programs.envoy()
    libraries = {Path(path) for path in re.findall(r"(/\S+) \(0x", run(["ldd", str(program)]))}
    files = {"usr/local/bin/envoy": program} | {str(path).lstrip("/"): path for path in sorted(libraries)}
    trust = {"etc/ssl/certs/ca-certificates.crt": authority}
    config = {"Entrypoint": ["/usr/local/bin/envoy"], "WorkingDir": "/"}
    archive = folder / "envoy.tar"
    return archive, Image(ENVOY, write_archive(archive, tag=ENVOY, files=files, more=[trust], config=config))


def single(tag: str, program: Path, *, user: str) -> tuple[Path, Image]:
    """The archive of an image that is one static program."""

    def build(target: Path) -> None:
        config = {"Entrypoint": [f"/{program.name}"], "User": user, "WorkingDir": "/"}
        digest = write_archive(target / "image.tar", tag=tag, files={program.name: program}, config=config)
        (target / "digest").write_text(digest)

    key = cache.fingerprint(tag, user, str(program.parent.name))
    folder = cache.ensure(f"image-{program.name}", key, build, doing=f"making image {tag}")
    return folder / "image.tar", Image(tag, (folder / "digest").read_text())


def write_archive(
    path: Path,
    *,
    tag: str,
    files: Mapping[str, Path],
    config: Mapping[str, Any],
    more: Sequence[Mapping[str, Path]] = (),
) -> str:
    """Write an OCI archive, with a layer of these files (name inside of the image -> where it is now); its digest.

    `more`: further layers. The same input gives the same digest, byte for byte: no times, no owners of this machine.
    """
    layers = [_layer(one) for one in (files, *more)]
    rootfs = {"type": "layers", "diff_ids": list(map(_digest, layers))}
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}[run(["uname", "-m"]).strip()]
    image = {"architecture": architecture, "os": "linux", "config": dict(config), "rootfs": rootfs}
    config_blob = json.dumps(image, sort_keys=True).encode()
    oci = "application/vnd.oci.image"
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{oci}.manifest.v1+json",
        "config": _descriptor(f"{oci}.config.v1+json", config_blob),
        "layers": [_descriptor(f"{oci}.layer.v1.tar", layer) for layer in layers],
    }
    manifest_blob = json.dumps(manifest, sort_keys=True).encode()
    names = {"io.containerd.image.name": tag, "org.opencontainers.image.ref.name": tag.rpartition(":")[2]}
    entry = {**_descriptor(f"{oci}.manifest.v1+json", manifest_blob), "annotations": names}
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        _add(archive, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        _add(archive, "index.json", json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode())
        for blob in (config_blob, *layers, manifest_blob):
            _add(archive, f"blobs/sha256/{_digest(blob).removeprefix('sha256:')}", blob)
    return _digest(manifest_blob)


def load(instance: Instance, archive: Path, *, name: str | None = None) -> list[Image]:
    """Load an OCI or Docker archive into the node, under its tag and under `repository@digest`.

    A pod spec may then name it either way, with imagePullPolicy IfNotPresent or Never. `name` gives the
    tag to an archive of one image that carries none.
    """
    if instance.mode != "node":
        raise ClusterError(f"cluster {instance.name} has no node to load images into")
    if not archive.is_file():
        raise ClusterError(f"{archive}: no such archive")
    options = ["--index-name", name] if name else []
    told = _ctr(instance, "images", "import", *options, str(archive.resolve()))
    found = [
        Image(tag, digest) for tag, digest in re.findall(r"^unpacking (\S+) \((sha256:\w{64})\)", told, re.MULTILINE)
    ]
    if not found:
        raise ClusterError(f"{archive} holds no image with a name: {told.strip()}")
    for image in found:
        if "@" not in image.tag:
            _ctr(instance, "images", "tag", "--force", image.tag, image.pinned)
    return found


def _ctr(instance: Instance, *args: str) -> str:
    return run(["ctr", "-a", instance.containerd_socket, "-n", CRI_NAMESPACE, *args], timeout=300)


def _repository(tag: str) -> str:
    """The name without its tag (a colon before the last slash is a port)."""
    head, slash, last = tag.partition("@")[0].rpartition("/")
    return head + slash + last.partition(":")[0]


def _digest(blob: bytes) -> str:
    return "sha256:" + hashlib.sha256(blob).hexdigest()


def _layer(files: Mapping[str, Path]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as layer:
        for name, source in files.items():
            _add(layer, name, source.read_bytes(), mode=0o755)
    return content.getvalue()


def _descriptor(kind: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": _digest(blob), "size": len(blob)}


def _add(archive: tarfile.TarFile, name: str, content: bytes, *, mode: int = 0o644) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    member.mode = mode
    archive.addfile(member, io.BytesIO(content))
