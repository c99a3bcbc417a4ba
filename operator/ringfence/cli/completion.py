"""Completion of words: by a shell for `ringfence`, by kubectl for `kubectl ringfence`."""

import sys
from collections.abc import Sequence
from typing import Final

import click
from click.shell_completion import ShellComplete, get_completion_class

NAME: Final = "ringfence"
VARIABLE: Final = "_RINGFENCE_COMPLETE"
"""Set by the scripts: the command then answers with words instead of doing anything."""
NO_FILES, FILES = 4, 0
"""Directives of the library cobra, which kubectl asks plugins to speak: whether names of files are meant as well."""


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script by which a shell completes commands, options and names of agents.

    For `kubectl ringfence` nothing is to be done: kubectl asks `kubectl_complete-ringfence`, which stands beside.

    \b
    Examples:
      echo 'eval "$(ringfence completion bash)"' >> ~/.bashrc
      echo 'eval "$(ringfence completion zsh)"' >> ~/.zshrc
      ringfence completion fish > ~/.config/fish/completions/ringfence.fish
    """
    kind = get_completion_class(shell)
    if kind is None:  # pragma: no cover - click brings these three
        raise click.ClickException(f"no completion for {shell}")
    click.echo(kind(ctx.find_root().command, {}, NAME, VARIABLE).source())


def kubectl_complete(arguments: Sequence[str] | None = None) -> None:
    """Entry point `kubectl_complete-ringfence`: the words so far in, the candidates out, one a line."""
    from .main import cli  # noqa: PLC0415 - it imports this module's command by name, later

    given = list(sys.argv[1:] if arguments is None else arguments) or [""]
    found = ShellComplete(cli, {}, NAME, VARIABLE).get_completions(given[:-1], given[-1])
    for item in found:
        if item.type == "plain":
            click.echo(f"{item.value}\t{item.help}" if item.help else item.value)
    click.echo(f":{FILES if any(item.type != 'plain' for item in found) else NO_FILES}")
