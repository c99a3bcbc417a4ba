"""`make mutate-guards`: take one rule out of the guards or the floor, run the tests on a real API server, and see.

Each validation, each match condition, each resource and operation that is matched, by itself. Prints what survived and
the share that was noticed; exit code 1 below the threshold, 2 where the tests fail by themselves. Not a part of CI: it
takes most of an hour. Bindings are left alone.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from tools.mutation import judged
from tools.mutation.live import Fate, Loop
from tools.mutation.rules import RuleMutant

ROOT: Final = Path(__file__).resolve().parent.parent
TESTS: Final = tuple(f"guards/test_guards{one}.py" for one in ("_*updates", "_own", "_exposure", "", "_around"))
"""First what is quick: of its mutants the others are spared."""
MORE: Final = ("test_escalation.py", "test_floor.py", "guards/test_guards*.py")
PYTEST: Final = (
    *("-p", "no:terminal", "-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib"),
    *("-W", "ignore::ResourceWarning", "-W", "ignore::pytest.PytestUnraisableExceptionWarning"),
)
"""Without the terminal of pytest and its options: a dot for each run of a test would hide what counts. And without what
is said of a connection that a test left open as it failed: another test would fail by it.
"""
JUDGED: Final = judged.FILE.with_name("judged_guards.toml")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    options = _parser().parse_args(arguments)
    loop = Loop(lambda mutant: not options.only or any(word in str(mutant) for word in options.only), _progress)
    files = options.tests or _files()
    code = pytest.main([*files, *PYTEST, f"--rootdir={ROOT}"], [loop])
    if loop.problem or not loop.fates:
        sys.stderr.write(f"{loop.problem or f'no mutant was tried (pytest: {code})'}\n")
        return 2
    for test in loop.unrepeatable:
        sys.stderr.write(f"left out, since it fails when it runs again: {test}\n")
    return int(report(loop.fates) < options.threshold)


def _files() -> list[str]:
    found = [str(file) for pattern in (*TESTS, *MORE) for file in sorted((ROOT / "tests/chart").glob(pattern))]
    return list(dict.fromkeys(found))


def _progress(mutant: RuleMutant, fate: Fate) -> None:
    sys.stderr.write(
        f"killed {mutant}  [{fate.by.removeprefix('tests/chart/')}{'' if fate.phase == 'call' else ' ' + fate.phase}]\n"
    )


def report(fates: dict[RuleMutant, Fate]) -> float:
    """Print what became of the mutants; returns how many of 100 were noticed."""
    known = judged.read(JUDGED)
    killed = {mutant: fate for mutant, fate in fates.items() if fate.by}
    survivors = {one: next((k for k in known if k.is_about(one)), None) for one in fates if one not in killed}
    equivalent = sum(1 for note in survivors.values() if note and note.verdict == "equivalent")
    counted = len(fates) - equivalent
    asserted = sum(1 for fate in killed.values() if fate.phase == "call")
    score = 100 * len(killed) / counted if counted else 100.0
    sys.stdout.write(
        f"{len(killed)} of {counted} killed ({score:.0f} %; {asserted} by an assertion, the others by a fixture that "
        f"waited in vain), {counted - len(killed)} survived, {equivalent} equivalent\n"
    )
    for mutant, note in survivors.items():
        what = f"{note.verdict}: {note.why}" if note else "not judged"
        sys.stdout.write(f"  {mutant}  [{what}]\n")
    return score


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make mutate-guards", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", action="append", default=[], help="mutants whose line holds this text (or this, ...)")
    parser.add_argument(
        "--tests", action="append", help="this file of tests/chart, in place of all about guards and floor"
    )
    parser.add_argument("--threshold", type=float, default=90, help="percent that must be noticed (default 90)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
