"""The image for each architecture: the same layers as the Containerfile makes, put together without running them."""

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cluster.shell import step

from . import debian, python
from .oci import CONFIG, LAYER, Layout, Object, digest, encoded
from .source import Source
from .trees import Tree, gzipped, tar

ARCHITECTURES: Final = ("amd64", "arm64")
_ENVIRONMENT: Final = (
    "PATH=/usr/local/bin:/usr/bin",
    "LANG=C.UTF-8",
    "PYTHONDONTWRITEBYTECODE=1",
    "PYTHONUNBUFFERED=1",
    "HOME=/home/ringfence",
)


@dataclass(frozen=True)
class Part:
    """The image for one architecture, before it is packed, and what it is made of."""

    architecture: str
    layers: tuple[Tree, Tree, Tree]
    """Debian's packages, the locked Python packages, Ringfence."""
    debian: list[debian.Package]
    wheels: list[python.Wheel]

    @property
    def files(self) -> Tree:
        """All of it together."""
        return {name: node for layer in self.layers for name, node in layer.items()}


def parts(source: Source, wheel: Path) -> list[Part]:
    """What the image holds, for each architecture."""
    wanted = debian.names(source.root)
    packages = {name: debian.packages(wanted, name) for name in ARCHITECTURES}
    bases = {name: debian.base(found) for name, found in packages.items()}
    own = python.installed([wheel], scripts=True)
    found = []
    with tempfile.TemporaryDirectory() as place:
        compiled = python.Compiler(Path(place), bases[python.machine()])
        for name in ARCHITECTURES:
            locked = python.wheels(source.root / "requirements/runtime.txt", name)
            libraries = python.installed(locked)
            layers = (
                bases[name] | compiled(bases[name], below=f"usr/lib/python{python.VERSION}"),
                libraries | compiled(libraries, below=python.SITE),
                own | compiled(own, below=python.SITE),
            )
            found.append(Part(name, layers, packages[name], python.described(locked)))
    return found


def image(layout: Layout, source: Source, made: list[Part]) -> tuple[Object, dict[str, Object]]:
    """Put the image into the layout: the index's descriptor, and the manifest's of each architecture."""
    manifests = {}
    for part in made:
        with step(f"packing the image for {part.architecture}"):
            tars = [tar(layer) for layer in part.layers]
            layers = [layout.add(LAYER, gzipped(one)) for one in tars]
        config = layout.add(CONFIG, encoded(_config(source, part.architecture, [digest(one) for one in tars])))
        manifests[part.architecture] = layout.manifest(config, layers)
    listed = [one | {"platform": {"os": "linux", "architecture": name}} for name, one in manifests.items()]
    return layout.index(listed, annotations=labels(source)), manifests


def labels(source: Source) -> dict[str, str]:
    """What the image says of itself."""
    return {
        "org.opencontainers.image.title": "ringfence",
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.version": source.version,
        "org.opencontainers.image.revision": source.commit,
        "org.opencontainers.image.created": created(source),
    }


def created(source: Source) -> str:
    """The time of the release, as RFC 3339."""
    return datetime.fromtimestamp(source.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _config(source: Source, architecture: str, layers: list[str]) -> Object:
    return {
        "architecture": architecture,
        "os": "linux",
        "created": created(source),
        "config": {
            "User": "65532:65532",
            "Env": list(_ENVIRONMENT),
            "Entrypoint": ["ringfence"],
            "Labels": labels(source),
        },
        "rootfs": {"type": "layers", "diff_ids": layers},
        "history": [
            {"created": created(source), "created_by": f"tools.release: {what}"}
            for what in ("Debian packages", "Python packages", "Ringfence")
        ],
    }
