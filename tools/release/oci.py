"""An OCI image layout in one tar archive: what is in it, by digest, and the names under which it is to be pushed."""

import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Self

from .errors import ReleaseError
from .trees import Node, Tree, tar

Object = dict[str, Any]

_OCI: Final = "application/vnd.oci.image"
INDEX: Final = f"{_OCI}.index.v1+json"
MANIFEST: Final = f"{_OCI}.manifest.v1+json"
CONFIG: Final = f"{_OCI}.config.v1+json"
LAYER: Final = f"{_OCI}.layer.v1.tar+gzip"
EMPTY: Final = "application/vnd.oci.empty.v1+json"
BUNDLE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
_NAME: Final = "org.opencontainers.image.ref.name"


def digest(content: bytes) -> str:
    """`sha256:` and 64 hexadecimal digits."""
    return f"sha256:{sha256(content).hexdigest()}"


def encoded(value: Object) -> bytes:
    """JSON that is the same each time."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


@dataclass
class Layout:
    """Blobs by digest; `names`: NAME:TAG, below the registry's prefix -> descriptor of a manifest or an index."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    names: dict[str, Object] = field(default_factory=dict)

    def add(self, kind: str, content: bytes, **more: Any) -> Object:
        """Keep a blob and return its descriptor."""
        found = digest(content)
        self.blobs[found] = content
        return {"mediaType": kind, "digest": found, "size": len(content), **more}

    def manifest(self, config: Object, layers: list[Object], **more: Any) -> Object:
        """Keep an image manifest of blobs that are there already."""
        body = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers, **more}
        return self.add(MANIFEST, encoded(body))

    def index(self, manifests: list[Object], **more: Any) -> Object:
        """Keep an index over manifests."""
        body = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests, **more}
        return self.add(INDEX, encoded(body))

    def attach(self, name: str, subject: Object, bundles: Mapping[str, str]) -> None:
        """Attach bundles (predicate -> text) to a manifest, as referrers.

        Also under the tag by which registries without the list of referrers are asked for them (OCI distribution 1.1,
        "Referrers Tag Schema").
        """
        found = []
        for predicate, text in bundles.items():
            about = {"dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": predicate}
            config = self.add(EMPTY, b"{}")
            layer = self.add(BUNDLE, text.encode())
            kept = {key: subject[key] for key in ("mediaType", "digest", "size")}
            one = self.manifest(config, [layer], artifactType=BUNDLE, subject=kept, annotations=about)
            found.append({**one, "artifactType": BUNDLE, "annotations": about})
        tag = subject["digest"].replace(":", "-")
        self.names[f"{name}:{tag}"] = self.index(found)

    def read(self, wanted: str) -> Object:
        """A blob that is JSON. Raises ReleaseError where it is missing or none."""
        try:
            value = json.loads(self.blobs[wanted])
        except KeyError:
            raise ReleaseError(f"blob {wanted} is missing") from None
        except ValueError:
            raise ReleaseError(f"blob {wanted} is no JSON") from None
        if not isinstance(value, dict):
            raise ReleaseError(f"blob {wanted} is no object")
        return value

    def archive(self) -> bytes:
        """The layout as a tar archive."""
        manifests = [
            {**{k: v for k, v in one.items() if k != "annotations"}, "annotations": {_NAME: name}}
            for name, one in sorted(self.names.items())
        ]
        top = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}
        tree: Tree = {f"blobs/{name.replace(':', '/')}": Node(blob) for name, blob in self.blobs.items()}
        return tar(tree | {"index.json": Node(encoded(top)), "oci-layout": Node(b'{"imageLayoutVersion":"1.0.0"}')})

    @classmethod
    def of(cls, path: Path) -> Self:
        """Read an archive; each blob must be what its name says. Raises ReleaseError."""
        found = cls()
        try:
            with tarfile.open(path) as archive:
                files = {m.name: archive.extractfile(m) for m in archive if m.isfile()}
                contents = {name: file.read() for name, file in files.items() if file}
            top = json.loads(contents["index.json"])
            found.names = {one["annotations"][_NAME]: one for one in top["manifests"]}
        except (OSError, tarfile.TarError, ValueError, KeyError, TypeError) as problem:
            raise ReleaseError(f"{path.name} is no OCI layout: {problem!r}") from None
        for name, content in contents.items():
            if name.startswith("blobs/"):
                wanted = name.removeprefix("blobs/").replace("/", ":")
                if digest(content) != wanted:
                    raise ReleaseError(f"{path.name}: the content of blob {wanted} is another one")
                found.blobs[wanted] = content
        return found

    def reachable(self) -> set[str]:
        """Digests of all blobs that names lead to. Raises ReleaseError where one is missing or has another size."""
        found: set[str] = set()
        waiting = list(self.names.values())
        while waiting:
            one = waiting.pop()
            name = one["digest"]
            if name not in self.blobs or len(self.blobs[name]) != one["size"]:
                raise ReleaseError(f"blob {name} is missing, or not of the size that is told")
            if name in found:
                continue
            found.add(name)
            if one["mediaType"] in {INDEX, MANIFEST}:
                body = self.read(name)
                waiting += [*body.get("manifests", []), *body.get("layers", []), *filter(None, [body.get("config")])]
        return found
