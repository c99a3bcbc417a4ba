"""A reader's terminal: one bash in a copy of the repository, for all commands of a page."""

import os
import secrets
import shlex
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from pages.page import ROOT, Page, matches

LEFT_OUT = (".git", ".venv", ".*_cache", ".hypothesis", "__pycache__", "build", "dist", "bench-results", "*.egg-info")
VENV = ROOT / ".venv"


class Differs(AssertionError):
    """A command did not do what its page says."""


def checkout(folder: Path) -> Path:
    """The repository as a reader has it, after `make setup`: files that pages write do not come into the real one."""
    shutil.copytree(ROOT, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*LEFT_OUT))
    (folder / ".venv").mkdir()
    for path in VENV.iterdir():
        (folder / ".venv" / path.name).symlink_to(path)
    # So new that `make` has nothing to install into the environment that this very test runs in.
    done = folder / ".venv" / ".done"
    done.unlink(missing_ok=True)
    done.touch()
    return folder


def environment(**more: str) -> dict[str, str]:
    """Without colours and without what this machine's user has set up; `ringfence` is that of this repository."""
    given = {key: value for key, value in os.environ.items() if not key.startswith(("KUBE", "RINGFENCE_", "PYTEST_"))}
    return given | {"PYTHONPATH": str(ROOT / "operator"), "NO_COLOR": "1", "COLUMNS": "120", **more}


class Terminal:
    """Commands, one after the other; what one changes (variables, the directory) the next one finds."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        bash = shutil.which("bash") or "bash"
        self._process = subprocess.Popen(
            [bash, "--noprofile", "--norc"],
            cwd=folder,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        self.run("set -o pipefail")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        self._process.wait(10)
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()

    def run(self, text: str, *, timeout: float = 300) -> tuple[str, int]:
        """What a command prints, on either stream, and its exit code."""
        assert self._process.stdin
        assert self._process.stdout
        mark = f"--{secrets.token_hex(8)}--"
        self._process.stdin.write(f"eval {shlex.quote(text)} </dev/null; printf '\\n%s %s\\n' {mark} $?\n")
        self._process.stdin.flush()
        timer = threading.Timer(timeout, self._end)
        timer.start()
        printed: list[str] = []
        try:
            for line in self._process.stdout:
                if line.startswith(mark):
                    return "".join(printed), int(line.split()[1])
                printed.append(line)
        finally:
            timer.cancel()
        raise Differs(f"$ {text}\n{''.join(printed)}\nthe shell ended, or it took more than {timeout:.0f} s")

    def _end(self) -> None:
        """End the shell and all that it started."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def follow(
    page: Page,
    terminal: Terminal,
    *,
    prepare: Callable[[str], str] = lambda text: text,
    enter: Callable[[str], None] = lambda section: None,
) -> None:
    """Run a page's commands. Raises Differs at the first that does or prints anything else than the page says.

    `prepare`: what a reader would change in a command before it fits his cluster. `enter`: called with the title of a
    section before its first command.
    """
    section = ""
    for command in page.commands:
        if command.section != section:
            section = command.section
            enter(section)
        printed, code = terminal.run(prepare(command.text))
        place = f"{page.path}:{command.line}\n$ {command.text}"
        if bool(code) is not command.fails:
            raise Differs(f"{place}\n{printed}\nended with {code}")
        if command.shown and not matches(command.shown, printed):
            raise Differs(f"{place}\nis to print\n{command.shown}\nand prints\n{printed}")
