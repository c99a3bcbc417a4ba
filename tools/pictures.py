"""The pictures of the docs: docs/pictures/*.svg, drawn by Graphviz from the texts beside them.

A picture names the digest of its text, so that only who changes a text needs Graphviz.
"""

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Final

FOLDER: Final = "docs/pictures"


class PictureError(Exception):
    """A text has changed and cannot be drawn here. The message says what to do."""


def files(root: Path) -> dict[str, str]:
    """Path -> content of each picture. Raises PictureError."""
    sources = sorted((root / FOLDER).glob("*.dot"))
    return {f"{FOLDER}/{source.stem}.svg": _picture(source) for source in sources}


def _picture(source: Path) -> str:
    mark = f"<!-- drawn from {source.name}, sha256 {hashlib.sha256(source.read_bytes()).hexdigest()} -->"
    drawn = source.with_suffix(".svg")
    if drawn.is_file() and mark in (text := drawn.read_text(encoding="utf-8")):
        return text
    program = shutil.which("dot")
    if program is None:
        raise PictureError(f"{source.name} has changed: install Graphviz (apt-get install graphviz) to draw it anew")
    made = subprocess.run([program, "-Tsvg", source], capture_output=True, text=True, check=False)
    if made.returncode:
        raise PictureError(f"{source.name}: {made.stderr.strip()}")
    return f"{made.stdout.rstrip()}\n{mark}\n"
