"""Waiting for what shall come, never for time to pass."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

TIMEOUT = 40.0
"""Seconds; far beyond what anything takes on an idle machine, because tests run on busy ones."""


def until(what: str, look: Callable[[], T], *, timeout: float = TIMEOUT, pause: float = 0.05) -> T:
    """The first thing that `look` finds which is not empty. An AssertionError in `look` is an empty result."""
    end = time.monotonic() + timeout
    last: object = None
    while True:
        try:
            if found := look():
                return found
            last = found
        except AssertionError as failure:
            last = failure
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {timeout:g} s; last: {last!s:.2000}")
        time.sleep(pause)
