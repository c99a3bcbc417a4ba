"""The report: sections of lines, each with a verdict, for people and as JSON."""

from __future__ import annotations

import json
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from cluster.errors import ClusterError

__all__ = ["Report", "Section"]

State = Literal["ok", "failed", "note"]
SIGNS: dict[State, tuple[str, str]] = {"ok": ("✓", "32"), "failed": ("✗", "31"), "note": ("·", "2")}
WIDTH = 110


@dataclass
class Line:
    """One thing that was tried or found. `facts`: the numbers behind it, for JSON."""

    state: State
    text: str
    detail: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class Section:
    """Lines under a title."""

    title: str
    lines: list[Line] = field(default_factory=list)
    seconds: float = 0.0


class Report:
    """Prints as it goes; `ok` is False once anything was not as claimed."""

    def __init__(self, *, as_json: bool = False) -> None:
        self._as_json = as_json
        self._colour = sys.stdout.isatty() and not as_json
        self._sections: list[Section] = []
        self._started = time.monotonic()

    @property
    def ok(self) -> bool:
        """Whether everything was as claimed."""
        return all(line.state != "failed" for line in self.lines)

    @property
    def lines(self) -> list[Line]:
        """All lines so far."""
        return [line for section in self._sections for line in section.lines]

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._started

    @contextmanager
    def section(self, title: str) -> Iterator[None]:
        """A section; what goes wrong in it becomes its last line, and the next section still runs."""
        section = Section(title)
        self._sections.append(section)
        self._print(f"\n{self._paint(title, '1')}")
        started = time.monotonic()
        try:
            yield
        except ClusterError as problem:
            self.failed("could not be shown", str(problem))
        finally:
            section.seconds = round(time.monotonic() - started, 2)

    def check(self, good: bool, text: str, detail: str = "", **facts: Any) -> None:
        """A claim: a tick, or a cross."""
        self._add(Line("ok" if good else "failed", text, detail, facts))

    def failed(self, text: str, detail: str = "") -> None:
        """A cross."""
        self._add(Line("failed", text, detail))

    def note(self, text: str, detail: str = "", **facts: Any) -> None:
        """Neither good nor bad."""
        self._add(Line("note", text, detail, facts))

    def plain(self, text: str = "") -> None:
        """Text for people only."""
        self._print(text)

    def close(self, **facts: Any) -> None:
        """The end: JSON, where that was asked for."""
        if self._as_json:
            sections = [asdict(section) for section in self._sections]
            whole = {"ok": self.ok, "seconds": round(self.seconds, 1), **facts, "sections": sections}
            print(json.dumps(whole, indent=1, ensure_ascii=False))

    def _add(self, line: Line) -> None:
        self._sections[-1].lines.append(line)
        sign, colour = SIGNS[line.state]
        self._print(f"  {self._paint(sign, colour)} {line.text}")
        for paragraph in line.detail.splitlines():
            for piece in textwrap.wrap(paragraph, WIDTH - 6, break_on_hyphens=False):
                self._print(f"      {self._paint(piece, '2')}")

    def _paint(self, text: str, colour: str) -> str:
        return f"\033[{colour}m{text}\033[0m" if self._colour else text

    def _print(self, text: str) -> None:
        if not self._as_json:
            print(text, flush=True)
