"""`make fuzz`: damage reviews and manifests for some minutes, and see whether what must hold does (tests/unit/fuzzing).

Says how many inputs were tried. One with which something is wrong is written into the corpus (tests/corpus/TARGET/),
where the unit tests try it from then on; exit code 1. `--keep` adds inputs whose answers no file of the corpus has.

Why this is our own code: an answer that reads unlike all others is guide enough for bytes that meet a parser and a
table of rules; atheris finds more paths a minute, but is one more compiled package for every checkout.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from random import Random
from typing import Final

import structlog

from unit.fuzzing.targets import TARGETS, FoundError, Fuzzer, corpus, name_of

MOST_KEPT: Final = 4096
"""Bytes of an input that is added to the corpus."""
MOST_FILES: Final = 80
"""Files of one target's corpus: the unit tests try them all."""
ALIKE: Final = 40
"""Characters by which answers that are kept differ."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="of all targets together")
    parser.add_argument("--target", choices=TARGETS, action="append", help="one of them")
    parser.add_argument("--seed", default=str(time.time_ns()))
    parser.add_argument("--keep", action="store_true", help="add what is new to the corpus")
    options = parser.parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    names = options.target or list(TARGETS)
    sys.stdout.write(f"seed {options.seed}\n")
    return max([_fuzz(name, options.minutes / len(names), options.seed, keep=options.keep) for name in names])


def _fuzz(name: str, minutes: float, seed: str, *, keep: bool) -> int:
    fuzzer = Fuzzer(TARGETS[name](), Random(f"{seed}/{name}"))  # noqa: S311 - the same seed, the same inputs
    fuzzer.begin()
    known, end = len(fuzzer.kept), time.monotonic() + 60 * minutes
    try:
        while time.monotonic() < end:
            fuzzer.step()
    except FoundError as found:
        path = fuzzer.target.folder / name_of(found.data)
        path.write_bytes(found.data)
        sys.stderr.write(f"{name}: {found.__cause__!r}\n{path}\n")
        return 1
    finally:
        fuzzer.target.close()
        told = f"{fuzzer.tried} inputs, {len(fuzzer.kept)} kinds of answers ({len(fuzzer.kept) - known} new)"
        sys.stdout.write(f"{name}: {told}, {minutes:.1f} min\n")
    if keep:
        _keep(name, fuzzer)
    return 0


def _keep(name: str, fuzzer: Fuzzer) -> None:
    """Answers that begin alike by their shortest input, as long as the folder has room."""
    alike: dict[str, bytes] = {}
    for like, data in fuzzer.kept.items():
        if len(data) <= MOST_KEPT and len(data) < len(alike.get(like[:ALIKE], b"x" * (MOST_KEPT + 1))):
            alike[like[:ALIKE]] = data
    present = {path.name for path in corpus(name)}
    new = [data for data in alike.values() if name_of(data) not in present]
    for data in new[: max(0, MOST_FILES - len(present))]:
        (fuzzer.target.folder / name_of(data)).write_bytes(data)


if __name__ == "__main__":
    sys.exit(main())
