"""`make mutate`: change the product at one point, run the tests that need no cluster, and see whether they notice.

A sample with a fixed seed: lines are drawn, then one change on each. Prints what survived and the share that was
killed; exit code 1 where a package is below the threshold, 2 where the tests fail by themselves. Not a part of CI:
it takes minutes, and its answer is a number to think about.

Why this is our own code: mutmut 3 changes functions only, and here the tables at the top of the modules decide (it
has no sample either); cosmic-ray changes the files in place, one mutant at a time, knows no change of strings, of
items or of statements, and adds 25 packages to the locked ones; mutatest has not been kept since 2022.
"""

import argparse
import random
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.mutation import judged
from tools.mutation.mutants import Mutant, mutants
from tools.mutation.run import BrokenTests, check, copies, run_all

ROOT: Final = Path(__file__).resolve().parent.parent
PRODUCT: Final = "operator/ringfence"
SEED: Final = 20261128
LEAST: Final = 20
"""Mutants of each package, however small it is beside the others."""


@dataclass(frozen=True)
class Package:
    """`modules`: files or directories of the product; `tests`: those that are to notice; `quick`: tried first."""

    name: str
    modules: tuple[str, ...]
    tests: tuple[str, ...]
    quick: tuple[str, ...] = ()

    def files(self) -> list[Path]:
        """Its modules that exist."""
        places = [ROOT / PRODUCT / module for module in self.modules]
        return sorted(file for place in places for file in ([place] if place.is_file() else place.rglob("*.py")))

    def stages(self, path: str) -> tuple[tuple[str, ...], ...]:
        """The module's own tests first, where most of its mutants die in a second; then all of the package's."""
        name = f"test_{Path(path).stem}.py"
        own = tuple(str(file.relative_to(ROOT)) for test in self.tests for file in (ROOT / test).glob(name))
        first = tuple(test for test in (*own, *self.quick) if (ROOT / test).is_file())
        return (first, self.tests) if first else (self.tests,)


PACKAGES: Final = (
    Package(
        "policy",
        ("policy",),
        ("tests/unit/policy", "tests/unit/cli/test_lint.py", "tests/unit/admission/test_review.py"),
        ("tests/unit/policy/test_tables.py",),
    ),
    Package("admission", ("admission",), ("tests/unit/admission", "tests/unit/telemetry/logs")),
    Package(
        "resources", ("resources",), ("tests/unit/resources", "tests/unit/rotation", "tests/unit/cli/test_render.py")
    ),
    Package("rotation", ("rotation",), ("tests/unit/rotation",)),
    Package("plan", ("controller/agent/plan.py",), ("tests/unit/controller",)),
)


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    options = _parser().parse_args(arguments)
    chosen = [one for one in PACKAGES if one.files() and (not options.package or one.name in options.package)]
    found = {package: _all(package, options.at) for package in chosen}
    known = judged.read()
    if not options.package and not options.at:
        _tell_stale(known, [mutant for of in found.values() for mutant in of])
    drawn = found if options.at else draw(found, options.sample, options.seed)
    work = [(mutant, package.stages(mutant.path)) for package, of in drawn.items() for mutant in of]
    sys.stderr.write(f"{len(work)} of {sum(map(len, found.values()))} mutants, seed {options.seed}\n")
    if options.list:
        sys.stdout.writelines(f"{mutant}\n" for mutant, _ in work)
        return 0
    random.Random(options.seed).shuffle(work)  # noqa: S311 - so that the packages' slow tests do not meet
    try:
        with copies(ROOT, options.workers) as made:
            for package, of in drawn.items():
                if of:
                    check(made[0], of[0].path, package.tests)
            fates = run_all(work, made, _Progress(len(work)))
    except BrokenTests as error:
        sys.stderr.write(f"{error}\n")
        return 2
    scores = [_tell(package, {one: fates[one] for one in of}, known) for package, of in drawn.items() if of]
    return int(min(scores, default=100) < options.threshold)


def draw(found: dict[Package, list[Mutant]], size: int, seed: int) -> dict[Package, list[Mutant]]:
    """A sample: each package's share by its lines, and LEAST at least; one mutant of each line drawn, then a second."""
    chance = random.Random(seed)  # noqa: S311 - a sample that can be drawn again
    lines = {package: len({(one.path, one.line) for one in of}) for package, of in found.items()}
    total = sum(lines.values()) or 1
    drawn = {}
    for package, of in found.items():
        share = max(LEAST, round(size * lines[package] / total))
        drawn[package] = sorted(_one_a_line(of, chance)[:share], key=lambda one: (one.path, one.start))
    return drawn


def _one_a_line(of: Iterable[Mutant], chance: random.Random) -> list[Mutant]:
    shuffled = list(of)
    chance.shuffle(shuffled)
    rounds: dict[tuple[str, int], int] = {}
    ranked = []
    for mutant in shuffled:
        at = (mutant.path, mutant.line)
        rounds[at] = rounds.get(at, 0) + 1
        ranked.append((rounds[at], mutant))
    return [mutant for _, mutant in sorted(ranked, key=lambda pair: pair[0])]


def _all(package: Package, at: Sequence[str]) -> list[Mutant]:
    """All mutants, or those at `PATH` or `PATH:LINE`, where PATH is the end of a file's."""
    found = []
    for file in package.files():
        path = str(file.relative_to(ROOT))
        found += mutants(path, file.read_bytes())
    return [one for one in found if not at or any(_is_at(one, end) for end in at)]


def _is_at(mutant: Mutant, end: str) -> bool:
    return mutant.path.endswith(end) or f"{mutant.path}:{mutant.line}".endswith(end)


class _Progress:
    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0

    def __call__(self, mutant: Mutant, killed: bool) -> None:
        self.done += 1
        sys.stderr.write(f"[{self.done}/{self.total}] {'killed' if killed else 'SURVIVED'} {mutant}\n")


def _tell(package: Package, fates: dict[Mutant, bool], known: Sequence[judged.Judged]) -> float:
    """Print what became of a package's mutants; returns how many of 100 were killed."""
    survivors = {one: next((k for k in known if k.is_about(one)), None) for one, killed in fates.items() if not killed}
    equivalent = sum(1 for note in survivors.values() if note and note.verdict == "equivalent")
    counted, killed = len(fates) - equivalent, sum(fates.values())
    score = 100 * killed / counted if counted else 100.0
    sys.stdout.write(
        f"{package.name}: {killed} of {counted} killed ({score:.0f} %), {counted - killed} survived, "
        f"{equivalent} equivalent\n"
    )
    for mutant, note in survivors.items():
        what = f"{note.verdict}: {note.why}" if note else "not judged"
        sys.stdout.write(f"  {mutant}  [{what}]\n")
    return score


def _tell_stale(known: Sequence[judged.Judged], of: Sequence[Mutant]) -> None:
    there = {(one.path, one.where, one.was, one.becomes) for one in of}
    for one in known:
        if (one.path, one.where, one.was, one.becomes) not in there:
            sys.stderr.write(f"{judged.FILE.name}: no such mutant any more: {one.path} {one.where}: {one.was}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make mutate", description=__doc__.partition("\n")[0])
    parser.add_argument("--sample", type=int, default=200, help="mutants of all packages together (default 200)")
    parser.add_argument("--seed", type=int, default=SEED, help="another seed draws another sample")
    parser.add_argument("--package", action="append", choices=[one.name for one in PACKAGES], help="only these")
    parser.add_argument("--at", action="append", default=[], help="all mutants of FILE or FILE:LINE, no sample")
    parser.add_argument("--workers", type=int, default=2, help="tests at once (default 2), at low priority")
    parser.add_argument("--threshold", type=float, default=90, help="percent that must be killed (default 90)")
    parser.add_argument("--list", action="store_true", help="print the mutants and run nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
