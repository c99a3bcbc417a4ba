"""Small statistics, and what a run says about the machine."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["machine", "ratio", "summary", "timed"]


def summary(seconds: Sequence[float]) -> dict[str, float]:
    """Count, median, 99th percentile and maximum, in seconds."""
    ordered = sorted(seconds)
    last = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return {
        "count": len(ordered),
        "p50": round(statistics.median(ordered), 4),
        "p99": round(last, 4),
        "max": round(ordered[-1], 4),
    }


def ratio(value: float, floor: float) -> float:
    """How many times the floor."""
    return round(value / floor, 2) if floor else float("inf")


def machine() -> dict[str, Any]:
    """Cores, and how busy the machine is: the figures of a busy one say little."""
    return {"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1), "kernel": platform.release()}


def timed(act: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    started = time.monotonic()
    act()
    return time.monotonic() - started
