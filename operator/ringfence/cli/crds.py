"""`ringfence crds`: the CustomResourceDefinitions of this version."""

import click

from ringfence.api import AgentDeployment, AgentPolicy
from ringfence.api.schema import custom_resource_definition

from .render import dump


@click.command("crds")
def command() -> None:
    """Print the CustomResourceDefinitions as YAML.

    \b
    Example:
      ringfence crds | kubectl apply --server-side -f -
    """
    for model in (AgentDeployment, AgentPolicy):
        click.echo("---\n" + dump(custom_resource_definition(model)), nl=False)
