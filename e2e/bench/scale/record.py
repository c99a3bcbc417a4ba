"""The API server's own record, read on from where the last look ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

__all__ = ["Entry", "Mark", "Record", "counted"]

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True)
class Entry:
    """One request that was answered."""

    user: str
    verb: str
    resource: str
    namespace: str
    name: str
    code: int
    received: datetime
    answered: datetime
    group_version: str

    @property
    def writes(self) -> bool:
        """Whether it could change something."""
        return self.verb in WRITES

    @property
    def is_lease(self) -> bool:
        """Who leads: renewed as long as the process lives."""
        return self.resource == "leases"


@dataclass(frozen=True)
class Mark:
    """A place in the record."""

    inode: int
    offset: int


class Record:
    """The file may be put aside and begun anew when it is long: what was put aside is read to its end."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def mark(self) -> Mark:
        """The present end."""
        stat = self._file.stat()
        return Mark(stat.st_ino, stat.st_size)

    def since(self, mark: Mark, *, user: str = "") -> Iterator[Entry]:
        """What was answered since then; `user`: only to this one."""
        wanted = f'"username":"{user}"'.encode()
        for file in sorted(self._file.parent.glob(f"{self._file.stem}*"), key=lambda path: path.stat().st_mtime):
            stat = file.stat()
            if stat.st_ino != mark.inode and stat.st_mtime < self._birth(mark):
                continue
            with file.open("rb") as lines:
                lines.seek(mark.offset if stat.st_ino == mark.inode else 0)
                for line in lines:
                    if line.endswith(b"\n") and (not user or wanted in line) and b'"ResponseComplete"' in line:
                        yield _entry(orjson.loads(line))

    def _birth(self, mark: Mark) -> float:
        """No file older than the marked one is of interest."""
        marked = (path.stat() for path in self._file.parent.glob(f"{self._file.stem}*"))
        return next((stat.st_mtime for stat in marked if stat.st_ino == mark.inode), 0.0)


def counted(entries: Iterable[Entry]) -> dict[str, Any]:
    """Requests of one user by sort. Watches and the lease, which last as long as the process, are told apart."""
    writes: Counter[str] = Counter()
    reads: Counter[str] = Counter()
    watches = lease_reads = lease_writes = 0
    for entry in entries:
        if entry.is_lease:
            lease_writes += entry.writes
            lease_reads += not entry.writes
        elif entry.verb == "watch":
            watches += 1
        else:
            (writes if entry.writes else reads)[f"{entry.verb} {entry.resource}"] += 1
    return {
        "writes": sum(writes.values()),
        "reads": sum(reads.values()),
        "watches": watches,
        "lease_reads": lease_reads,
        "lease_writes": lease_writes,
        "writes_by_kind": dict(writes.most_common()),
        "reads_by_kind": dict(reads.most_common()),
    }


def _entry(raw: dict[str, Any]) -> Entry:
    target = raw.get("objectRef") or {}
    group = target.get("apiGroup", "")
    return Entry(
        user=raw["user"]["username"],
        verb=raw["verb"],
        resource="/".join(filter(None, (target.get("resource", ""), target.get("subresource")))),
        namespace=target.get("namespace", ""),
        name=target.get("name", ""),
        code=int((raw.get("responseStatus") or {}).get("code", 0)),
        received=datetime.fromisoformat(raw["requestReceivedTimestamp"]),
        answered=datetime.fromisoformat(raw["stageTimestamp"]),
        group_version=f"{group}/{target.get('apiVersion', '')}" if group else target.get("apiVersion", ""),
    )
