"""docs/security/catalogue.md: ids are found where tests name them, and neither side may lack one."""

from pathlib import Path

import pytest
from tools import catalogue
from tools.catalogued import ENTRIES, Entry

SOURCE = '''"""About B1."""
TABLE = [("B2 a case", 1), ("CIS 5.1.2", 2)]
LONE = "B3"
CODE = "E731 S105 B3x XB4 T800 b5"  # noqa: B9


@mark(TABLE)
def test_table(case):
    """R4 and R5-like."""


def test_b6_and_b7_to_b9_are_tried():
    helper("B60")


class TestAll:
    """Of T1."""

    def test_inside(self):
        """G17."""


def helper(word):
    return "N3"
'''


def test_where_ids_are_found() -> None:
    assert set(catalogue.ids_of(SOURCE)) == {
        ("B1", ""),
        ("B2", "test_table"),
        ("B3", ""),
        ("R4", "test_table"),
        ("R5", "test_table"),
        ("B6", "test_b6_and_b7_to_b9_are_tried"),
        ("B7", "test_b6_and_b7_to_b9_are_tried"),
        ("B8", "test_b6_and_b7_to_b9_are_tried"),
        ("B9", "test_b6_and_b7_to_b9_are_tried"),
        ("B60", "test_b6_and_b7_to_b9_are_tried"),
        ("T1", "test_inside"),
        ("G17", "test_inside"),
        ("N3", ""),
    }


def test_both_sides_are_held_to_one_another() -> None:
    entry, both = Entry("x", "y"), "tests/a.py, tests/b.py"
    tests = {"B1": {("tests/a.py", "test_a")}, "B10": {("tests/a.py", ""), ("tests/b.py", "")}}
    assert list(catalogue.mismatches(tests, {"B1": entry, "R2": entry})) == [
        f"tools/catalogued.py: no row for B10, which is named in {both}: say what is tried and what holds",
        "tools/catalogued.py: a row for R2, which no test names",
    ]


def test_an_unknown_id_stops_the_generator(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text('def test_a():\n    """B99"""\n')
    with pytest.raises(catalogue.CatalogueError, match="no row for B99"):
        catalogue.files(tmp_path)


def test_each_row_says_both() -> None:
    assert all(entry.tried and entry.holds and "|" not in entry.tried + entry.holds for entry in ENTRIES.values())
