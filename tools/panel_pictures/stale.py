"""Whether each picture was drawn from what there is now: it names the digest of all that it was drawn from."""

import hashlib
import json
from pathlib import Path
from typing import Final

from tools.panel_pictures.panels import Row, rows
from tools.pictures import PictureError

SAMPLES: Final = "docs/pictures/samples.txt"
CODE: Final = ("draw.py", "kinds.py", "words.py", "asked.py")
"""What decides how a picture looks."""
LOOKS: Final = ("type", "title", "targets", "gridPos", "fieldConfig", "transformations")
"""Of a panel: what its picture shows."""


def mark(root: Path, row: Row) -> str:
    """The line that a picture ends with."""
    digest = hashlib.sha256()
    for name in CODE:
        digest.update((Path(__file__).parent / name).read_bytes())
    digest.update((root / SAMPLES).read_bytes())
    digest.update(json.dumps([[panel.get(key) for key in LOOKS] for panel in row.panels], sort_keys=True).encode())
    return f"<!-- drawn by `make pictures`, sha256 {digest.hexdigest()} -->"


def files(root: Path) -> dict[str, str]:
    """Path -> content of each picture; none before there are samples. Raises PictureError for one that is stale."""
    found: dict[str, str] = {}
    if not (root / SAMPLES).is_file():
        return found
    for row in rows(root):
        path = root / row.path
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if mark(root, row) not in text:
            raise PictureError(f"{row.path} is not drawn from the dashboards as they are: run `make pictures`")
        found[row.path] = text
    return found
