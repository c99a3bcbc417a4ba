"""Reads manifests from files as `kubectl` would, but trusts them less: bounded, no cycles, no duplicate keys.

Every value keeps the line it stands on, so that a violation can point there. Errors: `Unreadable`, with the file
and a sentence.
"""

import math
import os
import re
import stat
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

try:
    from yaml import CSafeLoader as Loader
except ImportError:  # a PyYAML without libyaml: slower, the same result
    from yaml import SafeLoader as Loader  # type: ignore[assignment]

MAX_BYTES: Final = 64 * 1024 * 1024
"""Largest file that is read. An object of the cluster is at most about 1.5 MiB (etcd); a file may hold many."""
MAX_NODES: Final = 2_000_000
"""Most values in one file, aliases counted as often as they are used: a bomb of aliases stops here."""
MAX_DEPTH: Final = 100
"""Deepest nesting; the API's deepest field is at 9."""
SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})
STDIN: Final = "-"

_PLAIN: Final = "tag:ringfence.dev:plain"
"""Stands for "no tag and no quotes": only then may a scalar mean something else than its text."""
_TAGS: Final[Mapping[str, tuple[type, ...]]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "null": (type(None),),
}
_WORDS: Final[Mapping[str, Any]] = {
    **{word: True for yes in ("y", "yes", "true", "on") for word in (yes, yes.title(), yes.upper())},
    **{word: False for no in ("n", "no", "false", "off") for word in (no, no.title(), no.upper())},
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **{sign + word: float(sign + "inf") for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")},
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]*|0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+)")
_OCTAL: Final = re.compile(r"[-+]?0[0-7]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_PLAIN_FLOATS: Final = 1e21
"""From here on Go writes a float into JSON with an exponent, so that it stays a float."""


class _Loader(Loader):
    """Leaves the meaning of untagged scalars to `resolve`."""

    def resolve(self, kind: type[yaml.Node], value: str | None, implicit: Any) -> str:
        """The tag of a node that has none."""
        if kind is yaml.ScalarNode and implicit[0]:
            return _PLAIN
        return str(super().resolve(kind, value, implicit))  # type: ignore[no-untyped-call]


class Unreadable(Exception):
    """A file that cannot be read as manifests. `file` as it was named; the message says where and why."""

    def __init__(self, file: str, message: str) -> None:
        super().__init__(f"{file}: {message}")
        self.file = file
        self.message = message


@dataclass(frozen=True)
class Document:
    """One YAML document. `index`: from 0 within the file; `lines`: path (`spec.env[0].name`) -> line from 1."""

    file: str
    index: int
    content: Any
    lines: Mapping[str, int] = field(default_factory=dict)

    def line(self, path: str) -> int:
        """Line of the value at `path`, or of its nearest parent that is there."""
        while path and path not in self.lines:
            cut = max(path.rfind("."), path.rfind("["))
            path = path[:cut] if cut > 0 else ""
        return self.lines.get(path, 1)


def find(argument: str) -> Iterator[str]:
    """The files that an argument names: itself, or all manifests below a directory, in order. Raises Unreadable.

    Links to directories are not followed, so a circle of them is none. What is named itself may be a pipe: `<(...)`.
    """
    try:
        mode = None if argument == STDIN else Path(argument).stat().st_mode
    except FileNotFoundError:
        raise Unreadable(argument, "no such file or directory") from None
    except (OSError, ValueError) as failure:  # ValueError: a NUL in the name
        raise Unreadable(argument, getattr(failure, "strerror", None) or "no name of a file") from failure
    if mode is None or not stat.S_ISDIR(mode):
        yield argument
        return
    found = sorted(_below(argument))
    if not found:
        raise Unreadable(argument, "no .yaml, .yml or .json file below this directory")
    yield from map(str, found)


def _below(directory: str) -> Iterator[Path]:
    """A directory that cannot be looked into must not be passed over: who knows what is in it."""

    def refuse(failure: OSError) -> None:
        raise Unreadable(str(failure.filename), failure.strerror or "cannot be read")

    for place, _, names in os.walk(directory, onerror=refuse):
        for name in names:
            path = Path(place, name)
            if path.suffix in SUFFIXES and path.is_file():
                yield path


def read(file: str) -> Iterator[Document]:
    """All documents of a file (`-`: standard input); empty ones are left out but counted. Raises Unreadable."""
    text = _text(file)
    budget = _Budget(file)
    index = 0
    loader = _Loader(text)
    try:
        _check_depth(file, text)
        while loader.check_node():
            node = loader.get_node()
            lines: dict[str, int] = {}
            content = _value(node, "", lines, budget, ()) if node else None
            if content is not None:
                yield Document(file, index, content, lines)
            index += 1
    except yaml.MarkedYAMLError as failure:
        mark = failure.problem_mark or failure.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise Unreadable(file, f"{where}not YAML: {failure.problem or failure.context}") from failure
    except yaml.YAMLError as failure:
        raise Unreadable(file, f"not YAML: {failure}") from failure
    finally:
        loader.dispose()


def _check_depth(file: str, text: str) -> None:
    """Libyaml builds values by recursion in C, and deep nesting would end the process: its events do not."""
    depth = 0
    for event in yaml.parse(text, Loader=Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                line = event.start_mark.line + 1 if event.start_mark else 0
                raise Unreadable(file, f"line {line}: nested deeper than {MAX_DEPTH} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _text(file: str) -> str:
    try:
        if file == STDIN:
            if sys.stdin is None or sys.stdin.isatty():
                raise Unreadable(file, "standard input is a terminal: pipe manifests into it, or name a file")
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(file).open("rb") as stream:
                data = stream.read(MAX_BYTES + 1)
    except OSError as failure:
        raise Unreadable(file, failure.strerror or "cannot be read") from failure
    if not data.strip():
        raise Unreadable(file, "is empty: no manifest in it")
    if len(data) > MAX_BYTES:
        raise Unreadable(file, f"is larger than {MAX_BYTES // 1024 // 1024} MiB")
    if b"\0" in data:
        raise Unreadable(file, "is a binary file, not a manifest")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        raise Unreadable(file, f"is not UTF-8 text (byte {failure.start})") from failure


class _Budget:
    """Counts values; the whole file shares one."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._left = MAX_NODES

    def take(self, node: yaml.Node, open_nodes: tuple[int, ...]) -> None:
        self._left -= 1
        line = node.start_mark.line + 1
        if self._left < 0:
            raise Unreadable(self.file, f"line {line}: more than {MAX_NODES} values, aliases counted (a YAML bomb?)")
        if id(node) in open_nodes:
            raise Unreadable(self.file, f"line {line}: an alias leads back to itself")
        if len(open_nodes) > MAX_DEPTH:  # by aliases: what is written out was checked before
            raise Unreadable(self.file, f"line {line}: nested deeper than {MAX_DEPTH} levels")


def _value(node: yaml.Node, path: str, lines: dict[str, int], budget: _Budget, open_nodes: tuple[int, ...]) -> Any:
    budget.take(node, open_nodes)
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node, budget.file)
    inside = (*open_nodes, id(node))
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, f"{path}[{n}]", lines, budget, inside) for n, item in enumerate(node.value)]
    return _mapping(node, path, lines, budget, inside)


def _mapping(
    node: yaml.Node, path: str, lines: dict[str, int], budget: _Budget, inside: tuple[int, ...]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    merged: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if key_node.value == "<<" and key_node.tag in {_PLAIN, "tag:yaml.org,2002:merge"}:
            for source in value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]:
                value = _value(source, path, lines, budget, inside)
                merged = (value if isinstance(value, dict) else {}) | merged
            continue
        key = _key(key_node, budget.file)
        if key in found:
            raise Unreadable(budget.file, f"line {line}: the key {key[:80]!r} stands here twice")
        found[key] = _value(value_node, f"{path}.{key}" if path else key, lines, budget, inside)
    return merged | found


def _key(node: yaml.Node, file: str) -> str:
    """A key as text: to the API server's reader `on: x` is the key `true`."""
    value = _scalar(node, file) if isinstance(node, yaml.ScalarNode) else None
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        raise Unreadable(file, f"line {node.start_mark.line + 1}: a key must be a plain word")
    return str(value)


def _scalar(node: yaml.ScalarNode, file: str) -> Any:
    """What a scalar means: text as it is, or what its tag asks for."""
    text: str = node.value
    if node.tag == _PLAIN:
        return _as_json(resolve(text))
    kind = node.tag.rpartition(":")[2]
    if kind not in _TAGS:
        return text
    value = resolve(text)
    if type(value) not in _TAGS[kind]:
        raise Unreadable(file, f"line {node.start_mark.line + 1}: cannot be read as !!{kind}")
    return _as_json(value)


def resolve(text: str) -> Any:
    """What an untagged, unquoted scalar means to the API server's YAML reader (go.yaml.in/yaml/v2, resolve.go).

    It is neither YAML 1.1 nor 1.2: `y` is true, 08 is 8, 1e0 is a number, 1:30 and dates are text.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[:1] not in "+-.0123456789":
        return text
    digits = text if text.startswith(".") else text.replace("_", "")
    if _INTEGER.fullmatch(digits):
        number = int(digits, 8) if _OCTAL.fullmatch(digits) else int(digits, 0)
        if -(2**63) <= number < 2**64:
            return number
    if _FLOAT.fullmatch(digits) and math.isfinite(value := float(digits)):
        return value
    return text


def _as_json(value: Any) -> Any:
    """3.0 reaches the API server as 3: Go writes it into JSON so."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _PLAIN_FLOATS:
        return int(value)
    return value
