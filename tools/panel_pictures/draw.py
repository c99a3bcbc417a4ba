"""One row of a dashboard as an SVG, laid out as Grafana does. The same answers give the same bytes."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from tools.panel_pictures.kinds import INK, KINDS, Answers, Span, lines_of_legend

mpl.rcParams.update(
    {"svg.fonttype": "none", "svg.hashsalt": "ringfence", "font.family": "DejaVu Sans", "path.simplify_threshold": 0.5}
)

WIDTH: Final = 12.0
"""Inches; the grid has 24 columns."""
UNIT: Final = 0.26
"""Inches of one of the grid's units of height."""
GAP: Final = 0.06
NARROW: Final = 0.15
"""Of a row's width: a panel with a smaller title."""
TITLE: Final = 0.3
"""Inches above a panel's content."""


def drawn(panels: Sequence[Mapping[str, Any]], answers: Sequence[Answers], span: Span) -> str:
    """The row. `answers`: for each panel the series of each of its queries. `span`: the time that is shown."""
    top = min(panel["gridPos"]["y"] for panel in panels)
    bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    height = (bottom - top) * UNIT
    figure = Figure(figsize=(WIDTH, height), facecolor="white")
    for panel, answer in zip(panels, answers, strict=True):
        at = panel["gridPos"]
        left, width = at["x"] * WIDTH / 24 + GAP, at["w"] * WIDTH / 24 - 2 * GAP
        high = at["h"] * UNIT - 2 * GAP
        low = height - (at["y"] - top) * UNIT - high - GAP
        _frame(figure, panel["title"], (left / WIDTH, low / height, width / WIDTH, high / height))
        over, under = _margins(panel, answer, width)
        inner = (left + over[0], low + under, width - sum(over), high - under - TITLE)
        box = (inner[0] / WIDTH, inner[1] / height, inner[2] / WIDTH, inner[3] / height)
        KINDS[panel["type"]](figure.add_axes(box), panel, answer, span)
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return _small(file.getvalue())


def _margins(panel: Mapping[str, Any], answers: Answers, width: float) -> tuple[tuple[float, float], float]:
    """Inches to the left and right of a panel's content, and below it."""
    if panel["type"] != "timeseries":
        return (0.12, 0.12), 0.12
    inner = width - 0.58 - 0.15
    return (0.58, 0.15), 0.42 + 0.155 * lines_of_legend(panel, answers, inner)


def _frame(figure: Figure, title: str, box: tuple[float, float, float, float]) -> None:
    left, low, width, high = box
    frame = FancyBboxPatch((left, low), width, high, boxstyle="square,pad=0", facecolor="white", edgecolor="#d1d5db")
    frame.set_zorder(-1)  # below the panel's content
    figure.add_artist(frame)
    inches = figure.get_figheight()
    y = low + high - 0.15 / inches
    figure.text(
        left + 0.1 / WIDTH, y, title, fontsize=9 if width > NARROW else 8, fontweight="bold", color=INK, va="center"
    )


def _small(text: str) -> str:
    """Without digits that nobody sees, and without the empty lines and spaces at ends of lines."""
    text = re.sub(r"-?\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), text)
    return "\n".join(line.rstrip() for line in text.splitlines() if line.strip()) + "\n"
