"""What the image is made of, read from its sources. What it is like when it runs, e2e/suites/chart says."""

import re
from pathlib import Path

import pytest

from chart.rendering import ROOT
from harness import image

CONTAINERFILE = (ROOT / "Containerfile").read_text()
STAGES = re.split(r"^FROM ", CONTAINERFILE, flags=re.MULTILINE)


def test_the_last_stage_starts_from_nothing_and_runs_as_nobody() -> None:
    last = STAGES[-1]
    assert last.startswith("scratch\n")
    assert "\nUSER 65532:65532\n" in last
    assert '\nENTRYPOINT ["ringfence"]\n' in last


def test_the_base_can_be_chosen_and_names_no_host() -> None:
    (base,) = re.findall(r"^ARG BASE=(\S+)$", CONTAINERFILE, re.MULTILINE)
    assert re.fullmatch(r"[a-z]+:[a-z0-9.-]+", base)


def test_everything_that_is_installed_is_locked_with_hashes() -> None:
    installs = re.findall(r"pip3 install ([^\n]*)", CONTAINERFILE)
    assert len(installs) == 3
    for words in installs:
        assert "--require-hashes" in words or "--no-index" in words, words
    for name in ("runtime.txt", "build.txt"):
        lock = (ROOT / "requirements" / name).read_text()
        pins = re.findall(r"^([A-Za-z0-9_.-]+)==", lock, re.MULTILINE)
        assert len(pins) >= 4
        assert lock.count("--hash=sha256:") >= len(pins)
        assert not re.search(r"^--(index|extra|find|trusted)", lock, re.MULTILINE)


def test_what_is_built_from_is_what_reaches_the_builder() -> None:
    let_in = set(re.findall(r"^!(\S+)$", (ROOT / ".containerignore").read_text(), re.MULTILINE))
    assert let_in == set(image.INPUTS) - {"Containerfile", ".containerignore"}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", CONTAINERFILE, re.MULTILINE)
    assert {word.split("/")[0] for words in copied for word in words.split()} == let_in


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in image.INPUTS:
        target = tmp_path / name
        if (ROOT / name).is_dir():
            target.mkdir()
            target = target / "part.py"
        target.write_text(name)
    monkeypatch.setattr(image, "ROOT", tmp_path)
    monkeypatch.setattr(image, "__file__", str(tmp_path / "LICENSE"))
    return tmp_path


def test_a_change_of_any_input_makes_another_key(checkout: Path) -> None:
    keys = {image._key()}
    for name in image.INPUTS:
        changed = checkout / name
        changed = changed / "part.py" if changed.is_dir() else changed
        changed.write_text("changed")
        keys.add(image._key())
    assert len(keys) == len(image.INPUTS) + 1


def test_what_a_run_leaves_behind_does_not(checkout: Path) -> None:
    before = image._key()
    (checkout / "operator" / "__pycache__").mkdir()
    (checkout / "operator" / "__pycache__" / "part.cpython-311.pyc").write_text("x")
    (checkout / "elsewhere").write_text("x")
    assert image._key() == before


def test_an_archive_that_was_taken_away_is_built_again(tmp_path: Path) -> None:
    (tmp_path / "built.json").write_text('{"archive": "/nowhere", "name": "n:t", "digest": "d", "bytes_packed": 1}')
    assert image._known(tmp_path) is None
    (tmp_path / "built.json").write_text("half writ")
    assert image._known(tmp_path) is None
