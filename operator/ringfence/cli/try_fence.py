"""`ringfence try`: what the pod of a verification runs."""

import json
import sys
import time
from pathlib import Path

import click

from ringfence.packets.trying import Place, message, try_all


@click.command("try", hidden=True)
@click.option("--table", envvar="RINGFENCE_ATTEMPTS", required=True, help="The attempts, as JSON.")
@click.option("--seconds", type=click.FloatRange(0.1, 60), default=1.5, show_default=True, help="For each attempt.")
@click.option(
    "--settle", type=click.FloatRange(0, 60), default=6.0, show_default=True, help="For a network that is late."
)
@click.option("--result", type=click.Path(dir_okay=False), default="/dev/termination-log", show_default=True)
def command(table: str, seconds: float, settle: float, result: str) -> None:
    """Make the attempts of a table, and leave what came of them. Run by the controller; `verify` is for people."""
    try:
        rows = json.loads(table)
    except ValueError as failure:
        sys.exit(f"ringfence try: --table is no JSON: {failure}")
    began = time.monotonic()
    found = try_all(rows, Place(), seconds=seconds, settle=settle)
    for one in found:
        click.echo(f"{one.verdict:8} {one.row['id']}: {one.came}")
    Path(result).write_text(message(found, time.monotonic() - began), encoding="utf-8")
