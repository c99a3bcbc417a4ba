"""Reads manifests from files as `kubectl` would, but trusts them less: bounded, no cycles, no duplicate keys.

Every value keeps the line it stands on, so that a violation can point there. Errors: `Unreadable`, with the file
and a sentence.
"""

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

_SCALAR_TEXT: Final = "tag:yaml.org,2002:str"


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
    """The files that an argument names: itself, or all manifests below a directory, in order. Raises Unreadable."""
    path = Path(argument)
    if argument == STDIN or path.is_file():
        yield argument
    elif path.is_dir():
        found = sorted(one for one in path.rglob("*") if one.suffix in SUFFIXES and one.is_file())
        if not found:
            raise Unreadable(argument, "no .yaml, .yml or .json file below this directory")
        yield from (str(one) for one in found)
    elif path.exists():
        raise Unreadable(argument, "is neither a file nor a directory")
    else:
        raise Unreadable(argument, "no such file or directory")


def read(file: str) -> Iterator[Document]:
    """All documents of a file (`-`: standard input); empty ones are left out but counted. Raises Unreadable."""
    text = _text(file)
    budget = _Budget(file)
    index = 0
    loader = Loader(text)
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
    """libyaml builds values by recursion in C, and deep nesting would end the process: its events do not."""
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
        return _scalar(node)
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
        if not isinstance(key_node, yaml.ScalarNode):
            raise Unreadable(budget.file, f"line {line}: a key must be a plain word")
        key = str(key_node.value)
        if key_node.tag == "tag:yaml.org,2002:merge":
            for source in value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]:
                value = _value(source, path, lines, budget, inside)
                merged = (value if isinstance(value, dict) else {}) | merged
            continue
        if key in found:
            raise Unreadable(budget.file, f"line {line}: the key {key[:80]!r} stands here twice")
        found[key] = _value(value_node, f"{path}.{key}" if path else key, lines, budget, inside)
    return merged | found


def _scalar(node: yaml.ScalarNode) -> Any:
    """As the API server's YAML reader sees it: numbers, booleans, null; anything else, dates among it, is text."""
    text: str = node.value
    kind = node.tag.rpartition(":")[2]
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in {"true", "yes", "on"}
    if kind in {"int", "float"} and ":" not in text:  # 1:30 is a number in base 60 for PyYAML alone
        return _number(text.replace("_", ""), kind)
    return text


def _number(text: str, kind: str) -> Any:
    try:
        if kind == "float":
            return float(text)
        sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
        if digits.startswith("0") and digits.isdigit() and len(digits) > 1:
            return sign * int(digits, 8)
        return sign * int(digits, 0)
    except ValueError:
        return text
