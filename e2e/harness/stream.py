"""A stream of attempts from inside a pod, at a fixed pace: how long a fence was open, to a few milliseconds."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

from cluster import programs
from cluster.errors import ClusterError
from cluster.shell import wait_for

from .kubectl import Kubectl, Object

__all__ = ["Attempt", "Attempts", "Stream", "parse", "process_of", "streaming", "streaming_beside"]


@dataclass(frozen=True, order=True)
class Attempt:
    """One of many. `at`: its start, in unix seconds, as `time.time()` tells it. `passed`: an answer came."""

    at: float
    address: str
    passed: bool


@dataclass(frozen=True)
class Attempts:
    """What a stream found, by start. Periods are in unix seconds, and hold their beginning but not their end."""

    all: tuple[Attempt, ...] = field(default=(), repr=False)

    def between(self, since: float = -inf, until: float = inf, *, address: str = "") -> tuple[Attempt, ...]:
        """Those of one period, at one address or at any."""
        return tuple(one for one in self.all if since <= one.at < until and address in {"", one.address})

    def count(self, since: float = -inf, until: float = inf, *, address: str = "") -> int:
        """How many were made. That none passed says nothing where this is small."""
        return len(self.between(since, until, address=address))

    def reached(self, address: str = "", since: float = -inf, until: float = inf) -> int:
        """How many passed."""
        return sum(one.passed for one in self.between(since, until, address=address))

    def share_reached(self, address: str = "", since: float = -inf, until: float = inf) -> float:
        """Which part of them passed, from 0 to 1. Raises ClusterError where none was made."""
        made = self.count(since, until, address=address)
        if not made:
            raise ClusterError(f"no attempt at {address or 'any address'} was made in that time")
        return self.reached(address, since, until) / made

    def stretches(self, address: str = "") -> list[float]:
        """Seconds of each open stretch, the longest first.

        From the first attempt that passed to the next at the same address that did not, or to the last of all: so a
        stretch is told at most one pace too long or too short.
        """
        addresses = [address] if address else sorted({one.address for one in self.all})
        return sorted((seconds for one in addresses for seconds in _stretches(self.between(address=one))), reverse=True)

    def last_reached(self, address: str = "") -> float | None:
        """When the last one that passed began; None where none did."""
        return max((one.at for one in self.between(address=address) if one.passed), default=None)


def parse(told: str) -> Attempts:
    """What `testbox probe -every` printed. The last line is left out where it was cut off.

    A refusal has passed: the fence drops without a word. What could not be tried at all says nothing, and is left out.
    """
    lines = map(json.loads, told[: told.rfind("\n") + 1].splitlines())
    found = (
        Attempt(line["start"], line["target"], line["verdict"] in {"reachable", "refused"})
        for line in lines
        if line["verdict"] != "error"
    )
    return Attempts(tuple(sorted(found)))


class Stream:
    """A stream that runs, or did."""

    def __init__(self, output: Path) -> None:
        self._output = output
        self._attempts: Attempts | None = None

    @property
    def attempts(self) -> Attempts:
        """Those whose verdict is known. When the stream's block has ended: all."""
        return self._attempts or parse(self._output.read_text())

    def end(self) -> None:
        """There will be no more."""
        self._attempts = parse(self._output.read_text())


@contextmanager
def streaming(
    kubectl: Kubectl, namespace: str, pod: str, addresses: Sequence[str], *, every: float = 0.005, at_most: float = 120
) -> Iterator[Stream]:
    """Try all addresses from inside a pod (a name, or deploy/NAME) for as long as the block takes, `at_most` seconds.

    It ends with the pod's first process; what waited for its answer then, half a second of attempts, is not told.
    """
    command = ["exec", "-i", "-n", namespace, pod, "--", "/testbox", *_words(addresses, every, at_most)]
    with _running([*kubectl.argv, *command], kubectl) as stream:
        yield stream


@contextmanager
def streaming_beside(
    kubectl: Kubectl, pod: Object, addresses: Sequence[str], *, every: float = 0.005, at_most: float = 120
) -> Iterator[Stream]:
    """The same from the pod's network namespace, without being of the pod: only where the node is this machine.

    It has the pod's address and its fence. It does not end with the pod, and tells of every attempt: so "nothing
    passed after the stop" is tried, and not only true because nobody was left to try.
    """
    program = programs.testbox() / "testbox"
    argv = ["nsenter", f"--net=/proc/{process_of(pod)}/ns/net", str(program), *_words(addresses, every, at_most)]
    with _running(argv, kubectl) as stream:
        yield stream


def _words(addresses: Sequence[str], every: float, at_most: float) -> list[str]:
    return ["probe", "-attended", "-every", f"{every * 1000:g}ms", "-for", f"{at_most:g}s", *addresses]


@contextmanager
def _running(argv: Sequence[str], kubectl: Kubectl) -> Iterator[Stream]:
    with tempfile.TemporaryDirectory(prefix="ringfence-stream-") as folder:
        output, errors = Path(folder) / "output", Path(folder) / "errors"
        with output.open("w") as out, errors.open("w") as err:
            process = subprocess.Popen(argv, env=dict(kubectl.env), stdin=subprocess.PIPE, stdout=out, stderr=err)
        stream = Stream(output)
        try:
            wait_for("an attempt", lambda: stream.attempts.all or process.poll() is not None, every=0.02)
            if not stream.attempts.all:
                raise ClusterError(f"no attempt was made: {errors.read_text()[:500]}{output.read_text()[:500]}")
            yield stream
        finally:
            _end(process)
            stream.end()


def _end(process: subprocess.Popen[bytes]) -> None:
    """By the end of its input: what has begun then still gets its verdict, and nothing runs on in the pod."""
    try:
        process.communicate(timeout=30)
    finally:
        process.kill()


def process_of(pod: Object) -> int:
    """A process of the test image in a pod on this machine: the kubelet names the pod's cgroups by its uid."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            ours = f"pod{pod['metadata']['uid']}" in (folder / "cgroup").read_text()
            if ours and (folder / "cmdline").read_text().startswith("/testbox\0"):
                return int(folder.name)
    raise ClusterError(f"no process of pod {pod['metadata']['name']} runs on this machine")


def _stretches(made: Sequence[Attempt]) -> Iterator[float]:
    """Of the attempts at one address."""
    began: float | None = None
    for one in made:
        if began is None and one.passed:
            began = one.at
        elif began is not None and not one.passed:
            yield one.at - began
            began = None
    if began is not None:
        yield made[-1].at - began
