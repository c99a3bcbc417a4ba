"""The rows of the dashboards as they are stored: what there is to draw. Pure but for reading the files."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

DASHBOARDS: Final = "charts/ringfence/files/dashboards"
FOLDER: Final = "docs/pictures"
DRAWN: Final = ("stat", "timeseries", "table")
"""Types of panels with something to draw; a text is in the page itself."""


@dataclass(frozen=True)
class Row:
    """One row of a dashboard, with its panels as Grafana takes them."""

    board: str
    title: str
    panels: tuple[dict[str, Any], ...]

    @property
    def path(self) -> str:
        """Of its picture."""
        return f"{FOLDER}/{picture(self.board, self.title)}"


def picture(board: str, title: str) -> str:
    """Name of the file with a row's picture."""
    return f"dashboard-{board}-{re.sub(r'[^a-z0-9]+', '-', title.lower()).strip('-')}.svg"


def rows(root: Path) -> list[Row]:
    """All rows of all dashboards that have something to draw."""
    found = []
    for path in sorted((root / DASHBOARDS).glob("*.json")):
        title, panels = "", list[Any]()
        for panel in [*json.loads(path.read_text(encoding="utf-8"))["panels"], {"type": "row", "title": ""}]:
            if panel["type"] == "row":
                if panels:
                    found.append(Row(path.stem, title, tuple(panels)))
                title, panels = panel["title"], []
            elif panel["type"] in DRAWN:
                panels.append(panel)
    return found
