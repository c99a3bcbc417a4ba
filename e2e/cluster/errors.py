"""What can go wrong with a cluster, and the lock that keeps two runs apart.

Exception
└── ClusterError          anything the person at the keyboard can act on; its text is the whole story
    └── CommandFailed     a program we ran said no; the text holds the command and what it printed
"""

from __future__ import annotations

__all__ = ["ClusterError", "CommandFailed"]


class ClusterError(Exception):
    """Something a person can act on; printed without a traceback."""


class CommandFailed(ClusterError):
    """A program ended with an exit code other than 0."""

    def __init__(self, argv: list[str], code: int, output: str) -> None:
        shown = " ".join(argv if len(argv) < 12 else [*argv[:12], "..."])
        super().__init__(f"`{shown}` ended with code {code}:\n{output.strip()[-3000:]}")
        self.code = code
        self.output = output
