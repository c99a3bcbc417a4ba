"""The command `ringfence`: one image, one command, a subcommand for each process."""

import importlib
import sys
from typing import Any

import click

from ringfence import __version__

COMMANDS = {
    "controller": "ringfence.cli.controller",
    "admission": "ringfence.cli.admission",
    "crds": "ringfence.cli.crds",
    "lint": "ringfence.cli.lint",
    "policy": "ringfence.cli.policy",
    "render": "ringfence.cli.render",
    "rotate-job": "ringfence.cli.rotate_job",
    "version": "ringfence.cli.version",
}
"""Subcommand -> the module whose `command` it is: loaded only when it is called, so that each starts fast."""


class LazyGroup(click.Group):
    """Imports a subcommand's module when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            command: click.Command = importlib.import_module(COMMANDS[cmd_name]).command
            return command
        return super().get_command(ctx, cmd_name)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "RINGFENCE"})
@click.version_option(__version__, prog_name="ringfence")
def cli() -> None:
    """Ringfence puts a fence around every AI agent on Kubernetes, and proves that the fence holds."""


def main(**kwargs: Any) -> None:
    """Entry point. A failure that a person can mend comes as one sentence, not as a traceback."""
    try:
        cli(**kwargs)
    except OSError as failure:
        sys.exit(f"ringfence: {failure.strerror or failure} {failure.filename or ''}".rstrip())
