"""Everything on this machine that bears the name of an instance: what `down` must not leave."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from cluster.instance import base


def traces(name: str) -> list[str]:
    """One line for each process, mount, network namespace, link, cgroup, socket and folder."""
    home = str(base() / name)
    return [
        *_processes(home, name),
        *(f"mount {line}" for line in _lines("/proc/self/mountinfo") if home in line),
        *(f"socket {line}" for line in _lines("/proc/net/unix") if home in line),
        *(f"netns {path}" for path in Path("/run/netns").glob(f"ringfence-{name}*")),
        *(f"link {line}" for line in _links() if f"link-netns ringfence-{name}" in line),
        *(f"cgroup {path}" for path in _folders("/sys/fs/cgroup") if path.endswith(f"/ringfence-{name}")),
        *([f"folder {home}"] if Path(home).exists() else []),
    ]


def _processes(home: str, name: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            environment = (entry / "environ").read_bytes().decode(errors="replace")
            cgroups = (entry / "cgroup").read_text()
        except OSError:
            continue
        if home in command or home in environment or f"/ringfence-{name}/" in cgroups:
            found.append(f"process {entry.name} {command[:100]}")
    return found


def _folders(root: str) -> Iterator[str]:
    """All below; one that goes while it is read (another suite's cluster ends) is passed over."""
    return (str(Path(at) / folder) for at, folders, _ in os.walk(root) for folder in folders)


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def _links() -> list[str]:
    return subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout.splitlines()
