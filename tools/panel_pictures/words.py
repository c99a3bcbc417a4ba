"""Numbers and series as a reader wants them: with units, and with names. Pure."""

import re
from collections.abc import Mapping, Sequence

SECONDS = ((86400 * 2, 86400, "d"), (7200, 3600, "h"), (120, 60, "min"), (1, 1, "s"), (0, 0.001, "ms"))
"""From how many seconds on, which unit."""
MEBI = 1 << 20
THOUSAND = 1000
KEPT = 5


def number(value: float, unit: str) -> str:
    """A value of a panel in its unit: s, bytes, reqps, ops, short."""
    if unit == "s":
        return _seconds(value)
    if unit == "bytes":
        return f"{value / MEBI:.0f} MiB"
    text = f"{value:.3g}" if abs(value) < THOUSAND else f"{value:,.0f}"
    return f"{text}/s" if unit in {"reqps", "ops"} else text


def _seconds(value: float) -> str:
    if value == 0:
        return "0"
    size, unit = next((size, unit) for least, size, unit in SECONDS if abs(value) >= least)
    return f"{value / size:.3g} {unit}"


def name(legend: str, labels: Mapping[str, str]) -> str:
    """What a series is called: by the legend's template, or by its labels."""
    if legend == "__auto":
        return ", ".join(value for key, value in sorted(labels.items()) if key != "__name__")
    return re.sub(r"{{\s*(\w+)\s*}}", lambda found: labels.get(found[1], ""), legend).strip() or "none"


def color(value: float, steps: Sequence[Mapping[str, object]]) -> str:
    """Grafana's name of the colour that a value has by a panel's thresholds."""
    found = "green"
    for step in steps:
        least = step.get("value")
        if least is None or (isinstance(least, (int, float)) and value >= least):
            found = str(step["color"])
    return found


def cut(text: str, most: int) -> str:
    """A text of so many characters at the most, of which the last ones are kept: they tell pods apart."""
    return text if len(text) <= most else f"{text[: most - KEPT - 1]}…{text[-KEPT:]}"
