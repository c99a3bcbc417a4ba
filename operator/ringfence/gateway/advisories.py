"""Known faults of Envoy: a version with one of them is not run. The list is kept by hand, beside this file."""

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

OLDEST: Final = "1.38.1"
"""Nothing below it is run, whatever the list says."""


@dataclass(frozen=True)
class Advisory:
    """`fixed`: the first version without it. `option`: what has to be set besides; empty: nothing."""

    id: str
    fixed: str
    what: str
    source: str
    option: str = ""


def advisories() -> tuple[Advisory, ...]:
    """All that are known."""
    text = files("ringfence.gateway").joinpath("advisories.json").read_text(encoding="utf-8")
    return tuple(Advisory(**one) for one in json.loads(text))


def affecting(version: str) -> tuple[str, ...]:
    """Ids of those that this version has, such as 1.38.0. Raises ValueError for what is not a version."""
    held = _numbers(version)
    found = [one.id for one in advisories() if held < _numbers(one.fixed)]
    return tuple(found) if held >= _numbers(OLDEST) else (*found, f"older than {OLDEST}")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
