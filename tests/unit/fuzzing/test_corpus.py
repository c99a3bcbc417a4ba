"""What was kept of fuzzing, tried again with some more damage. `make fuzz` goes on for as long as it is told to."""

from collections.abc import Iterator
from random import Random

import pytest

from ringfence.admission import app as app_module
from ringfence.cli import judge as judge_module
from unit.fuzzing import targets
from unit.fuzzing.targets import TARGETS, FoundError, Fuzzer, WrongError, corpus


@pytest.fixture
def fuzzer(name: str) -> Iterator[Fuzzer]:
    made = Fuzzer(TARGETS[name](), Random("ci"))
    yield made
    made.target.close()


def fail(*_: object) -> None:
    raise RuntimeError("a mistake")


@pytest.mark.parametrize("name", TARGETS)
def test_what_must_hold_does_whatever_comes_in(name: str, fuzzer: Fuzzer) -> None:
    fuzzer.begin()
    assert fuzzer.tried == len(list(corpus(name))) > 10
    for _ in range(500):
        fuzzer.step()
    assert len(fuzzer.kept) > 10, "it gets to more than one kind of answer"


def test_the_corpus_is_small() -> None:
    assert sum(path.stat().st_size for name in TARGETS for path in corpus(name)) < 512 * 1024


@pytest.mark.parametrize("name", ["reviews"])
def test_a_mistake_behind_the_door_is_found(fuzzer: Fuzzer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "judge", fail)
    with pytest.raises(WrongError, match="a mistake of ours"):
        fuzzer.begin()


@pytest.mark.parametrize("name", ["manifests"])
def test_a_mistake_behind_the_file_is_found(fuzzer: Fuzzer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge_module, "decide", fail)
    with pytest.raises(RuntimeError, match="a mistake"):
        fuzzer.begin()
    fuzzer.kept = {"": b"apiVersion: ringfence.dev/v1alpha1\nkind: AgentDeployment\nmetadata: {name: a}\nspec: {}\n"}
    with pytest.raises(FoundError, match="bytes"):
        any(fuzzer.step() == b"" for _ in range(200))


@pytest.mark.parametrize("name", ["reviews"])
def test_who_is_let_in_by_mistake_is_found(fuzzer: Fuzzer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "OPENED", {})  # as the decision sees it, nobody opened the namespace
    with pytest.raises(WrongError, match="allowed, in 'team'"):
        fuzzer.begin()
