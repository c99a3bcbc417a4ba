"""One panel of each kind, drawn into its place by matplotlib."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, Locator, MaxNLocator, MultipleLocator

from harness.prometheus import Series
from tools.panel_pictures.words import MEBI, color, cut, name, number

COLORS: Final = {"green": "#2e7d32", "yellow": "#b08900", "orange": "#d9730d", "red": "#c62828"}
LINES: Final = (
    "#3b7dd8",
    "#d9730d",
    "#2e7d32",
    "#8e44ad",
    "#c62828",
    "#0f8b8d",
    "#b08900",
    "#6b7280",
    "#d6589f",
    "#4b5563",
)
INK: Final = "#1f2937"
FAINT: Final = "#6b7280"
LEGEND: Final = 6
"""Series named below a panel; the rest is counted."""
MOST_LINES: Final = 3
"""Of a legend: the panel's content needs the rest."""
LONG: Final = 7
"""Characters of a number that is written smaller."""
LETTER: Final = 0.068
"""Inches that a letter of the small print takes."""
NOTHING: Final = "no data"
TICKS: Final = 4
NICE: Final = {
    "s": (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400),
    "bytes": tuple(MEBI * size for size in (1, 5, 10, 20, 50, 100, 200, 500, 1000)),
}
"""Steps between the ticks of an axis, where the decimal ones are not those of the unit."""
MINUTES: Final = (60, 120, 180, 300, 600, 900, 1800, 3600)

Answers = Sequence[Sequence[Series]]
Span = tuple[float, float]
"""Unix times: what the axes of time show."""


def stat(axes: Axes, panel: Mapping[str, Any], answers: Answers, _: Span) -> None:
    """One number, or one for each series."""
    axes.axis("off")
    defaults = panel["fieldConfig"]["defaults"]
    unit = defaults.get("unit", "short")
    steps = defaults.get("thresholds", {}).get("steps", [])
    words = {key: one["text"] for found in defaults.get("mappings", []) for key, one in found["options"].items()}
    shown = [(target, series) for target, found in zip(panel["targets"], answers, strict=True) for series in found]
    if not shown:
        axes.text(0.5, 0.5, "-", ha="center", va="center", fontsize=20, color=FAINT)
    for place, (target, series) in enumerate(shown[:3]):
        value = series.points[-1][1]
        text = words.get(f"{value:g}", number(value, unit))
        height = 1 - (place + 0.5) / min(len(shown), 3)
        size = 13 if len(shown) > 1 else 21 if len(text) < LONG else 17
        axes.text(0.5, height, text, ha="center", va="center", fontsize=size, color=COLORS[color(value, steps)])
        if "{{" in target["legendFormat"]:
            legend = name(target["legendFormat"], series.labels)
            axes.text(
                0.5, height - 0.42 / min(len(shown), 3), legend, ha="center", va="center", fontsize=8, color=FAINT
            )


def series(axes: Axes, panel: Mapping[str, Any], answers: Answers, span: Span) -> None:
    """Lines over time, or stacked bars."""
    drawn = _named(panel, answers)
    unit = panel["fieldConfig"]["defaults"].get("unit", "short")
    if panel["fieldConfig"]["defaults"].get("custom", {}).get("drawStyle") == "bars":
        _bars(axes, drawn)
    else:
        for place, (_, points) in enumerate(drawn):
            times, values = zip(*points, strict=True)
            axes.plot(times, values, color=LINES[place % len(LINES)], linewidth=1.3)
    axes.set_ylim(bottom=0)
    if axes.get_ylim()[1] < 1 and unit == "short" and all(value == 0 for _, points in drawn for _, value in points):
        axes.set_ylim(0, 1)
    axes.yaxis.set_major_locator(_locator(axes.get_ylim()[1], unit, whole=_whole(drawn)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value, unit)))
    start, end = span
    axes.set_xlim(start, end)
    axes.xaxis.set_major_locator(MultipleLocator(_nice((end - start) / TICKS, MINUTES)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{datetime.fromtimestamp(at, UTC):%H:%M}"))
    axes.grid(color="#e5e7eb", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=7.5, labelcolor=FAINT)
    for side in axes.spines.values():
        side.set_visible(False)
    _legend(axes, [name for name, _ in drawn])


def _named(panel: Mapping[str, Any], answers: Answers) -> list[tuple[str, Sequence[tuple[float, float]]]]:
    """Name -> points without gaps of NaN, which a quantile of nothing is; those with nothing but 0 come last."""
    found: list[tuple[str, Sequence[tuple[float, float]]]] = []
    for target, answer in zip(panel["targets"], answers, strict=True):
        for one in answer:
            points = [(at, value) for at, value in one.points if value == value]  # noqa: PLR0124 - NaN
            if points:
                found.append((name(target["legendFormat"], one.labels), points))
    return sorted(found, key=lambda one: -max(value for _, value in one[1])) if len(panel["targets"]) == 1 else found


def _locator(top: float, unit: str, *, whole: bool) -> Locator:
    if unit in NICE:
        return MultipleLocator(_nice(top / TICKS, NICE[unit]))
    return MaxNLocator(TICKS, integer=whole)


def _nice(least: float, steps: Sequence[float]) -> float:
    return next((step for step in steps if step >= least), steps[-1])


def _whole(drawn: Sequence[tuple[str, Sequence[tuple[float, float]]]]) -> bool:
    return all(value == int(value) for _, points in drawn for _, value in points)


def _bars(axes: Axes, drawn: Sequence[tuple[str, Sequence[tuple[float, float]]]]) -> None:
    """Each as one outline, on top of those before."""
    times = sorted({at for _, points in drawn for at, _ in points})
    step = min((after - before for before, after in pairwise(times)), default=10)
    edges = [*(at - step / 2 for at in times), *(at + step / 2 for at in times[-1:])]
    below = [0.0] * len(times)
    for place, (_, points) in enumerate(drawn):
        known = dict(points)
        above = [low + known.get(at, 0) for low, at in zip(below, times, strict=True)]
        axes.stairs(above, edges, baseline=below, fill=True, color=LINES[place % len(LINES)], alpha=0.75, linewidth=0)
        below = above


def _legend(axes: Axes, names: Sequence[str]) -> None:
    """Below the panel, in lines that are filled from left to right."""
    box = axes.get_position()
    inches = box.width * axes.figure.get_figwidth()
    height = box.height * axes.figure.get_figheight()
    named = _room(names, inches)
    shown = _shown(names, named)
    if not shown:
        axes.text(0.5, 0.5, NOTHING, ha="center", va="center", transform=axes.transAxes, fontsize=9, color=FAINT)
    at, line = 0.0, 0
    for place, text in enumerate(shown):
        short = cut(text, int(inches / LETTER) - 4)
        width = (len(short) + 3) * LETTER
        if at and at + width > inches + 0.3:
            at, line = 0.0, line + 1
        y = -(0.33 + 0.155 * line) / height
        shade = LINES[place % len(LINES)] if place < named else FAINT
        axes.text(at / inches, y, "■", transform=axes.transAxes, fontsize=7, color=shade, va="center")
        axes.text((at + 0.13) / inches, y, short, transform=axes.transAxes, fontsize=7.5, color=INK, va="center")
        at += width


def _room(names: Sequence[str], inches: float) -> int:
    """How many names a legend of some lines has room for."""
    counts = range(min(LEGEND, len(names)), 0, -1)
    return next((count for count in counts if _lines(_shown(names, count), inches) <= MOST_LINES), len(names[:1]))


def _shown(names: Sequence[str], count: int) -> list[str]:
    """So many names; the rest is counted."""
    return [*names[:count], *([f"and {len(names) - count} more"] if len(names) > count else [])]


def _lines(shown: Sequence[str], inches: float) -> int:
    at, lines = 0.0, 1
    for text in shown:
        width = (len(cut(text, int(inches / LETTER) - 4)) + 3) * LETTER
        if at and at + width > inches + 0.3:
            at, lines = 0.0, lines + 1
        at += width
    return lines


def lines_of_legend(panel: Mapping[str, Any], answers: Answers, inches: float) -> int:
    """How many lines the legend of a panel takes at a width."""
    names = [name for name, _ in _named(panel, answers)]
    return _lines(_shown(names, _room(names, inches)), inches)


def table(axes: Axes, panel: Mapping[str, Any], answers: Answers, _: Span) -> None:
    """Labels and the value, the largest first."""
    axes.axis("off")
    options = panel["transformations"][0]["options"]
    unit = panel["fieldConfig"]["defaults"].get("unit", "short")
    rows = sorted(answers[0], key=lambda one: (-one.points[-1][1], sorted(one.labels.items())))
    if not rows:
        axes.text(0.5, 0.5, NOTHING, ha="center", va="center", fontsize=9, color=FAINT)
        return
    order = options["indexByName"]
    columns = sorted(
        {key for one in rows for key in one.labels if key != "__name__"}, key=lambda key: order.get(key, 99)
    )
    cells = [[*columns, options["renameByName"]["Value"]]]
    cells += [[*(one.labels.get(key, "") for key in columns), number(one.points[-1][1], unit)] for one in rows]
    inches = axes.get_position().height * axes.figure.get_figheight()
    most = int(inches / 0.2)
    widths = [max(len(line[place]) for line in cells) for place in range(len(cells[0]))]
    starts = [sum(widths[:place]) / sum(widths) for place in range(len(widths))]
    for line, cell in enumerate(cells[:most]):
        y = 1 - (line + 0.5) / most
        for place, text in enumerate(cell):
            last = place == len(cell) - 1
            style = {"fontsize": 7.5, "va": "center", "color": FAINT if line == 0 else INK}
            axes.text(1 if last else starts[place], y, text, ha="right" if last else "left", **style)
        axes.axhline(1 - (line + 1) / most, color="#e5e7eb", linewidth=0.7)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    if len(cells) > most:
        axes.text(0, -0.05, f"and {len(cells) - most} more", fontsize=7.5, color=FAINT, va="center")


KINDS: Final[Mapping[str, Callable[[Axes, Mapping[str, Any], Answers, Span], None]]] = {
    "stat": stat,
    "timeseries": series,
    "table": table,
}
