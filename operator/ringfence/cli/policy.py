"""`ringfence policy`: what the built-in policy says, and whether policies of one's own can be read."""

import json
import sys
from collections.abc import Iterator, Sequence

import click

from ringfence.api.names import API_VERSION
from ringfence.cli.manifests import Unreadable, find, read
from ringfence.policy.advice import advice
from ringfence.policy.builtin import RESTRICTED
from ringfence.policy.model import NamedPolicy

from . import options
from .judge import policies_of
from .objects import objects
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
@options.exclude
@click.option("--against-cluster", is_flag=True, help="Tell whom they would hit if they were applied. Reads only.")
@click.option("-n", "--namespace", help="Look at the agents of this namespace alone. Default: of all namespaces.")
@options.output
@options.connection
def check(
    files: Sequence[str],
    exclude: Sequence[str],
    against_cluster: bool,
    namespace: str | None,
    output: str,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Check that AgentPolicies can be read, and warn of what has no effect.

    With --against-cluster each agent that they bind is decided by the policies of the cluster, and by these in their
    place: which do not fit any more, in what, and what becomes of them (spec.existing). You need to list agentpolicies,
    namespaces and agentdeployments (with -n: get that namespace, and list its agentdeployments). Nodes and servicecidrs
    are looked at where you may list them.

    \b
    Exit code: 0 all can be read and hit nobody, 1 an agent would be hit, 2 something cannot be read.

    \b
    Examples:
      ringfence policy check platform/policies.yaml
      ringfence policy check --against-cluster platform/policies.yaml
    """
    if not against_cluster and (namespace or kubeconfig or context or output != "text"):
        raise click.UsageError("--namespace, --kubeconfig, --context and --output need --against-cluster")
    found = _read(files, exclude, said=output == "text")
    if found is None:
        sys.exit(2)
    if against_cluster:
        from . import against_cluster as live  # noqa: PLC0415 - heavy
        from . import cluster  # noqa: PLC0415 - heavy

        where = cluster.Where(None, kubeconfig, context)
        cluster.run(where, lambda session: live.check(session, found, namespace, output))


def _read(files: Sequence[str], exclude: Sequence[str], *, said: bool) -> list[NamedPolicy] | None:
    """The policies of the files; None, and sentences said, where one cannot be read."""
    found: list[NamedPolicy] = []
    failed = False
    for argument in files:
        try:
            for file, policy in _inside(argument, exclude):
                found.append(policy)
                _say(file, policy, ok=said)
        except Unreadable as failure:
            click.echo(f"ringfence policy check: {failure}", err=True)
            failed = True
    return None if failed else found


def _inside(argument: str, exclude: Sequence[str]) -> Iterator[tuple[str, NamedPolicy]]:
    """The policies of a file or directory, each with its file. Raises Unreadable, also where there is none."""
    empty = True
    for file in find(argument, exclude):
        for policy in policies_of(one for document in read(file) for one in objects(document)):
            empty = False
            yield file, policy
    if empty:
        raise Unreadable(argument, "no AgentPolicy in it")


def _say(file: str, policy: NamedPolicy, *, ok: bool) -> None:
    if ok:
        click.echo(f"{file}: AgentPolicy {policy.name}: {click.style('ok', fg='green')}")
    for warning in advice(policy.spec):
        click.echo(f"  {file}: {warning}", err=True)
