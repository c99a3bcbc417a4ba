"""`make pictures`: draws the stale ones of docs/pictures/dashboard-*.svg, and deletes those of no row."""

import sys
from pathlib import Path

from tools.panel_pictures.asked import answering, answers
from tools.panel_pictures.draw import drawn
from tools.panel_pictures.panels import FOLDER, rows
from tools.panel_pictures.samples import parse
from tools.panel_pictures.stale import SAMPLES, mark

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """The command."""
    samples = parse((ROOT / SAMPLES).read_text(encoding="utf-8"))
    wanted = rows(ROOT)
    with answering(samples) as running:
        for row in wanted:
            if (ROOT / row.path).is_file() and mark(ROOT, row) in (ROOT / row.path).read_text(encoding="utf-8"):
                continue
            found = [answers(running, row.board, panel, samples) for panel in row.panels]
            (ROOT / row.path).write_text(
                f"{drawn(row.panels, found, (samples.start, samples.end))}{mark(ROOT, row)}\n", encoding="utf-8"
            )
            sys.stdout.write(f"drew {row.path}\n")
    for path in (ROOT / FOLDER).glob("dashboard-*.svg"):
        if str(path.relative_to(ROOT)) not in {row.path for row in wanted}:
            path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
