"""docs/security/coverage.md: no id without a test on a real API server or a reason, and no test that is not there."""

from pathlib import Path

import pytest
from tools import coverage, pack
from tools.cover import Cover

REAL = "tests/chart/test_x.py::test_x"
PURE = "tests/unit/test_x.py::test_x"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for test in (REAL, PURE):
        path = tmp_path / test.partition("::")[0]
        path.parent.mkdir(parents=True)
        path.write_text("async def test_x() -> None: ...\n")
    return tmp_path


@pytest.mark.parametrize(
    ("cover", "wrong"),
    [
        (Cover("x", (REAL,)), ""),
        (Cover("x", (PURE,), "why"), ""),
        (Cover("x", ("e2e/catalogue/cases/agents/B1.yaml",)), ""),
        (Cover("x", (), "why"), ""),
        (Cover("", (REAL,)), "no row for B1"),
        (Cover("x", (PURE,)), "nothing asks a real API server about B1"),
        (Cover("x"), "nothing asks a real API server about B1"),
        (
            Cover("x", (REAL, "tests/chart/test_x.py::test_y")),
            "B1 names tests/chart/test_x.py::test_y, which is not there",
        ),
        (
            Cover("x", (REAL, "tests/chart/test_z.py::test_x")),
            "B1 names tests/chart/test_z.py::test_x, which is not there",
        ),
    ],
)
def test_what_a_row_must_have(root: Path, cover: Cover, wrong: str) -> None:
    found = list(coverage.mistakes({"B1": cover}, {}, root))
    assert [wrong in one for one in found] == ([True] if wrong else [])


def test_a_row_for_an_unknown_id(root: Path) -> None:
    (found,) = coverage.mistakes({}, {"B99": Cover("x", (REAL,))}, root)
    assert "B99 is in none of the lists" in found


def test_all_that_tries_an_id_is_put_together() -> None:
    given = {"B2": Cover("", (REAL,)), "T1": Cover("a flood", (), "why")}
    rows = coverage.covered(
        given, {"B2": {("tests/unit/a.py", "test_a"), ("tests/unit/b.py", "")}}, {"B2": ["e2e/c.yaml"]}
    )
    assert rows["B2"].tests == ("e2e/c.yaml", REAL, "tests/unit/a.py::test_a")
    assert "wildcard" in rows["B2"].tried
    assert rows["T1"] == Cover("a flood", (), "why")
    assert rows["CIS 5.2.12"] == Cover()


def test_the_lists_have_every_id() -> None:
    counts = [len(ids) for ids in coverage.CHAPTERS.values()]
    assert counts == [28 + 21 + 27, 18, 30, 25]


def test_cases_are_found_by_the_name_of_their_file() -> None:
    found = coverage.cases(Path(__file__).parents[3])
    assert "e2e/catalogue/cases/bindings/CIS-5.1.4.yaml" in found["CIS 5.1.4"]
    assert {"e2e/catalogue/cases/agents/B24.yaml", "e2e/catalogue/cases/objects/B24.yaml"} <= set(found["B24"])


def test_cases_from_tables_say_what_refuses_them() -> None:
    text = pack.files()["e2e/catalogue/cases/agents/B1.yaml"]
    assert "# case: all verbs\n# rule: RightsWildcard\napiVersion: ringfence.dev/v1alpha1\n" in text
    assert "verbs:\n        - '*'\n" in text or "- '*'" in text
    assert not [path for path in pack.files() if "singular" in path or "/no" in path]


def test_what_has_no_namespace_is_bound_everywhere() -> None:
    files = pack.files()
    assert "kind: ClusterRoleBinding" in files["e2e/catalogue/cases/bindings/B25.yaml"]
    assert "Cluster" not in files["e2e/catalogue/cases/bindings/B27.yaml"]
