"""`ringfence resume`: let a suspended agent run again."""

import click

from . import cluster, options
from .suspend import change


@click.command("resume")
@click.argument("name", shell_complete=cluster.complete_agents)
@options.output
@cluster.options
def command(name: str, output: str, **where: str | None) -> None:
    """Let a suspended agent run again.

    Takes spec.suspended back; an agent that a policy suspends (spec.existing) waits until it fits. You need to get and
    patch agentdeployments.

    \b
    Exit code: 0 it is not suspended any more, 1 there is no such agent, 2 the cluster cannot be reached or refuses.

    \b
    Examples:
      ringfence resume researcher -n research
      ringfence resume researcher -n research -o json
    """
    change(name, output, cluster.Where(**where), suspended=False)
