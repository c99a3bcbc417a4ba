"""The charts as they are published: with the image's digest in their values, as archives and as OCI artifacts."""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

import yaml

from .errors import ReleaseError
from .oci import Layout, Object
from .source import Source
from .trees import Node, Tree, gzipped, read, tar

NAMES: Final = ("ringfence-crds", "ringfence")
_CONFIG: Final = "application/vnd.cncf.helm.config.v1+json"
_CONTENT: Final = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"


@dataclass(frozen=True)
class Values:
    """What the values of the published chart say that those of the repository leave open."""

    repository: str
    digest: str
    runbooks: str
    """URL of the folder with a page for each alert."""

    @property
    def lines(self) -> dict[str, tuple[str, str]]:
        """Path of a value -> the block in which its line is, and what is in it."""
        return {
            "image.repository": ("image", self.repository),
            "image.digest": ("image", self.digest),
            "monitoring.prometheusRule.runbookBaseUrl": ("monitoring", self.runbooks),
        }


def archived(source: Source, name: str, values: Values, annotations: Object) -> bytes:
    """The chart as helm packs it."""
    tree = read(source.root / "charts" / name, below=name)
    about = yaml.safe_load(tree[f"{name}/Chart.yaml"].content)
    about["annotations"] = {**about.get("annotations", {}), **annotations}
    changed: Tree = {f"{name}/Chart.yaml": Node(yaml.safe_dump(about, sort_keys=True, width=1000).encode())}
    if name == "ringfence":
        text = tree[f"{name}/values.yaml"].content.decode()
        changed[f"{name}/values.yaml"] = Node(pinned(text, values).encode())
    return gzipped(tar(tree | changed, time=source.epoch))


def pinned(text: str, values: Values) -> str:
    """The text of values.yaml with these values, comments and all. Raises ReleaseError where a line is missing."""
    wanted, changed = yaml.safe_load(text), text
    for path, (block, value) in values.lines.items():
        *parents, key = path.split(".")
        found = re.search(rf'^{block}:\n(?:[ #].*\n|\n)*? +{key}: (?="")', changed, re.MULTILINE)
        if found:
            changed = f'{changed[: found.end()]}"{value}"{changed[found.end() + 2 :]}'
        inner = wanted
        for parent in parents:
            inner = inner[parent]
        inner[key] = value
    if yaml.safe_load(changed) != wanted:
        raise ReleaseError(f'charts/ringfence/values.yaml has no empty lines ("") for all of {", ".join(values.lines)}')
    return changed


def artifact(layout: Layout, archive: bytes, about: dict[str, Any]) -> Object:
    """Put a packed chart into the layout the way `helm push` does; `about`: its Chart.yaml."""
    config = layout.add(_CONFIG, json.dumps(about, sort_keys=True).encode())
    content = layout.add(_CONTENT, archive)
    told = {
        "org.opencontainers.image.title": about["name"],
        "org.opencontainers.image.version": about["version"],
        "org.opencontainers.image.description": about["description"],
    }
    return layout.manifest(config, [content], annotations=told)
