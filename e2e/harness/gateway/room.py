"""A network namespace with addresses of the internet in it, and nothing else."""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cluster.shell import nsenter, run

__all__ = ["Room", "room"]

GATEWAYS = tuple(f"10.96.0.{last}" for last in range(10, 90))
"""Where gateways listen: addresses as Services have."""
RESOLVER = "203.0.113.53"
PUBLIC = "203.0.113.10"
OTHER = "203.0.113.11"
THIRD = "203.0.113.12"
PRIVATE = "10.0.0.9"
METADATA = "169.254.169.254"
ADDRESSES = (*GATEWAYS, RESOLVER, PRIVATE, METADATA, *(f"203.0.113.{last}" for last in range(10, 30)))
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class Room:
    """One such namespace; its programs end with it."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.started: list[subprocess.Popen[bytes]] = []
        self._addresses = iter(GATEWAYS)
        self.hosts = folder / "hosts"
        self.hosts.write_text("127.0.0.1 localhost\n")

    def start(self, name: str, argv: Sequence[str | Path], **more: Any) -> subprocess.Popen[bytes]:
        """Start a program inside, with its output in `NAME.out` and `NAME.err`."""
        with (self.folder / f"{name}.out").open("wb") as out, (self.folder / f"{name}.err").open("wb") as err:
            process = subprocess.Popen(self.inside(argv), stdout=out, stderr=err, **more)
        self.started.append(process)
        return process

    def inside(self, argv: Sequence[str | Path]) -> list[str]:
        """The command line that runs `argv` inside."""
        return nsenter(self.name, *argv)

    def client(self, argv: Sequence[str | Path]) -> list[str]:
        """The same, for a client that finds hosts in the hosts file, as an agent does, and has no DNS."""
        bind = 'mount --bind "$0" /etc/hosts; mount --bind /dev/null /etc/resolv.conf; exec "$@"'
        return self.inside(["unshare", "--mount", "sh", "-ec", bind, self.hosts, *argv])

    def next_address(self) -> str:
        """One that no gateway listens at."""
        return next(self._addresses)

    def say_hosts(self, address: str, *names: str) -> None:
        """Point names at a gateway, as `hostAliases` do."""
        self.hosts.write_text("127.0.0.1 localhost\n" + "".join(f"{address} {name}\n" for name in names))

    @contextmanager
    def entered(self) -> Iterator[None]:
        """This thread, and those that it starts, are inside."""
        before = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            _enter(there)
            yield
        finally:
            _enter(before)
            os.close(before)
            os.close(there)


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


@contextmanager
def room(name: str, folder: Path) -> Iterator[Room]:
    """Make one, and remove it with all that was started in it."""
    remove(name)
    run(["ip", "netns", "add", name])
    made = Room(name, folder)
    try:
        commands = ["link set lo up", *(f"addr add {address}/32 dev lo" for address in ADDRESSES)]
        run(["ip", "-n", name, "-batch", "-"], stdin="\n".join(commands) + "\n")
        yield made
    finally:
        for process in made.started:
            process.kill()
            process.wait()
        remove(name)


def remove(name: str) -> None:
    """Remove what is left of one."""
    if Path("/run/netns", name).exists():
        run(["ip", "netns", "delete", name])
