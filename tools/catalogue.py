"""docs/security/catalogue.md: what the ids stand for, and which tests name them, read from the tests themselves.

Nothing is generated while a test names an id that has no row, or a row stands for an id that no test names.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from tools.catalogued import ENTRIES, Entry

PATH: Final = "docs/security/catalogue.md"
PLACES: Final = ("tests", "e2e")
NOT_HERE: Final = ("tests/unit/tools", "tests/unit/catalogue", "e2e/catalogue")
"""Tests of the generators and of the pack's runner hold ids as samples; the pack's own are in its files' names."""
ID: Final = re.compile(r"(?<![\w-])([BRTGN][0-9]{1,2})(?!\w)")
NAME: Final = re.compile(r"_([brtgn])([0-9]{1,2})(?:_to_\1([0-9]{1,2}))?(?=_)")
"""In the names of tests: `test_b75_...`, `test_b3_to_b9_...`."""
HEAD: Final = """\
<!-- Made by `make generate` from tools/catalogued.py and from the tests. Do not edit. -->
# Attacks and faults by their ids

Tests name what they try by a short id: `B` is a way around the fence or admission, `R` is a fault. An id never changes
its meaning. The last column is read from the tests; the build fails when a test names an id that is not here. (The
boundaries B1 to B4 of the [threat model](../threat-model.md) are something else: there, B stands for "boundary".)

A test with `CIS 5.1.x` in its id tries a control of the CIS Kubernetes Benchmark, chapter 5.
"""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Tests = dict[str, set[tuple[str, str]]]
"""Id -> (file, function); the function is empty where the file as a whole names it."""


class CatalogueError(Exception):
    """Ids without a row, rows without a test: one a line."""


def files(root: Path) -> dict[str, str]:
    """Path -> content. Raises CatalogueError."""
    tests = named(root)
    if found := list(mismatches(tests, ENTRIES)):
        raise CatalogueError("\n".join(found))
    return {PATH: _document(tests)}


def mismatches(tests: Tests, entries: dict[str, Entry]) -> Iterator[str]:
    """What one side has and the other lacks."""
    for one in sorted(tests.keys() - entries.keys(), key=_order):
        where = ", ".join(sorted({file for file, _ in tests[one]}))
        yield f"tools/catalogued.py: no row for {one}, which is named in {where}: say what is tried and what holds"
    for one in sorted(entries.keys() - tests.keys(), key=_order):
        yield f"tools/catalogued.py: a row for {one}, which no test names"


def named(root: Path) -> Tests:
    """Every id that the tests name."""
    tests: Tests = {}
    for place in PLACES:
        for path in sorted((root / place).rglob("*.py")):
            file = str(path.relative_to(root))
            if file.startswith(NOT_HERE):
                continue
            for one, function in ids_of(path.read_text(encoding="utf-8")):
                tests.setdefault(one, set()).add((file, function))
    return tests


def ids_of(source: str) -> Iterator[tuple[str, str]]:
    """(id, function that names it). A table at the top of a file counts for the tests that use it."""
    if not ID.search(source) and not NAME.search(source):
        return
    tree, lines = ast.parse(source), source.splitlines()
    functions = [node for node in ast.walk(tree) if isinstance(node, Function) and node.name.startswith("test_")]
    inside: set[int] = set()
    for function in functions:
        yield from ((one, function.name) for one in _in_name(function.name))
        span = range(min(one.lineno for one in [function, *function.decorator_list]) - 1, function.end_lineno or 0)
        inside.update(span)
        yield from ((one, function.name) for one in ID.findall(_text(lines, span)))
    for node in tree.body:
        span = range(node.lineno - 1, node.end_lineno or 0)
        found = set(ID.findall(_text(lines, [number for number in span if number not in inside])))
        users = [function.name for function in functions if _uses(function, _assigned(node))]
        if isinstance(node, ast.ClassDef):  # its comment is about its tests
            users = [function.name for function in functions if function in node.body]
        yield from ((one, user) for one in found for user in users or [""])


def _in_name(name: str) -> Iterator[str]:
    for letter, first, last in NAME.findall(f"{name}_"):
        for number in range(int(first), int(last or first) + 1):
            yield f"{letter.upper()}{number}"


def _assigned(node: ast.stmt) -> set[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", node)]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _uses(function: ast.AST, names: set[str]) -> bool:
    return any(isinstance(node, ast.Name) and node.id in names for node in ast.walk(function))


def _text(lines: list[str], span: Iterable[int]) -> str:
    return "\n".join(lines[number].partition("# noqa")[0] for number in span)


def _order(one: str) -> tuple[str, int]:
    return one[0], int(one[1:])


def _document(tests: Tests) -> str:
    lines = [HEAD]
    for title, letter in (("Ways around the fence and admission", "B"), ("Faults", "R")):
        lines += [f"## {title}", "", "| id | what is tried | what holds | tests |", "|---|---|---|---|"]
        for one in sorted((one for one in ENTRIES if one[0] == letter), key=_order):
            entry = ENTRIES[one]
            links = "<br>".join(_link(*test) for test in _shown(tests[one]))
            lines.append(f"| {one} | {entry.tried} | {entry.holds} | {links} |")
        lines.append("")
    return "\n".join(lines)


def _shown(tests: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """Functions where there are some: that their file names the id as well says nothing more."""
    return sorted((file, function) for file, function in tests if function) or sorted(tests)


def _link(file: str, function: str) -> str:
    return f"[`{function or Path(file).name}`](../../{file})"
