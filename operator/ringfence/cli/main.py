"""The command `ringfence`: one image, one command, a subcommand for each process."""

import gc
import importlib
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ringfence import __version__

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# Plugins of pydantic are looked for in the metadata of every package installed, which takes longer than a lint. We use
# none, and none is to change how untrusted manifests are read.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

PLUGIN: Final = "kubectl-ringfence"
"""Under this name kubectl finds the same command."""
COMMANDS = {
    "controller": "ringfence.cli.controller",
    "admission": "ringfence.cli.admission",
    "can": "ringfence.cli.can",
    "completion": "ringfence.cli.completion",
    "crds": "ringfence.cli.crds",
    "doctor": "ringfence.cli.doctor",
    "explain": "ringfence.cli.explain",
    "floor": "ringfence.cli.floor",
    "init": "ringfence.cli.init",
    "lint": "ringfence.cli.lint",
    "policy": "ringfence.cli.policy",
    "render": "ringfence.cli.render",
    "resume": "ringfence.cli.resume",
    "rotate": "ringfence.cli.rotate",
    "rotate-job": "ringfence.cli.rotate_job",
    "run": "ringfence.cli.run",
    "schema": "ringfence.cli.schema",
    "status": "ringfence.cli.status",
    "suspend": "ringfence.cli.suspend",
    "version": "ringfence.cli.version",
}
"""Subcommand -> the module whose `command` it is: loaded only when it is called, so that each starts fast."""
SUMMARIES = {
    "controller": "Run the controller: keep every agent's fence as its AgentDeployment says.",
    "admission": "Review AgentDeployments and AgentPolicies for the API server.",
    "can": "Tell whether an agent may reach a place, or do something on the Kubernetes API.",
    "completion": "Print the script by which a shell completes commands, options and names of agents.",
    "crds": "Print the CustomResourceDefinitions as YAML.",
    "doctor": "Check an installation: what is wrong, and the command that helps.",
    "explain": "Show what one agent may reach and do, its secrets, its conditions, and its latest violations.",
    "floor": "Print the floor and the guards as files for the API server: nobody deletes those through the API.",
    "init": "Print a first AgentDeployment: from answers, or from what runs already.",
    "lint": "Decide on AgentDeployments as admission would, without a cluster.",
    "policy": "Show the built-in policy, or check policies before they bind anybody.",
    "render": "Print what each AgentDeployment becomes, in the order in which it is written.",
    "resume": "Let a suspended agent run again.",
    "rotate": "Rotate an agent's secrets now.",
    "run": "Begin a run of an agent now.",
    "schema": "Print the JSON Schema of a kind, or (without one) one that takes both, for editors.",
    "status": "Show which agents are ready, since when, how old their oldest secret is, and what the others wait for.",
    "suspend": "Stop an agent: no pods, while the fence, the storage and the permissions stay.",
    "version": "Print the version of Ringfence and of its API.",
}
"""Subcommand -> the first sentence of its help, for lists of them, which load none. Hidden ones have none."""


class LazyGroup(click.Group):
    """Imports a subcommand's module when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            gc.disable()  # what modules define stays: to look through it for garbage again and again costs a tenth
            try:
                command: click.Command = importlib.import_module(COMMANDS[cmd_name]).command
            finally:
                gc.enable()
            gc.freeze()
            return command
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as in click
        with formatter.section("Commands"):
            formatter.write_dl(sorted(SUMMARIES.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - only a shell asks

        names = (name for name in sorted(SUMMARIES) if name.startswith(incomplete))
        return [CompletionItem(name, help=SUMMARIES[name]) for name in names] + click.Command.shell_complete(
            self, ctx, incomplete
        )


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "RINGFENCE"})
@click.version_option(__version__, prog_name="ringfence")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Ringfence puts a fence around every AI agent on Kubernetes, and proves that the fence holds.

    \b
    Examples:
      ringfence lint manifests/
      ringfence status -A
      ringfence explain researcher -n research
      kubectl ringfence rotate researcher -n research --wait
    """
    if os.environ.get("NO_COLOR"):
        ctx.color = False


def main(**kwargs: Any) -> None:
    """Entry point. A failure that a person can mend comes as one sentence, not as a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file's name need not be text that the terminal can show
            stream.reconfigure(errors="backslashreplace")
    if Path(sys.argv[0]).name == PLUGIN:
        kwargs.setdefault("prog_name", PLUGIN.replace("-", " ", 1))
    try:
        cli(**kwargs)
    except OSError as failure:
        sys.exit(f"ringfence: {failure.strerror or failure} {failure.filename or ''}".rstrip())
