"""`ringfence listen`: what the canary runs."""

import click

from ringfence.packets.__main__ import main


@click.command("listen", hidden=True, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Answer everybody on one port, TCP and UDP: --port NUMBER.

    The canary runs it as `python3 -m ringfence.packets listen`, which takes less memory.
    """
    main(["listen", *arguments])
