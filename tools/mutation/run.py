"""Runs tests against mutants, each in a copy of the repository: what people work on is never changed."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import Final

from tools.mutation.mutants import Mutant

PATIENCE: Final = 1800
"""Seconds for all tests of one mutant. Only a mutant that runs for ever needs as many."""
TEST_PATIENCE: Final = 300
"""Seconds for one test; the slowest takes a few."""
NICE: Final = 10
NO_TESTS_FAILED, TESTS_FAILED = 0, 1
BROKEN: Final = (2, 4)
"""pytest's exit codes for errors during collection: a mutant that cannot be imported is noticed as well."""


Stages = Sequence[Sequence[str]]
"""Tests to run one after the other, until some fail."""


class BrokenTests(Exception):
    """The tests fail without any mutant, or do not look at the copy."""


@dataclass(frozen=True)
class Copy:
    """A copy of the repository, for one mutant at a time."""

    root: Path

    def killed(self, mutant: Mutant, stages: Stages) -> bool:
        """Whether the tests notice `mutant`."""
        path = self.root / mutant.path
        source = path.read_bytes()
        try:
            self._write(path, mutant.applied(source))
            return any(self.run(tests) != NO_TESTS_FAILED for tests in stages)
        finally:
            self._write(path, source)

    def run(self, tests: Sequence[str]) -> int:
        """Run tests until the first fails; pytest's exit code, 1 when they take too long."""
        command = ["nice", "-n", str(NICE), sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        command += [f"--timeout={TEST_PATIENCE}", "--no-header", *tests]
        # CI: hypothesis then tries the same examples each time, so a mutant's fate does not depend on the day.
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"CI": "1"}
        try:
            done = subprocess.run(
                command, cwd=self.root, env=environment, capture_output=True, timeout=PATIENCE, check=False, text=True
            )
        except subprocess.TimeoutExpired:
            return TESTS_FAILED
        if done.returncode not in {NO_TESTS_FAILED, TESTS_FAILED, *BROKEN}:
            raise BrokenTests(f"pytest ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.returncode

    @staticmethod
    def _write(path: Path, source: bytes) -> None:
        """With a time of its own: Python tells a stale .pyc by the second and the size of its source."""
        newer = path.stat().st_mtime_ns + 2 * 10**9
        path.write_bytes(source)
        os.utime(path, ns=(newer, newer))


@contextmanager
def copies(root: Path, count: int) -> Iterator[list[Copy]]:
    """As many copies of what git knows or would add; removed at the end."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=True,
        text=True,
    )
    with TemporaryDirectory(prefix="mutants-") as directory:
        made = [Copy(Path(directory) / str(number)) for number in range(count)]
        for name in filter(None, listed.stdout.split("\0")):
            if not (root / name).is_file():
                continue
            for copy in made:
                (copy.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, copy.root / name)
        yield made


def check(copy: Copy, module: str, tests: Sequence[str]) -> None:
    """Raises BrokenTests unless the tests pass as they are, and fail where `module` of the copy cannot be imported."""
    if copy.run(tests) != NO_TESTS_FAILED:
        raise BrokenTests(f"{' '.join(tests)} fail without a mutant: mend them first")
    size = (copy.root / module).stat().st_size
    broken = Mutant(module, 1, "", "", "", size, size, "\nraise RuntimeError\n")
    if not copy.killed(broken, [tests]):
        raise BrokenTests(f"{' '.join(tests)} do not import {module} of the copy")


def run_all(
    work: Iterable[tuple[Mutant, Stages]], on: list[Copy], tell: Callable[[Mutant, bool], None]
) -> dict[Mutant, bool]:
    """Whether each mutant was killed, in the order given."""
    free: SimpleQueue[Copy] = SimpleQueue()
    for copy in on:
        free.put(copy)

    def one(item: tuple[Mutant, Stages]) -> tuple[Mutant, bool]:
        mutant, stages = item
        copy = free.get()
        try:
            killed = copy.killed(mutant, stages)
        finally:
            free.put(copy)
        tell(mutant, killed)
        return mutant, killed

    with ThreadPoolExecutor(len(on)) as pool:
        return dict(pool.map(one, work))
