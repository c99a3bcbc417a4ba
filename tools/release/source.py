"""What a release is made from: a copy of the files that git knows, so that nothing else gets in."""

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

from cluster.shell import run

from .errors import ReleaseError


@dataclass(frozen=True)
class Source:
    """A copy of the checkout."""

    root: Path
    version: str
    """The project's, from pyproject.toml."""
    commit: str
    """40 hexadecimal digits; `+uncommitted` follows where files of the checkout are not as committed."""
    epoch: int
    """Seconds since 1970: when the commit was made. The time of everything in the release."""


def copied(checkout: Path, target: Path, *, uncommitted: bool = False) -> Source:
    """Copy what git lists into `target`. Raises ReleaseError for changes that are not committed, unless asked for."""
    changes = run(["git", "status", "--porcelain"], cwd=checkout).strip()
    if changes and not uncommitted:
        raise ReleaseError(
            f"files are not as committed ({changes.splitlines()[0].strip()}): commit them, or say --uncommitted"
            " for a release to try out"
        )
    for line in filter(None, run(["git", "ls-files", "--stage", "-z"], cwd=checkout).split("\0")):
        mode, _, _ = line.split(" ", 2)
        name = line.partition("\t")[2]
        here = checkout / name
        if not here.is_file():  # deleted and not committed
            continue
        there = target / name
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(here.read_bytes())
        there.chmod(0o755 if mode.endswith("755") else 0o644)
    commit = run(["git", "rev-parse", "HEAD"], cwd=checkout).strip() + ("+uncommitted" if changes else "")
    given = os.environ.get("SOURCE_DATE_EPOCH")
    epoch = int(given or run(["git", "show", "-s", "--format=%ct", "HEAD"], cwd=checkout))
    version = tomllib.loads((target / "pyproject.toml").read_text())["project"]["version"]
    return Source(target, version, commit, epoch)
