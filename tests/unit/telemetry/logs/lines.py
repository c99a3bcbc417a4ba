"""What was logged, as a program reads it."""

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tools.logs_reference import LINES

from ringfence.store.records import Key
from unit.admission import make

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
KEY = Key("team", "a")
ALWAYS = {"timestamp", "level", "event"}
VALUE = "hunter2-in-the-clear"
NASTY = "x\x1b[2J\n\u202eevil" + "y" * 5000
REVIEW = {"uid": make.UID, "kind": "AgentDeployment", "namespace": "team", "name": "researcher", "user": "dev"}
BAD = {"image": "registry.example/x:1"}
Lines = Callable[[], list[dict[str, Any]]]


class Shown(io.StringIO):
    """What was written since the last look."""

    def take(self) -> str:
        text = self.getvalue()
        self.seek(0)
        self.truncate()
        return text


def told(lines: Lines, event: str) -> list[dict[str, Any]]:
    """The lines of this event since the last look. Every listed line has its fields and no others."""
    found = lines()
    for line in found:
        if line["event"] in LINES:
            assert set(line) - ALWAYS == set(LINES[line["event"]].fields), line
            assert datetime.fromisoformat(line["timestamp"]).tzinfo is not None
    return [line for line in found if line["event"] == event]


def one(lines: Lines, event: str) -> dict[str, Any]:
    (found,) = told(lines, event)
    return found


def tame(line: dict[str, Any]) -> None:
    text = json.dumps(line, ensure_ascii=False)
    assert len(text) < 12_000
    assert text.isprintable(), text
