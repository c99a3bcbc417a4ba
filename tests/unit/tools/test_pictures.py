"""Pictures of the docs are those of their texts."""

import shutil
from pathlib import Path

import pytest
from tools import pictures
from tools.generate import ROOT
from tools.pictures import PictureError


def test_each_committed_picture_is_that_of_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where Graphviz is not installed."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    found = pictures.files(ROOT)
    assert found
    assert {path: (ROOT / path).read_text(encoding="utf-8") for path in found} == found


def test_a_text_that_changed_asks_for_graphviz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    folder = tmp_path / pictures.FOLDER
    folder.mkdir(parents=True)
    (folder / "new.dot").write_text("digraph new { a -> b }")
    (folder / "new.svg").write_text("<svg/>")
    with pytest.raises(PictureError, match=r"new\.dot has changed: install Graphviz"):
        pictures.files(tmp_path)
