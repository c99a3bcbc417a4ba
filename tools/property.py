"""`make property`: try the properties of tests/unit/policy/properties.py with very many cases, a million unless told.

The cases are shared among the properties, and run in as many processes as there are CPUs. Exit code 1 where product and
model differ; the seed and the number that make the case again are told.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Final

from unit.policy import properties

PIECE: Final = 5_000
"""Cases that one process takes at a time."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tools.property", description=__doc__)
    parser.add_argument("--cases", type=int, default=1_000_000, help="of all properties together")
    parser.add_argument("--seed", default=str(time.time_ns()), help="the same seed makes the same cases")
    parser.add_argument("--only", choices=properties.PROPERTIES, action="append", help="one property")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args(arguments)
    names = options.only or list(properties.PROPERTIES)
    began = time.monotonic()
    pieces = _pieces(names, options.cases)
    with ProcessPoolExecutor(options.jobs) as pool:
        tried = [pool.submit(_try, name, f"{options.seed}/{at}", size) for at, (name, size) in enumerate(pieces)]
        failures = [found for done in as_completed(tried) if (found := done.result())]
    for failure in failures:
        sys.stderr.write(f"{failure}\n")
    cases = sum(size for _, size in pieces)
    sys.stdout.write(
        f"{cases} cases of {', '.join(names)}: {len(failures)} pieces with a difference; "
        f"seed {options.seed}, {time.monotonic() - began:.0f} s\n"
    )
    return int(bool(failures))


def _pieces(names: Sequence[str], cases: int) -> list[tuple[str, int]]:
    """(property, number of cases), in turns."""
    found = []
    for place, name in enumerate(names):
        left = cases // len(names) + (place < cases % len(names))
        while left > 0:
            found.append((name, min(PIECE, left)))
            left -= PIECE
    return found


def _try(name: str, seed: str, cases: int) -> str:
    """Empty where product and model agree."""
    try:
        properties.check(name, seed, cases)
    except AssertionError as failure:
        return f"{'; '.join(failure.__notes__)}: {failure}"
    return ""


if __name__ == "__main__":
    sys.exit(main())
