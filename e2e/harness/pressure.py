"""What is promised within seconds, tried on a machine that is busy with other things, too."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["stalled", "within"]

PRESSURE = Path("/proc/pressure/cpu")


def stalled() -> float:
    """Seconds, since the machine's start, in which anything waited for a processor; 0 where the kernel does not say."""
    try:
        found = re.search(r"some .*total=(\d+)", PRESSURE.read_text(encoding="ascii"))
    except OSError:
        return 0.0
    return int(found[1]) / 1_000_000 if found else 0.0


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Holds what is done inside to that many seconds, not counted those in which anything waited for a processor.

    Raises AssertionError.
    """
    begun, before = time.monotonic(), stalled()
    yield
    took, waited = time.monotonic() - begun, stalled() - before
    assert took - waited < seconds, f"{took:.1f} s, of which {waited:.1f} s without enough processors"
