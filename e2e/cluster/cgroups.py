"""The instance's own cgroup, so that two kubelets on one machine do not manage the same pods' groups.

cgroup v2 has one hierarchy; v1 has one for each controller (hybrid: also a unified one without any).
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path

from .shell import wait_for

__all__ = ["create", "remove"]

ROOT = Path("/sys/fs/cgroup")
WANTED = ("cpu", "cpuset", "memory", "pids")


def create(name: str) -> None:
    """Make the group in every hierarchy."""
    for hierarchy in _hierarchies():
        group = hierarchy / name
        group.mkdir(exist_ok=True)
        # v1: a new group has no processors and no memory nodes, and nothing can run in it, until told.
        for setting in ("cpuset.cpus", "cpuset.mems"):
            if not _unified(hierarchy) and (group / setting).exists():
                (group / setting).write_text((hierarchy / setting).read_text())
        if _unified(hierarchy):
            _delegate(hierarchy)
            _delegate(group)


def remove(name: str) -> None:
    """Remove the group and all below it; its processes have ended before."""
    for hierarchy in _hierarchies():
        top = hierarchy / name
        if not top.is_dir():
            continue
        groups = [path for path in top.rglob("*") if path.is_dir()]
        for group in [*sorted(groups, key=lambda path: -len(path.parts)), top]:
            wait_for(f"cgroup {group} to be empty", partial(_rmdir, group))


def _hierarchies() -> list[Path]:
    if (ROOT / "cgroup.controllers").exists():
        return [ROOT]
    return sorted(path for path in ROOT.iterdir() if path.is_dir() and not path.is_symlink())


def _unified(hierarchy: Path) -> bool:
    return (hierarchy / "cgroup.controllers").exists()


def _delegate(group: Path) -> None:
    """Let the groups below use the controllers (v2 wants to be asked)."""
    there = (group / "cgroup.controllers").read_text().split()
    for controller in WANTED:
        if controller in there:
            (group / "cgroup.subtree_control").write_text(f"+{controller}")


def _rmdir(group: Path) -> bool:
    with suppress(FileNotFoundError):
        group.rmdir()  # OSError "busy" while a process is still on its way out: tried again
    return True
