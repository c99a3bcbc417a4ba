"""Load by fortio, which speaks HTTP/1.1 over connections that it keeps, and knows what came back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cluster import programs
from cluster.errors import ClusterError
from cluster.shell import run
from harness.gateway.room import Room

from .way import Way

__all__ = ["Load", "command", "load", "told"]

TIMEOUT = 600


@dataclass(frozen=True)
class Load:
    """What fortio tells of a run.

    `statuses`: how many answers had each; "-1": none came. `connections`: how many were opened. `per_second`: answers,
    over the whole run. `seconds`: all answers' durations together. `least`, `most`, `received`: bytes of the smallest
    and the largest body and of all (of the fast client with the headers).
    """

    statuses: Mapping[str, int]
    connections: int
    per_second: float
    seconds: float
    least: int
    most: int
    received: int

    @property
    def answered(self) -> int:
        """Answers with status 200."""
        return self.statuses.get("200", 0)

    def whole(self, connections: int) -> Load:
        """Itself. Raises ClusterError where not all was answered, or a connection was not kept."""
        if set(self.statuses) != {"200"} or self.connections != connections:
            raise ClusterError(f"{connections} connections: {self.connections} opened, answers {dict(self.statuses)}")
        return self


def told(text: str) -> Load:
    """From fortio's JSON."""
    found = json.loads(text)
    sizes = found["Sizes"]
    return Load(
        statuses=found["RetCodes"],
        connections=found["SocketCount"],
        per_second=found["ActualQPS"],
        seconds=found["DurationHistogram"]["Sum"],
        least=int(sizes["Min"]),
        most=int(sizes["Max"]),
        received=int(sizes["Sum"]),
    )


def command(fortio: Path, way: Way, path: str, *words: str) -> list[str | Path]:
    """The command line. `words`: further flags."""
    quiet = ["-loglevel", "error", "-log-errors=false", "-json", "-"]
    where: list[str | Path] = ["-resolve", way.address, "-cacert", way.bundle, "-timeout", f"{TIMEOUT}s", "-qps", "0"]
    return [fortio, "load", *quiet, *where, *words, f"https://{way.site.name}{path}"]


def load(place: Room, way: Way, path: str, *words: str) -> Load:
    """Run it inside. Raises ClusterError when it ends with an error, as it does where nobody answers at all."""
    return told(run(place.inside(command(programs.fortio(), way, path, *words)), timeout=TIMEOUT))
