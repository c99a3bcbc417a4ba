"""docs/enforcement.md: field by field, what enforces it and which test proves it.

Nothing is generated while a field of a spec has no row in tools/enforced.py, a row has no field, or a test
that is named does not exist.
"""

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from ringfence.api.schema import structural_schema, walk
from tools.crds import KINDS
from tools.enforced import ALWAYS, FIELDS
from tools.enforced_rows import Row

PATH = "docs/enforcement.md"
HEAD = """\
<!-- Made by `make generate` from tools/enforced.py. Do not edit. -->
# What is enforced, by what, and which test proves it

A field enters the API in the same change as what enforces it and the test that tries to break it. This table is
made from a declaration in the code; the build fails when a field has no row, or when a test that is named is gone.
"""


class EnforcementError(Exception):
    """Fields without a row, rows without a field, tests that do not exist: one a line."""


def files(root: Path) -> dict[str, str]:
    """Path -> content. Raises EnforcementError."""
    if found := [*mismatches(set(leaves()), set(FIELDS)), *missing_tests([*FIELDS.values(), *ALWAYS.values()], root)]:
        raise EnforcementError("\n".join(found))
    return {PATH: _document()}


def leaves() -> Iterator[str]:
    """Every field of a spec that holds a value, such as `AgentDeployment.spec.network.egress[].cidr`."""
    for kind in KINDS:
        for path, node in walk(structural_schema(kind)):
            if path.startswith(".spec.") and path[-1] not in "]}" and not _has_fields(node):
                yield kind.kind + path


def mismatches(fields: set[str], rows: set[str]) -> Iterator[str]:
    """What one side has and the other lacks."""
    yield from (
        f"tools/enforced.py: no row for {name}: say what enforces it, and name a test" for name in sorted(fields - rows)
    )
    yield from (f"tools/enforced.py: a row for {name}, which is no field" for name in sorted(rows - fields))


def missing_tests(rows: Iterable[Row], root: Path) -> Iterator[str]:
    """Test ids `FILE::FUNCTION` that are not there, and rows that name none."""
    for row in rows:
        if not row.tests:
            yield f"tools/enforced.py: no test for {row.by!r}"
        for test in row.tests:
            path, _, function = test.partition("::")
            if function not in _functions(root / path):
                yield f"tools/enforced.py: there is no test {test}"


@cache
def _functions(path: Path) -> frozenset[str]:
    if not path.is_file():
        return frozenset()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _has_fields(node: dict[str, object]) -> bool:
    items = node.get("items")
    return "properties" in node or (isinstance(items, dict) and "properties" in items)


def _document() -> str:
    lines = [HEAD]
    for kind in KINDS:
        prefix = f"{kind.kind}.spec."
        rows = {f"`{name.removeprefix(prefix)}`": FIELDS[name] for name in leaves() if name.startswith(prefix)}
        lines += [f"## {kind.kind}: fields of spec", "", *_table("Field", rows)]
    lines += ["## What holds whatever the spec says", "", *_table("What", ALWAYS)]
    return "\n".join(lines)


def _table(title: str, rows: dict[str, Row]) -> list[str]:
    body = [f"| {name} | {row.by} | {'<br>'.join(map(_link, row.tests))} |" for name, row in rows.items()]
    return [f"| {title} | Enforced by | Proven by |", "|---|---|---|", *body, ""]


def _link(test: str) -> str:
    path, _, function = test.partition("::")
    return f"[`{function}`](../{path})"
