"""The folder of built programs: made once a machine, shared by all instances and checkouts."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from .shell import step

__all__ = ["ensure", "fingerprint", "folder"]


def folder() -> Path:
    """`${XDG_CACHE_HOME:-~/.cache}/ringfence`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ringfence"


def fingerprint(*parts: str, files: Iterable[Path] = ()) -> str:
    """A short hash of texts and of files (their names and contents)."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() + b"\0")
    for file in sorted(files):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def ensure(name: str, key: str, build: Callable[[Path], None], *, doing: str) -> Path:
    """Return the folder `NAME-KEY`, after calling `build` with an empty folder when it is not there yet.

    A folder appears under its name only when it is complete, so a killed build leaves nothing that
    looks usable; two runs that want the same one build it once. What has another key waits for nobody.
    """
    target = folder() / f"{name}-{key}"
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name(f"{target.name}.lock").open("w") as guard, step(doing):
        fcntl.flock(guard, fcntl.LOCK_EX)
        if target.is_dir():
            return target
        unfinished = target.with_name(f"{target.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        build(unfinished)
        unfinished.rename(target)
    return target
