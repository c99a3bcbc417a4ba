"""Starting and stopping the instance's programs.

There are no pid files, which go stale and then name a stranger. Each program carries in its
environment which instance and component it is, and that is read back from the kernel. A process is
signalled through a pidfd opened before that check, so a pid that is used again can never be hit.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from .errors import ClusterError
from .instance import Instance

__all__ = ["Component", "end_all", "running", "start", "stop"]

INSTANCE_MARK = "RINGFENCE_INSTANCE"
COMPONENT_MARK = "RINGFENCE_COMPONENT"
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Component:
    """One long-running program of an instance."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)


def start(instance: Instance, component: Component) -> None:
    """Start a component in a session of its own, with its output in `logs/NAME.log`."""
    instance.logs.mkdir(parents=True, exist_ok=True)
    log = str(instance.logs / f"{component.name}.log")
    env = {
        "PATH": SEARCH_PATH,
        "HOME": str(instance.home),
        **component.env,
        INSTANCE_MARK: str(instance.home),
        COMPONENT_MARK: component.name,
    }
    os.posix_spawnp(
        component.argv[0],
        list(component.argv),
        env,
        setsid=True,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
    )


def running(instance: Instance) -> dict[str, int]:
    """Component name -> pid of its main process (the session's first; helpers are not listed)."""
    found: dict[str, int] = {}
    for pid in _pids():
        name = _component(pid, instance.home)
        if name is not None and _is_session_leader(pid):
            found[name] = pid
    return found


def stop(instance: Instance, name: str, *, grace: float = 20) -> None:
    """End one component: SIGTERM, and SIGKILL when it is still there after `grace` seconds."""
    _end([(pid, name) for pid in _pids() if _component(pid, instance.home) == name], instance, grace)


def end_all(instance: Instance) -> None:
    """End everything of the instance at once: its programs, and whatever is in its pods' cgroup."""
    deadline = time.monotonic() + 60
    empty_looks = 0
    # Two looks: a process in the midst of an `exec` cannot be recognized for a moment.
    while empty_looks < 2:
        ours = [pid for pid in _pids() if _belongs(pid, instance)]
        empty_looks = 0 if ours else empty_looks + 1
        for pid in ours:
            with _pidfd(pid) as handle:
                if handle is not None and _belongs(pid, instance):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
        _bury(ours)
        if time.monotonic() > deadline:
            raise ClusterError(f"processes {ours} do not end; look at them with `ps`")
        time.sleep(0.02 if ours else 0.1)


def _end(targets: list[tuple[int, str]], instance: Instance, grace: float) -> None:
    for pid, name in targets:
        with _pidfd(pid) as handle:
            if handle is None or _component(pid, instance.home) != name:
                continue
            signal.pidfd_send_signal(handle, signal.SIGTERM)
            if not _gone(handle, grace):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                if not _gone(handle, 10):
                    raise ClusterError(f"{name} (process {pid}) does not end")
        _bury([pid])


@contextmanager
def _pidfd(pid: int) -> Iterator[int | None]:
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        yield None
        return
    try:
        with suppress(ProcessLookupError):
            yield handle
    finally:
        os.close(handle)


def _gone(handle: int, timeout: float) -> bool:
    """Wait for a process to end: its pidfd becomes readable then."""
    poller = select.poll()
    poller.register(handle, select.POLLIN)
    return bool(poller.poll(timeout * 1000))


def _bury(pids: list[int]) -> None:
    """Reap those that were our own children (a test run starts and stops in one process)."""
    for pid in pids:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _component(pid: int, home: Path) -> str | None:
    """Which component of the instance in `home` this process is or belongs to; None for strangers."""
    try:
        raw = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return None
    pairs = dict(item.partition(b"=")[::2] for item in raw.split(b"\0"))
    if pairs.get(INSTANCE_MARK.encode()) != str(home).encode():
        return None
    return pairs.get(COMPONENT_MARK.encode(), b"").decode() or None


def _belongs(pid: int, instance: Instance) -> bool:
    """Whether a process is one of the instance's programs or runs in one of its pods."""
    if _component(pid, instance.home) is not None:
        return True
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        # A zombie has no memory left, and nothing to end.
        return any((line.split(":", 2)[2] + "/").startswith(f"/{instance.cgroup}/") for line in lines) and bool(
            Path(f"/proc/{pid}/cmdline").read_bytes()
        )
    except OSError:
        return False


def _is_session_leader(pid: int) -> bool:
    try:
        return os.getsid(pid) == pid
    except OSError:
        return False
