"""A recording is what a terminal got, and its picture is drawn from it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tools import demo_cast
from tools.pictures import PictureError

SAYS = "import os, sys; print(os.get_terminal_size().columns, sys.stdout.isatty(), '\\u2713'); sys.exit({code})"


def recorded(code: int) -> str:
    command = [sys.executable, "-c", SAYS.format(code=code)]
    return "".join(text for _, text in demo_cast.events(command, 97, 20))


def test_a_command_is_run_on_a_terminal() -> None:
    assert recorded(0) == "97 True ✓\r\n"


def test_a_command_that_fails_is_no_recording() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        recorded(3)


def test_a_recording_is_an_asciicast_without_the_home_directory() -> None:
    text = demo_cast.cast([(0.51239, "in /home/me/x\r\n"), (1.0, "✓\r\n")], "/home/me")
    head, *lines = [json.loads(line) for line in text.splitlines()]
    assert (head["version"], head["width"], head["height"]) == (2, 120, 40)
    assert lines[1:] == [[0.512, "o", "in ~/x\r\n"], [1.0, "o", "✓\r\n"]]
    assert demo_cast.output(text).endswith("in ~/x\n✓\n")


def test_a_picture_of_another_recording_is_stale(tmp_path: Path) -> None:
    assert demo_cast.files(tmp_path) == {}
    (tmp_path / demo_cast.PICTURE).parent.mkdir(parents=True)
    text = demo_cast.cast([(0.1, "one\r\n")], "/home/me")
    (tmp_path / demo_cast.CAST).write_text(text)
    (tmp_path / demo_cast.PICTURE).write_text(f"<svg/>\n{demo_cast.mark(text)}\n")
    assert set(demo_cast.files(tmp_path)) == {demo_cast.PICTURE}
    (tmp_path / demo_cast.CAST).write_text(demo_cast.cast([(0.1, "two\r\n")], "/home/me"))
    with pytest.raises(PictureError, match="make cast"):
        demo_cast.files(tmp_path)
