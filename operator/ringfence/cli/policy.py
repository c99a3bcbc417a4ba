"""`ringfence policy`: what the built-in policy says, and whether policies of one's own can be read."""

import json
import sys
from collections.abc import Sequence

import click

from ringfence.api.names import API_VERSION
from ringfence.cli.manifests import Unreadable, find
from ringfence.policy.advice import advice
from ringfence.policy.builtin import RESTRICTED
from ringfence.policy.model import NamedPolicy

from .judge import read_policies
from .render import dump


@click.group("policy")
def command() -> None:
    """Show the built-in policy, or check policies before they bind anybody."""


@command.command("show")
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True, help="Format.")
def show(output: str) -> None:
    """Print the built-in policy `restricted`, which binds where no AgentPolicy does.

    \b
    Examples:
      ringfence policy show
      ringfence policy show | kubectl diff -f -
    """
    manifest = {
        "apiVersion": API_VERSION,
        "kind": "AgentPolicy",
        "metadata": {"name": "restricted"},
        "spec": RESTRICTED.spec.manifest(),
    }
    click.echo(dump(manifest) if output == "yaml" else json.dumps(manifest, indent=2), nl=output == "json")


@command.command("check")
@click.argument("files", nargs=-1, required=True, metavar="FILE|DIR|-...")
def check(files: Sequence[str]) -> None:
    """Check that AgentPolicies can be read, and warn of what has no effect.

    \b
    Exit code: 0 all can be read, 2 something cannot.

    \b
    Example:
      ringfence policy check platform/policies.yaml
    """
    failed = False
    for argument in files:
        try:
            for file in find(argument):
                for policy in read_policies([file]):
                    _say(file, policy)
        except Unreadable as failure:
            click.echo(f"ringfence policy check: {failure}", err=True)
            failed = True
    sys.exit(2 if failed else 0)


def _say(file: str, policy: NamedPolicy) -> None:
    click.echo(f"{file}: AgentPolicy {policy.name}: {click.style('ok', fg='green')}")
    for warning in advice(policy.spec):
        click.echo(f"  {file}: {warning}", err=True)
