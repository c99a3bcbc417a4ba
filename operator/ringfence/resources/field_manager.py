"""Who wrote last, by the API server's own record (metadata.managedFields). Pure.

It has the names that clients give themselves (`kubectl-edit`, `argocd-controller`), not users: a hint where to look.
Who it was is in the API server's audit log.
"""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ringfence.api.names import FIELD_MANAGER


@dataclass(frozen=True, slots=True)
class FieldManager:
    """A field manager, and when it wrote (RFC 3339). None: not known."""

    manager: str | None = None
    time: str | None = None

    def told(self) -> dict[str, str | None]:
        """As fields of a log line."""
        return {"manager": self.manager, "changed_at": self.time}


UNKNOWN = FieldManager()


def last_of_spec(metadata: Mapping[str, Any]) -> FieldManager:
    """Who wrote fields of the spec last."""
    return _newest(entry for entry in _entries(metadata) if "f:spec" in (entry.get("fieldsV1") or {}))


def last_editor(metadata: Mapping[str, Any]) -> FieldManager:
    """Who changed a child of ours: the last one since we wrote it. Whoever only took fields away left no trace."""
    entries = list(_entries(metadata))
    ours = max((_time(entry) for entry in entries if entry.get("manager") == FIELD_MANAGER), default="")
    return _newest(entry for entry in entries if entry.get("manager") != FIELD_MANAGER and _time(entry) >= ours)


def _entries(metadata: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    return (entry for entry in metadata.get("managedFields") or [] if entry.get("subresource") != "status")


def _newest(entries: Iterable[Mapping[str, Any]]) -> FieldManager:
    found = max(entries, key=_time, default=None)
    return UNKNOWN if found is None else FieldManager(sys.intern(str(found.get("manager"))), _time(found) or None)


def _time(entry: Mapping[str, Any]) -> str:
    return str(entry.get("time") or "")  # all of one form, so that they compare as text
