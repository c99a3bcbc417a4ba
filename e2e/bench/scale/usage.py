"""Processor time and memory of processes, as the kernel counts them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Usage", "memory"]

TICK = os.sysconf("SC_CLK_TCK")
MIB = 1024
"""/proc gives kibibytes."""


@dataclass(frozen=True)
class Usage:
    """Processor seconds used so far, by program; "others": everything else on this machine."""

    seconds: Mapping[str, float]
    machine: float

    @classmethod
    def now(cls, pids: Mapping[str, int]) -> Usage:
        """Look at these processes, at this one ("bench") and at the machine."""
        found = {name: _of(pid) for name, pid in pids.items()} | {"bench": _of(os.getpid())}
        user, nice, system, _, _, irq, softirq, *_ = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
        return cls(found, sum(map(int, (user, nice, system, irq, softirq))) / TICK)

    def since(self, before: Usage) -> dict[str, float]:
        """Seconds used since then. A process that began in between counts from its start."""
        used = {name: seconds - before.seconds.get(name, 0.0) for name, seconds in self.seconds.items()}
        others = self.machine - before.machine - sum(used.values())
        return {name: round(seconds, 2) for name, seconds in (used | {"others": max(0.0, others)}).items()}


def memory(pid: int) -> dict[str, float]:
    """Resident memory of a process in MiB: now, and the most it ever was."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    values = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines) if "kB" in rest}
    return {"now": round(values["VmRSS"] / MIB, 1), "peak": round(values["VmHWM"] / MIB, 1)}


def _of(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICK
