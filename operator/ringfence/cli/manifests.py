"""Reads manifests from files as `kubectl` would, but trusts them less: bounded, no cycles, no duplicate keys.

Every value keeps the line it stands on, so that a violation can point there. Errors: `Unreadable`, with the file
and a sentence.
"""

import os
import re
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

import yaml
from yaml.composer import Composer

from . import scalars

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

_SURROGATES: Final = re.compile(
    r"""\\\\                                                          # no escape begins at its second half
    |\\u(?P<high>[dD][89abAB][0-9a-fA-F]{2})(?:\\u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2}))?
    |\\u[dD][c-fC-F][0-9a-fA-F]{2}""",
    re.VERBOSE,
)
"""In JSON a character beyond U+FFFF may be two escapes; to a YAML reader each of them is a mistake."""


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


def find(argument: str, exclude: Sequence[str] = ()) -> Iterator[str]:
    """The files that an argument names: itself, or all manifests below a directory, in order. Raises Unreadable.

    `exclude`: patterns such as `charts` or `*/testdata/*.yaml`. What they match below a directory is left out: by its
    name or by its path from that directory. Links to directories are not followed, so a circle of them is none. What
    is named itself may be a pipe: `<(...)`.
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
    found = sorted(_below(argument, exclude))
    if not found:
        but = " that is not excluded" if exclude else ""
        raise Unreadable(argument, f"no .yaml, .yml or .json file below this directory{but}")
    yield from map(str, found)


def _below(directory: str, exclude: Sequence[str]) -> Iterator[Path]:
    """A directory that cannot be looked into must not be passed over: who knows what is in it."""

    def refuse(failure: OSError) -> None:
        raise Unreadable(str(failure.filename), failure.strerror or "cannot be read")

    def left_out(path: Path) -> bool:
        inside = path.relative_to(directory).as_posix()
        return any(fnmatch(path.name, pattern) or fnmatch(inside, pattern.rstrip("/")) for pattern in exclude)

    for place, folders, names in os.walk(directory, onerror=refuse):
        folders[:] = [name for name in folders if not left_out(Path(place, name))]
        for name in names:
            path = Path(place, name)
            if path.suffix in SUFFIXES and path.is_file() and not left_out(path):
                yield path


def read(file: str) -> Iterator[Document]:
    """All documents of a file (`-`: standard input); empty ones are left out but counted. Raises Unreadable."""
    text = _text(file)
    budget = _Budget(file)
    index = 0
    loader = _Loader(file, text)
    try:
        while loader.check_node():
            node: yaml.Node | None = loader.get_node()
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


class _Loader(Loader):
    """From the parser's events to nodes, bounded, and with the meaning of untagged scalars left to `scalars`.

    The nodes are made here and not by libyaml, which makes them by recursion in C: deep nesting would end the process.
    """

    check_node: Any = Composer.check_node
    get_node: Any = Composer.get_node
    compose_document = Composer.compose_document
    compose_scalar_node = Composer.compose_scalar_node
    compose_sequence_node = Composer.compose_sequence_node
    compose_mapping_node = Composer.compose_mapping_node

    def __init__(self, file: str, text: str) -> None:
        super().__init__(text)
        self.anchors: dict[str, yaml.Node] = {}
        self._file = file
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> Any:
        """The node that begins at the next event. Raises Unreadable where it is too deep."""
        event: Any = self.peek_event()
        if self._depth > MAX_DEPTH:
            raise Unreadable(self._file, f"line {event.start_mark.line + 1}: nested deeper than {MAX_DEPTH} levels")
        if event.anchor is not None and not isinstance(event, yaml.AliasEvent):
            self.anchors.pop(event.anchor, None)  # a name may be given again, and means the newest from there on
        self._depth += 1
        node: Any = Composer.compose_node(self, parent, index)  # type: ignore[arg-type]
        self._depth -= 1
        return node

    def resolve(self, kind: type[yaml.Node], value: str | None, implicit: Any) -> str:
        """The tag of a node that has none."""
        if kind is yaml.ScalarNode and implicit[0]:
            return scalars.PLAIN
        return str(super().resolve(kind, value, implicit))  # type: ignore[no-untyped-call]


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
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        raise Unreadable(file, f"is not UTF-8 text (byte {failure.start})") from failure
    return _SURROGATES.sub(_character, text) if text.lstrip().startswith("{") else text


def _character(escape: re.Match[str]) -> str:
    """The character that a pair of escapes in JSON stands for; U+FFFD for half a pair, as for `kubectl`."""
    high, low = escape["high"], escape["low"]
    if escape[0] == r"\\":
        return r"\\"
    if high is None or low is None:
        return "\ufffd"
    return chr(0x10000 + (int(high, 16) - 0xD800) * 0x400 + int(low, 16) - 0xDC00)


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
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node, budget.file)
    inside = (*open_nodes, id(node))
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, f"{path}[{n}]", lines, budget, inside) for n, item in enumerate(node.value)]
    found: dict[str, Any] = {}
    _fill(found, node, path, lines, budget, inside)
    return found


def _fill(
    found: dict[str, Any],
    node: yaml.Node,
    path: str,
    lines: dict[str, int],
    budget: _Budget,
    inside: tuple[int, ...],
) -> None:
    """Put what a mapping holds into `found`.

    In the order of the text, merges (`<<`) among the rest, as kubectl's reader does: what comes later wins, and so a
    merge takes the place of a key that stands before it.
    """
    own: set[str] = set()
    for key_node, value_node in node.value:
        if key_node.value == "<<" and key_node.tag in {scalars.PLAIN, "tag:yaml.org,2002:merge"}:
            # Of a list of sources the first wins: it is merged last.
            sources = reversed(value_node.value) if isinstance(value_node, yaml.SequenceNode) else [value_node]
            for source in sources:
                budget.take(source, inside)
                if not isinstance(source, yaml.MappingNode):
                    line = source.start_mark.line + 1
                    raise Unreadable(budget.file, f"line {line}: << merges a mapping or a list of mappings only")
                _fill(found, source, path, lines, budget, (*inside, id(source)))
            continue
        key = _key(key_node, budget.file)
        if key in own:
            line = key_node.start_mark.line + 1
            raise Unreadable(budget.file, f"line {line}: the key {key[:80]!r} stands here twice")
        own.add(key)
        found[key] = _value(value_node, f"{path}.{key}" if path else key, lines, budget, inside)


def _key(node: yaml.Node, file: str) -> str:
    """A key as text: to the API server's reader `on: x` is the key `true`."""
    value = _scalar(node, file) if isinstance(node, yaml.ScalarNode) else None
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        raise Unreadable(file, f"line {node.start_mark.line + 1}: a key must be a plain word")
    return str(value)


def _scalar(node: yaml.ScalarNode, file: str) -> Any:
    try:
        return scalars.meaning(node.tag, node.value)
    except ValueError as failure:
        raise Unreadable(file, f"line {node.start_mark.line + 1}: {failure}") from None
