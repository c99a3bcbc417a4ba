"""`ringfence version`."""

import json
import platform

import click

from ringfence import __version__
from ringfence.api.names import API_VERSION

from . import options


@click.command("version")
@options.output
def command(output: str) -> None:
    """Print the version of Ringfence and of its API.

    \b
    Examples:
      ringfence version
      ringfence version -o json
    """
    found = {"version": __version__, "api": API_VERSION, "python": platform.python_version()}
    click.echo(json.dumps(found) if output == "json" else f"ringfence {__version__} ({API_VERSION})")
