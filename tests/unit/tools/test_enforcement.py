"""The table of what is enforced cannot have holes."""

from pathlib import Path

from tools import enforcement
from tools.enforced import FIELDS
from tools.enforced_rows import Row


def test_leaves_are_the_fields_that_hold_values() -> None:
    found = set(enforcement.leaves())
    assert "AgentDeployment.spec.network.egress[].service.port" in found
    assert "AgentDeployment.spec.permissions.rules[].verbs" in found
    assert "AgentPolicy.spec.namespaceSelector.matchLabels" in found
    assert "AgentDeployment.spec.network" not in found
    assert "AgentDeployment.spec.network.egress" not in found
    assert not any(name.startswith("AgentDeployment.status") for name in found)


def test_every_field_has_a_row_and_every_row_a_field() -> None:
    assert list(enforcement.mismatches(set(enforcement.leaves()), set(FIELDS))) == []


def test_a_field_without_a_row_and_a_row_without_a_field_are_named() -> None:
    found = list(enforcement.mismatches({"A.spec.new", "A.spec.x"}, {"A.spec.gone", "A.spec.x"}))
    assert [line.split(": ")[1] for line in found] == [
        "no row for A.spec.new",
        "a row for A.spec.gone, which is no field",
    ]


def test_a_test_that_does_not_exist_is_named(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(
        "def test_there(): ...\n\nclass TestIt:\n    async def test_method(self): ...\n"
    )
    rows = [
        Row("a", "test_a.py::test_there", "test_a.py::test_method"),
        Row("b", "test_a.py::test_gone"),
        Row("c", "test_b.py::test_there"),
        Row("d"),
    ]
    assert list(enforcement.missing_tests(rows, tmp_path)) == [
        "tools/enforced.py: there is no test test_a.py::test_gone",
        "tools/enforced.py: there is no test test_b.py::test_there",
        "tools/enforced.py: no test for 'd'",
    ]
