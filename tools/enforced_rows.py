"""One row of docs/enforcement.md."""

from dataclasses import dataclass


@dataclass(frozen=True, init=False)
class Row:
    """`by`: what enforces it, in words (Markdown). `tests`: at least one test that tries to break it."""

    by: str
    tests: tuple[str, ...]

    def __init__(self, by: str, *tests: str) -> None:
        object.__setattr__(self, "by", by)
        object.__setattr__(self, "tests", tests)
