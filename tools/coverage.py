"""docs/security/coverage.md: each id of the known lists, with the tests that try it or the reason why none does.

Nothing is generated while an id is missing, names a test that is not there, or has neither a test on a real API server
nor a reason.
"""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from tools import catalogue, pack
from tools.catalogue import Tests
from tools.catalogued import ENTRIES
from tools.cover import Cover
from tools.covered import COVERED
from tools.covered_lists import LISTS

PATH: Final = "docs/security/coverage.md"
REAL: Final = ("tests/api/", "tests/chart/", "e2e/")
"""Folders whose tests ask a real API server."""
SHOWN: Final = 4
"""Tests that one row links; the others are counted."""


def _numbered(word: str, *ranges: tuple[int, int]) -> tuple[str, ...]:
    return tuple(f"{word}{number}" for first, last in ranges for number in range(first, last + 1))


CHAPTERS: Final[dict[str, tuple[str, ...]]] = {
    "Ways around the fence and admission (B)": _numbered("B", (1, 28), (30, 50), (60, 86)),
    "SIG Security's threat model of admission control (T)": _numbered("T", (1, 18)),
    "Kubernetes' good practices for admission webhooks (G)": _numbered("G", (1, 30)),
    "CIS Kubernetes Benchmark 1.12, 5.1 and 5.2": (*_numbered("CIS 5.1.", (1, 13)), *_numbered("CIS 5.2.", (1, 12))),
}
"""The lists as they are written down; numbers that are left out were never given."""
HEAD: Final = """\
<!-- Made by `make generate` from tools/covered*.py, the tests and the pack's cases. Do not edit. -->
# What is tried, id by id

Each id of four known lists, with what tries it: tests, and the [cases](../../e2e/catalogue/README.md) that anybody can
run. **Real**: at least one asks a real API server; where none does, the last column says why. What holds is in the
[catalogue](catalogue.md), what does not in [limits](../limits.md).
"""


def files(root: Path) -> dict[str, str]:
    """Path -> content. Raises CatalogueError."""
    given = COVERED | LISTS
    rows = covered(given, catalogue.named(root), cases(root))
    if found := list(mistakes(rows, given, root)):
        raise catalogue.CatalogueError("\n".join(found))
    return {PATH: _document(rows)}


def cases(root: Path) -> dict[str, list[str]]:
    """Id -> files of the pack that try it: each is called by its id."""
    written = {str(path.relative_to(root)) for path in (root / pack.FOLDER).rglob("*.yaml")}
    found: dict[str, list[str]] = {}
    for path in sorted(written | pack.files().keys()):
        found.setdefault(Path(path).stem.replace("CIS-", "CIS "), []).append(path)
    return found


def covered(given: Mapping[str, Cover], named: Tests, cases: Mapping[str, list[str]]) -> dict[str, Cover]:
    """Each id that is known anywhere, with all that tries it: FILE::TEST, or a file of the pack."""
    rows = {}
    for one in [one for ids in CHAPTERS.values() for one in ids]:
        cover = given.get(one, Cover())
        by_name = [f"{file}::{function}" for file, function in sorted(named.get(one, ())) if function]
        tests = dict.fromkeys((*cases.get(one, ()), *cover.tests, *by_name))
        tried = ENTRIES[one].tried if one in ENTRIES and not cover.tried else cover.tried
        rows[one] = Cover(tried, tuple(tests), cover.reason)
    return rows


def mistakes(rows: Mapping[str, Cover], given: Mapping[str, Cover], root: Path) -> Iterator[str]:
    """What is missing, one a line."""
    for one in sorted(given.keys() - rows.keys()):
        yield f"tools/covered.py: {one} is in none of the lists (tools/coverage.py: CHAPTERS)"
    for one, cover in rows.items():
        if not cover.tried:
            yield f"tools/covered.py: no row for {one}: say what it stands for, and name a test or a reason"
        elif not cover.reason and not any(map(real, cover.tests)):
            yield f"tools/covered.py: nothing asks a real API server about {one}: name such a test, or the reason"
        for test in cover.tests:
            file, _, name = test.partition("::")
            if name and name not in _tests_of(root / file):
                yield f"tools/covered.py: {one} names {test}, which is not there"


def real(test: str) -> bool:
    """Whether a test, or a case, asks a real API server."""
    return test.startswith(REAL)


@cache
def _tests_of(path: Path) -> frozenset[str]:
    if not path.is_file():
        return frozenset()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, catalogue.Function))


def _document(rows: Mapping[str, Cover]) -> str:
    lines = [HEAD]
    for title, ids in CHAPTERS.items():
        asked = sum(any(map(real, rows[one].tests)) for one in ids)
        lines += [f"## {title}", "", f"{len(ids)} ids; {asked} are tried on a real API server.", ""]
        lines += ["| id | what is tried | real | by | left open |", "|---|---|---|---|---|"]
        lines += [_row(one, rows[one]) for one in ids]
        lines.append("")
    return "\n".join(lines)


def _row(one: str, cover: Cover) -> str:
    tests = sorted(cover.tests, key=lambda test: not real(test))
    links = [_link(test) for test in tests[:SHOWN]]
    if len(tests) > SHOWN:
        links.append(f"and {len(tests) - SHOWN} more")
    yes = "yes" if any(map(real, tests)) else "no"
    return f"| {one} | {cover.tried} | {yes} | {'<br>'.join(links)} | {cover.reason} |"


def _link(test: str) -> str:
    file, _, name = test.partition("::")
    return f"[`{name or file.removeprefix('e2e/catalogue/')}`](../../{file})"
