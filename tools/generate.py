"""`python -m tools.generate` writes every generated file; `--check` names those that are stale.

Exit codes: 0 all is as it should be; 1 stale files, or something that cannot be generated.
"""

import argparse
import sys
from pathlib import Path

from ringfence.api.schema import SchemaError
from tools import (
    catalogue,
    ceiling,
    cli_reference,
    coverage,
    crds,
    dashboards,
    demo_cast,
    enforcement,
    logs_reference,
    metrics_reference,
    pack,
    pictures,
    reference,
    results,
    rules_reference,
    static_floor,
)
from tools.panel_pictures import stale as stale_pictures

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("crds", "charts/ringfence-crds/templates")
"""Folders in which every YAML file is generated: one that no kind stands behind any more is stale."""
FAILURES = (
    SchemaError,
    enforcement.EnforcementError,
    catalogue.CatalogueError,
    static_floor.FloorError,
    pictures.PictureError,
)
"""What says that something cannot be generated."""


def wanted() -> dict[str, str]:
    """Path -> content of all generated files. Raises one of FAILURES."""
    monitoring = dashboards.files(ROOT) | metrics_reference.files()
    words = cli_reference.files() | rules_reference.files() | logs_reference.files()
    found = (
        crds.files()
        | reference.files()
        | enforcement.files(ROOT)
        | catalogue.files(ROOT)
        | coverage.files(ROOT)
        | pack.files()
        | results.files(ROOT)
        | pictures.files(ROOT)
        | stale_pictures.files(ROOT)
        | demo_cast.files(ROOT)
        | ceiling.files()
        | monitoring
        | words
    )
    return found | static_floor.files(ROOT, found)


def stale(files: dict[str, str], root: Path) -> list[str]:
    """Paths whose file differs, is missing, or is left over."""
    different = [path for path, text in files.items() if not _same(root / path, text)]
    return sorted(different + leftovers(files, root))


def leftovers(files: dict[str, str], root: Path) -> list[str]:
    """Generated files that nothing generates any more."""
    present = [path for folder in FOLDERS for path in (root / folder).glob("*.yaml")]
    present += [path for path in (root / pack.FOLDER).rglob("*.yaml") if path.read_text("utf-8").startswith(pack.MARK)]
    return [str(path.relative_to(root)) for path in present if str(path.relative_to(root)) not in files]


def write(files: dict[str, str], root: Path) -> list[str]:
    """Bring the files up to date and return the paths of those that were not."""
    changed = stale(files, root)
    for path in changed:
        if path not in files:
            (root / path).unlink()
            continue
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(files[path], encoding="utf-8")
    return changed


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tools.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is stale")
    options = parser.parse_args(arguments)
    try:
        files = wanted()
    except FAILURES as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if not options.check:
        for path in write(files, ROOT):
            sys.stdout.write(f"wrote {path}\n")
        return 0
    found = stale(files, ROOT)
    for path in found:
        sys.stderr.write(f"stale: {path}\n")
    if found:
        sys.stderr.write("run `make generate` and commit what it changes\n")
    return 1 if found else 0


def _same(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
