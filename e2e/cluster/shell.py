"""Running programs, waiting for conditions, locks, and saying what takes long."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeVar

from .errors import ClusterError, CommandFailed

__all__ = ["lock", "nsenter", "run", "say", "seconds_until", "step", "wait_for"]

T = TypeVar("T")

QUIET_SECONDS = 2.0
"""A step shorter than this prints nothing: an `up` that has nothing to do is silent."""


def run(
    argv: Sequence[str | Path],
    *,
    stdin: str | bytes | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 300,
    ok: bool = False,
) -> str:
    """Run a program and return its standard output.

    Raises CommandFailed for an exit code other than 0 unless `ok`, and ClusterError when `timeout`
    seconds pass or the program does not exist.
    """
    words = [str(word) for word in argv]
    data = stdin.encode() if isinstance(stdin, str) else stdin
    try:
        done = subprocess.run(words, input=data, env=env, cwd=cwd, timeout=timeout, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise ClusterError(f"{words[0]}: no such program") from error
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"`{' '.join(words[:12])}` took more than {timeout:.0f} s") from error
    if done.returncode and not ok:
        raise CommandFailed(words, done.returncode, (done.stderr or done.stdout).decode(errors="replace"))
    return done.stdout.decode(errors="replace")


def nsenter(netns: str, *argv: str | Path) -> list[str]:
    """The command line that runs `argv` in a network namespace.

    Not `ip netns exec`: that also gives the program a new /sys, without the cgroups.
    """
    return ["nsenter", f"--net=/run/netns/{netns}", *map(str, argv)]


def wait_for(
    what: str, probe: Callable[[], T | Literal[False] | None], *, timeout: float = 150, every: float | None = None
) -> T:
    """Call `probe` until it returns something true, and return that.

    A ClusterError, an OSError or an AssertionError from the probe means "not yet"; the last one is told when time is
    up, as a ClusterError. The default is far beyond what anything takes on an idle machine: tests run on busy ones.
    `every`: seconds between two calls. Left out, they grow with the time so far, from 0.05 to 0.5: what takes long is
    not made longer by many who ask.
    """
    started = time.monotonic()
    last: object = None
    while True:
        try:
            if found := probe():
                return found
            last = found
        except (ClusterError, OSError, AssertionError) as problem:
            last = problem
        waited = time.monotonic() - started
        if waited > timeout:
            raise ClusterError(f"gave up after {timeout:.0f} s waiting for {what}; last: {last!s:.2000}")
        time.sleep(min(max(waited / 20, 0.05), 0.5) if every is None else every)


def seconds_until(what: str, probe: Callable[[], object], *, timeout: float = 150, every: float = 0.05) -> float:
    """Wait for it, and return how long that took."""
    started = time.monotonic()
    wait_for(what, probe, timeout=timeout, every=every)
    return time.monotonic() - started


def say(text: str, *, color: str = "") -> None:
    """One line on standard error; coloured (an SGR code such as "32") on a terminal only."""
    if color and sys.stderr.isatty():
        text = f"\033[{color}m{text}\033[0m"
    print(text, file=sys.stderr, flush=True)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Tell about a step when it lasts: a line after 2 s, a sign of life every 20 s, its time at the end."""
    started = time.monotonic()
    done = threading.Event()
    told = threading.Event()

    def tell() -> None:
        if done.wait(QUIET_SECONDS):
            return
        told.set()
        say(f"  {what} ...", color="2")
        while not done.wait(20):
            say(f"  {what} ... {time.monotonic() - started:.0f} s", color="2")

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()
    if told.is_set():
        say(f"  {what}: done in {time.monotonic() - started:.0f} s", color="2")


@contextmanager
def lock(name: str, *, timeout: float = 1800) -> Iterator[None]:
    """Hold a lock of this machine. It ends with its process, however that ends, and leaves no file.

    A name in the kernel's abstract socket space can be bound once; that is all there is to it.
    """
    holder = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def bind() -> bool:
        holder.bind(f"\0ringfence-cluster/{name}"[:107])
        return True

    with holder:
        wait_for(f"another run that holds {name}", bind, timeout=timeout, every=0.1)
        yield
