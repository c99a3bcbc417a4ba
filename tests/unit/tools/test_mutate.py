"""The mutation run: which changes are tried, and that what is and is not noticed is told right."""

import subprocess
from pathlib import Path

import pytest
from tools import mutate
from tools.mutation import judged
from tools.mutation.judged import Judged
from tools.mutation.mutants import Mutant, mutants
from tools.mutation.run import BrokenTests, Copy, check, copies

MODULE = "shop.py"
SOURCE = b'''"""A docstring."""

NAMES = ("a", "b")


def open_for(age: int, name: str) -> bool:
    """Says who may come in."""
    if name in NAMES and age >= 18:
        return True
    raise ValueError("nobody else may")
'''
TEST = """
import pytest
from shop import open_for

def test_shop():
    assert open_for(19, "a") is True
    assert open_for(18, "a") is True
    with pytest.raises(ValueError):
        open_for(17, "a")
    with pytest.raises(ValueError):
        open_for(18, "c")
"""


def tried(source: bytes) -> set[str]:
    return {one.applied(source).decode() for one in mutants(MODULE, source)}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b", {"(a >= b)", "(a <= b)"}),
        ("a == b", {"(a != b)"}),
        ("a is None", {"(a is not None)"}),
        ("not a", {"a"}),
        ("a and b", {"(a or b)", "a", "b"}),
        ("a + 1", {"(a - 1)", "a + 2"}),
        ("a + 'text of some words'", set()),
        ("{'a', 'b'}", {"{'a'}", "{'b'}", "{'Xa', 'b'}", "{'a', 'Xb'}"}),
        ("{'a': x}", {"({})", "{'Xa': x}"}),
        ("f(a, key=b)", {"(f(a))"}),
        ("any(a)", {"(all(a))"}),
        ("True", {"False"}),
        ("f'{1} words'", set()),
        ("'a sentence'", set()),
        ("x if a else y", {"x if (not a) else y"}),
        ("[x for x in y if x]", {"[x for x in y if True]"}),
    ],
)
def test_expressions(source: str, expected: set[str]) -> None:
    assert tried(f"z = {source}".encode()) == {f"z = {one}" for one in expected}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("f()", {"pass"}),
        ("raise E", {"pass"}),
        ("x += y", {"pass"}),
        ("while a:\n    break", {"while (not a):\n    break", "while a:\n    pass"}),
        ("def f() -> Literal['a']:\n    return x", {"def f() -> Literal['a']:\n    return None"}),
        ("def f():\n    return None", set()),
        ("'docstring'", set()),
        ("__all__ = ['a']", set()),
        ("T = dict['a', 'b']", set()),
        ("@dataclass(frozen=True)\nclass A: ...", set()),
    ],
)
def test_statements(source: str, expected: set[str]) -> None:
    assert tried(source.encode()) == expected


def test_bytes_before_a_point_are_counted_as_the_parser_does() -> None:
    assert "x = 'é', (a != b)" in tried("x = 'é', a == b".encode())


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / MODULE).write_bytes(SOURCE)
    (tmp_path / "test_shop.py").write_text(TEST)
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\npythonpath = ["."]\ntimeout = 60\n')
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    return tmp_path


def test_what_is_noticed_and_what_is_not(repository: Path) -> None:
    fates = {}
    with copies(repository, 1) as (copy,):
        check(copy, MODULE, ["test_shop.py"])
        for mutant in mutants(MODULE, SOURCE):
            if mutant.becomes in {"age > 18", "(dropped)"} and "name" not in mutant.was:
                fates[mutant.was] = copy.killed(mutant, [["test_shop.py"]])
    assert fates == {"age >= 18": True, "'a'": True, "'b'": False}
    assert (repository / MODULE).read_bytes() == SOURCE, "the original is never touched"
    assert not copy.root.exists()


def test_tests_that_fail_by_themselves_or_look_elsewhere_are_told(repository: Path) -> None:
    copy = Copy(repository)
    (repository / "test_other.py").write_text("def test_other():\n    assert True\n")
    with pytest.raises(BrokenTests, match="do not import"):
        check(copy, MODULE, ["test_other.py"])
    (repository / "test_other.py").write_text("def test_other():\n    assert False\n")
    with pytest.raises(BrokenTests, match="without a mutant"):
        check(copy, MODULE, ["test_other.py"])


def one(was: str, line: int = 1) -> Mutant:
    return Mutant(MODULE, line, "f", was, "x", 0, 0, "")


def test_a_sample_is_the_same_each_time_and_takes_lines_in_turn() -> None:
    package = mutate.Package("shop", (), ())
    found = {package: [one(str(number), number % 30) for number in range(300)]}
    drawn = mutate.draw(found, 30, seed=1)[package]
    assert drawn == mutate.draw(found, 30, seed=1)[package]
    assert drawn != mutate.draw(found, 30, seed=2)[package]
    assert sorted(mutant.line for mutant in drawn) == list(range(30))


def test_equivalent_ones_do_not_count_and_others_do(capsys: pytest.CaptureFixture[str]) -> None:
    known = [Judged(MODULE, "f", "b", "x", "equivalent", "the same"), Judged(MODULE, "f", "c", "x", "cluster", "t")]
    fates = {one("a"): True, one("b"): False, one("c"): False, one("d"): False}
    assert mutate._tell(mutate.Package("shop", (), ()), fates, known) == pytest.approx(100 / 3)
    told = capsys.readouterr().out
    assert "shop: 1 of 3 killed (33 %), 2 survived, 1 equivalent" in told
    assert "shop.py:1: d  =>  x  [not judged]" in told


def test_what_was_judged_can_be_read_and_is_of_files_that_are_there() -> None:
    """Whether each mutant is still there is told by the run, not here: an edit of the product must not fail a test."""
    assert [entry.path for entry in judged.read() if not (mutate.ROOT / entry.path).is_file()] == []


def test_a_verdict_without_a_reason_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "judged.toml"
    file.write_text('[[mutant]]\npath="a"\nwhere=""\nwas="1"\nbecomes="2"\nverdict="equivalent"\nwhy=""\n')
    with pytest.raises(ValueError, match="say why"):
        judged.read(file)
