"""`ringfence render`: the children of an agent as YAML, by the controller's own code."""

import sys
from collections.abc import Sequence
from typing import Any

import click
import yaml

from ringfence.api import AgentDeploymentSpec, parse
from ringfence.cli.manifests import Unreadable, find, read
from ringfence.resources import Agent, build
from ringfence.resources.network import missing_services
from ringfence.resources.users import UserIds

from . import options
from .judge import Result, judge, read_policies
from .objects import objects

NO_UID = "00000000-0000-0000-0000-000000000000"
"""Stands for the uid that the API server gives the AgentDeployment. It is never printed: beside the owner that a stored
child has, another one is refused."""


@click.command("render")
@click.argument("files", nargs=-1, required=True, metavar="FILE|DIR|-...")
@options.policies
@options.exclude
@options.user_ids
@click.option(
    "-n", "--namespace", default="default", show_default=True, help="Namespace of AgentDeployments that name none."
)
def command(
    files: Sequence[str], policy_files: Sequence[str], exclude: Sequence[str], user_ids: str, namespace: str
) -> None:
    """Print what each AgentDeployment becomes, in the order in which it is written.

    What is refused becomes nothing: its violations are printed by `ringfence lint`. What only the cluster knows is
    left out: the pods behind a Service and the API server's addresses, which is said on standard error, the owner,
    which is known by its uid, and the gate, the first container of each pod, which looks for the cluster's canary. Do
    not apply the result: what has no owner is nobody's, and Ringfence leaves it alone.

    \b
    Exit code: 0 all rendered, 1 some refused, 2 something could not be read.

    \b
    Examples:
      ringfence render agent.yaml
      ringfence render agent.yaml | kubectl diff -f -
    """
    refused = False
    try:
        world = read_policies(policy_files, exclude)
        documents = [document for argument in files for file in find(argument, exclude) for document in read(file)]
        for found in (one for document in documents for one in objects(document)):
            world.take(found)
        for document in documents:
            for result in judge(document, world, namespace=namespace):
                refused = not _render(result, UserIds(user_ids)) or refused
    except Unreadable as failure:
        click.echo(f"ringfence render: {failure}", err=True)
        sys.exit(2)
    sys.exit(1 if refused else 0)


def _render(result: Result, ids: UserIds) -> bool:
    where = f"{result.document.file}: {result.namespace}/{result.name}"
    spec = parse(AgentDeploymentSpec, result.content.get("spec")).value
    if not result.accepted or spec is None:
        click.echo(f"{where}: refused, nothing rendered: see ringfence lint {result.document.file}", err=True)
        return False
    agent = Agent(name=result.name, namespace=result.namespace, uid=NO_UID, spec=spec, user_ids=ids)
    for service in missing_services(agent):
        click.echo(f"{where}: the way to Service {service} is known in the cluster only, and left out", err=True)
    if spec.permissions.asks:
        click.echo(f"{where}: the way to the API server is known in the cluster only, and left out", err=True)
    if any(rule.namespaces for rule in spec.permissions.rules):
        click.echo(f"{where}: whether other namespaces consent is known in the cluster only: nothing there", err=True)
    for manifest in build(agent):
        del manifest["metadata"]["ownerReferences"]
        click.echo("---\n" + dump(manifest), nl=False)
    return True


def dump(manifest: Any) -> str:
    """YAML in the order of the fields, without anchors."""
    return yaml.dump(manifest, Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """The same object in two places is written twice: manifests have no anchors."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - whatever it is
        return True
