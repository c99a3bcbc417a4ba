"""The floor and the guards as files for the API server (KEP-5793), which nobody changes through the API.

`floor.json` beside this module is what the chart `ringfence` renders, with marks where its values go; it is made by
`make generate` (tools/static_floor.py), which says what a file cannot have and what stands there instead.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Final

__all__ = [
    "LIST_MARK",
    "NAMESPACE_MARK",
    "NAME_MARK",
    "RELEASE_MARK",
    "SUFFIX",
    "FloorValues",
    "read_values",
    "static_manifests",
]

SUFFIX: Final = ".static.k8s.io"
"""How every name in such a file ends; the API server demands it, and takes no such name from anybody else."""
NAME_MARK: Final = "name-of-ringfence"
RELEASE_MARK: Final = "release-of-ringfence"
NAMESPACE_MARK: Final = "namespace-of-ringfence"
LIST_MARK: Final = "@{}@"
"""The only item of a list that comes from the chart's values, such as @guards.exempt@."""

PARTS: Final = ("floor", "guards")
"""Parts of the chart's values, each with a switch `enabled`, and of what is in `floor.json`."""
NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")

Manifest = dict[str, Any]


@dataclass(frozen=True)
class FloorValues:
    """What a release of the chart was installed with, as far as floor and guards depend on it."""

    namespace: str
    release: str = "ringfence"
    name: str = "ringfence"
    parts: frozenset[str] = frozenset(PARTS)
    lists: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Path of a value of the chart, such as guards.exempt -> its items. What is not here is as in the chart."""
    choices: Mapping[str, Any] = field(default_factory=dict)
    """The same of a value that is chosen from a few, such as certificates.provider."""


def read_values(namespace: str, release: str, values: Mapping[str, Any]) -> tuple[FloorValues, list[str]]:
    """What a file of values of the chart says of floor and guards, and what is wrong with it, each with its path.

    Values of other parts of the chart are not looked at: helm does.
    """
    known = _packaged()["values"]
    choices, wrong = _chosen(values)
    lists: dict[str, Sequence[str]] = {}
    off: set[str] = set()
    for path, value in _leaves({part: values[part] for part in PARTS if values.get(part) is not None}):
        part, _, rest = path.partition(".")
        if path in choices:
            continue
        if rest == "enabled" and isinstance(value, bool):
            off |= set() if value else {part}
        elif rest == "enabled":
            wrong.append(f"{path}: must be true or false")
        elif path not in known:
            wrong.append(f"{path}: the chart has no such value here; it has {', '.join(_paths(known))}")
        elif not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            wrong.append(f"{path}: must be a list of names, such as [system:serviceaccount:velero:velero]")
        elif any("*" in item for item in value):
            wrong.append(f"{path}: a name stands for itself: '*' is none")
        else:
            lists[path] = value
    name = values.get("fullnameOverride") or FloorValues.name
    if not isinstance(name, str) or not NAME.fullmatch(name):
        wrong.append("fullnameOverride: must be at most 40 of a-z, 0-9 and '-', a letter or digit first and last")
        name = FloorValues.name
    return FloorValues(namespace, release, name, frozenset(PARTS) - off, lists, choices), wrong


def _chosen(values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    found: dict[str, Any] = {}
    wrong: list[str] = []
    for path, choice in _packaged()["choices"].items():
        value: Any = values
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        found[path] = choice["default"] if value is None else value
        if not any(found[path] is one or found[path] == one for one in choice["of"]):
            wrong.append(f"{path}: must be one of {', '.join(map(json.dumps, choice['of']))}")
    return found, wrong


def static_manifests(values: FloorValues) -> list[Manifest]:
    """ValidatingAdmissionPolicies, each with its binding; none where both parts are off."""
    packaged = _packaged()
    lists = packaged["values"] | dict(values.lists)
    choice = {path: one["default"] for path, one in packaged["choices"].items()} | dict(values.choices)
    entries = [one for part in PARTS if part in values.parts for one in packaged[part]]
    chosen = [one["manifest"] for one in entries if "when" not in one or choice in one["when"]]
    found: list[Manifest] = _filled(chosen, values, lists)
    return found


@cache
def _packaged() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files(__package__).joinpath("floor.json").read_text(encoding="utf-8"))
    return found


def _paths(known: Mapping[str, Any]) -> list[str]:
    choices = [path for path in _packaged()["choices"] if path.partition(".")[0] in PARTS]
    return sorted([*known, *choices, *(f"{part}.enabled" for part in PARTS)])


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from _leaves(below, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def _filled(value: Any, values: FloorValues, lists: Mapping[str, Sequence[str]]) -> Any:
    """A copy with the values in place of their marks."""
    if isinstance(value, str):
        text = value.replace(NAMESPACE_MARK, values.namespace).replace(NAME_MARK, values.name)
        text = text.replace(RELEASE_MARK, values.release)
        for path, items in lists.items():
            text = _with_items(text, json.dumps(LIST_MARK.format(path)), [_quoted(item) for item in items])
        return text
    if isinstance(value, dict):
        return {key: _filled(below, values, lists) for key, below in value.items()}
    if isinstance(value, list):
        return [_filled(below, values, lists) for below in value]
    return value


def _with_items(text: str, mark: str, items: Sequence[str]) -> str:
    """A list in CEL with items for a mark; with none, a comma goes too."""
    if items:
        return text.replace(mark, ",".join(items))
    return text.replace(f",{mark}", "").replace(f"{mark},", "").replace(mark, "")


def _quoted(item: str) -> str:
    """A string of CEL, written as helm's toJson writes it."""
    quoted = json.dumps(item, ensure_ascii=False)
    return "".join(f"\\u{ord(letter):04x}" if letter in "<>&\u2028\u2029" else letter for letter in quoted)
