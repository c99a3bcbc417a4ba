"""Questions to the API server's own record, the audit log of the built-in cluster: what was stored, and when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

__all__ = ["Entry", "first_write", "is_write", "moment", "stored_before", "writes"]

Entry = dict[str, Any]
READS = frozenset({"get", "list", "watch"})


def moment(entry: Entry) -> datetime:
    """When the API server had answered."""
    return datetime.fromisoformat(entry["stageTimestamp"])


def is_write(entry: Entry) -> bool:
    """Whether it changed what is stored, or was meant to and succeeded."""
    code = (entry.get("responseStatus") or {}).get("code", 0)
    return entry["verb"] not in READS and 200 <= code < 300 and "dryRun=" not in entry.get("requestURI", "")


def writes(record: Iterable[Entry], resource: str, namespace: str, name: str) -> Iterator[Entry]:
    """All writes of one object (not of its subresources)."""
    for entry in record:
        target = entry.get("objectRef") or {}
        found = tuple(target.get(key) for key in ("resource", "namespace", "name", "subresource"))
        if found == (resource, namespace, name, None) and is_write(entry):
            yield entry


def first_write(record: Iterable[Entry], resource: str, namespace: str, name: str) -> datetime | None:
    """When an object was first stored; None where the record does not know it."""
    return min((moment(entry) for entry in writes(record, resource, namespace, name)), default=None)


def stored_before(record: Iterable[Entry], namespace: str, agent: str) -> bool:
    """Whether the agent's deny policy was stored before anything of its pods was.

    The record does not name a pod when it is created; what creates it, the ReplicaSet, comes before it: a stricter bar.
    """
    record = list(record)
    fence = first_write(record, "networkpolicies", namespace, f"ringfence-{agent}-deny")
    created = [
        datetime.fromisoformat(entry["requestReceivedTimestamp"])
        for entry in record
        if entry["verb"] == "create"
        and (entry.get("objectRef") or {}).get("resource") == "replicasets"
        and entry["objectRef"].get("namespace") == namespace
        and entry["objectRef"].get("name", "").startswith(f"ringfence-{agent}-")
    ]
    return fence is not None and bool(created) and fence < min(created)
