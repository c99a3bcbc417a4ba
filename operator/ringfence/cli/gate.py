"""`ringfence gate`: what the first container of each agent's pod runs."""

import click

from ringfence.packets.__main__ import main


@click.command("gate", hidden=True, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Wait until what has to be denied is denied, and what has to answer answers.

    Pods run it as `python3 -m ringfence.packets gate`, which starts in less time. Options, each as often as needed:
    --denied PROTOCOL:ADDRESS:PORT, --reachable PROTOCOL:ADDRESS:PORT, --api-server denied|reachable.
    """
    main(["gate", *arguments])
