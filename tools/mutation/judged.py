"""Survivors that somebody has looked at: tools/mutation/judged.toml, judged_guards.toml."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

FILE: Final = Path(__file__).parent / "judged.toml"
Verdict = Literal["equivalent", "cluster"]


class Changed(Protocol):
    """A mutant of any kind, as far as a verdict is about it."""

    @property
    def path(self) -> str:
        """What it changes: a file, or a policy by its name."""

    @property
    def where(self) -> str:
        """The place in it, by a name."""

    @property
    def was(self) -> str:
        """What stood there."""

    @property
    def becomes(self) -> str:
        """What stands there in its place."""


@dataclass(frozen=True)
class Judged:
    """A survivor, told by what it changes and where, not by its line; `why`: a sentence.

    equivalent: it does the same, so no test can tell. It does not count.
    cluster: only tests with a cluster notice; the sentence names one. It counts as a survivor.
    """

    path: str
    where: str
    was: str
    becomes: str
    verdict: Verdict
    why: str

    def is_about(self, mutant: Changed) -> bool:
        """Whether this is that mutant."""
        return (self.path, self.where, self.was, self.becomes) == (
            mutant.path,
            mutant.where,
            mutant.was,
            mutant.becomes,
        )


def read(file: Path = FILE) -> list[Judged]:
    """All that is in the file. Raises ValueError where a verdict is none, TypeError where a field is not right."""
    found = [Judged(**entry) for entry in tomllib.loads(file.read_text(encoding="utf-8")).get("mutant", [])]
    for one in found:
        if one.verdict not in {"equivalent", "cluster"} or not one.why:
            raise ValueError(f"{file.name}: {one.path} {one.was!r}: give a verdict and say why")
    return found
