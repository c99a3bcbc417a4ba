"""Release notes from CHANGELOG.md."""

import re

from .errors import ReleaseError

_KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def section(changelog: str, version: str) -> str:
    """What the changelog says of a version, without its heading; else of what is unreleased. Raises ReleaseError."""
    for name in (version, "Unreleased"):
        found = re.search(rf"^## \[{re.escape(name)}\][^\n]*\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
        if found and found[1].strip():
            return found[1].strip() + "\n"
    raise ReleaseError(f"CHANGELOG.md has neither a section [{version}] nor an [Unreleased] one with something in it")


def notes(changelog: str, version: str, install: str) -> str:
    """The page of a release: how to install it, and what changed."""
    return f"# Ringfence {version}\n\n{install}\n\n## Changes\n\n{section(changelog, version)}"


def changes(changelog: str, version: str) -> list[dict[str, str]]:
    """The same as Artifact Hub wants it: kind and first sentence of each entry."""
    kind, found = "added", list[dict[str, str]]()
    for block in re.split(r"^(?=\* |### )", section(changelog, version), flags=re.MULTILINE):
        text = re.sub(r"\s+", " ", block).strip()
        if heading := re.match(r"### (\w+)", text):
            kind = heading[1].lower() if heading[1] in _KINDS else kind
        elif text.startswith("* "):
            plain = re.sub(r"\[([^\]]*)\]\([^)]*\)|`", r"\1", text[2:])
            first = re.split(r"(?<=[.;:]) ", plain)[0].rstrip(".;:")
            found.append({"kind": kind, "description": first})
    return found
