"""Standard error, to which the logs go."""

import contextlib
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from ringfence.telemetry import logs
from unit.telemetry.logs.lines import Lines, Shown


@pytest.fixture
def shown() -> Iterator[Shown]:
    """Standard error, to which the logs go."""
    root, stream = logging.getLogger(), Shown()
    level, others = root.level, root.handlers[:]
    with contextlib.redirect_stderr(stream):
        logs.configure("json", "debug")
        (ours,) = root.handlers
        yield stream
    for handler in (*others, ours):
        root.removeHandler(handler)
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def lines(shown: Shown) -> Lines:
    """What was logged since the last look, at any level, as a program reads it."""

    def look() -> list[dict[str, Any]]:
        found = [json.loads(line) for line in shown.take().splitlines()]
        return [line for line in found if not line["event"].startswith("Using selector")]  # asyncio's own

    return look
