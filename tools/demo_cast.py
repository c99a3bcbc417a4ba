"""`make cast`: records `make demo` as docs/demo.cast (asciicast v2, a line of JSON for each output), and draws it.

`asciinema play docs/demo.cast` plays it. docs/pictures/demo.svg has the whole output, drawn by rich.
`python -m tools.demo_cast --draw` draws again what was recorded.
"""

import argparse
import codecs
import errno
import fcntl
import hashlib
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tools.pictures import FOLDER, PictureError

ROOT: Final = Path(__file__).resolve().parent.parent
CAST: Final = "docs/demo.cast"
PICTURE: Final = f"{FOLDER}/demo.svg"
COLUMNS: Final = 120
LINES: Final = 40
IDLE: Final = 2
"""Seconds that a player waits at most."""
PROMPT: Final = "\x1b[1m$ make demo\x1b[0m\r\n"
CHUNK: Final = 65536


def events(command: Sequence[str], columns: int, lines: int) -> Iterator[tuple[float, str]]:
    """Run a command on a terminal of its own: (seconds since its start, output). Raises CalledProcessError."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    start = time.monotonic()
    environment = os.environ | {"TERM": "xterm-256color"}
    process = subprocess.Popen(command, cwd=ROOT, stdin=its, stdout=its, stderr=its, env=environment)
    os.close(its)
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    while True:
        try:
            data = os.read(ours, CHUNK)
        except OSError as failure:  # what Linux says when the other side is closed
            if failure.errno != errno.EIO:
                raise
            break
        if not data:
            break
        yield time.monotonic() - start, decode(data)
    os.close(ours)
    if code := process.wait():
        raise subprocess.CalledProcessError(code, command)


def cast(recorded: Sequence[tuple[float, str]], home: str) -> str:
    """The recording as it is stored: without the home directory of who made it."""
    head = {"version": 2, "width": COLUMNS, "height": LINES, "idle_time_limit": IDLE, "title": "make demo"}
    lines = [json.dumps(head), json.dumps([0.0, "o", PROMPT])]
    lines += [json.dumps([round(at, 3), "o", text.replace(home, "~")], ensure_ascii=False) for at, text in recorded]
    return "\n".join(lines) + "\n"


def output(text: str) -> str:
    """All that a recording prints."""
    return "".join(json.loads(line)[2] for line in text.splitlines()[1:]).replace("\r\n", "\n")


def mark(text: str) -> str:
    """The line that the picture of a recording ends with."""
    return f"<!-- drawn from demo.cast, sha256 {hashlib.sha256(text.encode()).hexdigest()} -->"


def files(root: Path) -> dict[str, str]:
    """Path -> content of the picture, where there is a recording. Raises PictureError for one that is stale."""
    if not (root / CAST).is_file():
        return {}
    picture = root / PICTURE
    found = picture.read_text(encoding="utf-8") if picture.is_file() else ""
    if mark((root / CAST).read_text(encoding="utf-8")) not in found:
        raise PictureError(f"{PICTURE} is not drawn from {CAST}: run `make cast ARGS=--draw`")
    return {PICTURE: found}


def draw(text: str) -> str:
    """The picture of a recording: all that it prints, as an SVG without fonts from elsewhere."""
    from rich.console import Console  # noqa: PLC0415 - in build/pictures alone, not where others import this module
    from rich.text import Text  # noqa: PLC0415

    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, legacy_windows=False)
    console.print(Text.from_ansi(output(text).rstrip()))
    drawn = console.export_svg(title="make demo", unique_id="demo")
    drawn = re.sub(r"\s*@font-face \{.*?\}", "", drawn, flags=re.DOTALL)
    drawn = drawn.replace("Fira Code", "DejaVu Sans Mono")
    return "\n".join(line.rstrip() for line in drawn.splitlines() if line.strip()) + f"\n{mark(text)}\n"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tools.demo_cast", description=__doc__)
    parser.add_argument("--draw", action="store_true", help="record nothing, only draw the recording")
    parser.add_argument("--name", default="", help="name of the built-in cluster")
    options = parser.parse_args()
    if not options.draw:
        command = ["make", "--no-print-directory", "demo", *([f"ARGS=--name {options.name}"] if options.name else [])]
        recorded = []
        for at, text in events(command, COLUMNS, LINES):
            sys.stdout.write(text)
            sys.stdout.flush()
            recorded.append((at, text))
        (ROOT / CAST).write_text(cast(recorded, str(Path.home())), encoding="utf-8")
    (ROOT / PICTURE).write_text(draw((ROOT / CAST).read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
