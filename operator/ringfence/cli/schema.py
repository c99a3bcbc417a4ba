"""`ringfence schema`: JSON Schemas, by which editors complete and check manifests."""

import json
from typing import Any, Final

import click

from ringfence.api import AgentDeployment, AgentPolicy
from ringfence.api.schema import json_schema

KINDS: Final[dict[str, Any]] = {kind.kind: kind for kind in (AgentDeployment, AgentPolicy)}
DRAFT: Final = "http://json-schema.org/draft-07/schema#"
"""The draft that editors' YAML plugins know."""


@click.command("schema")
@click.argument("kind", type=click.Choice(sorted(KINDS)), required=False)
def command(kind: str | None) -> None:
    """Print the JSON Schema of a kind, or (without one) one that takes both, for editors.

    An editor with a YAML language server completes fields and marks mistakes by it. It says less than `ringfence lint`:
    what spans fields, and what policies allow, is not in it.

    \b
    Exit code: 0, or 2 for a kind that is not known.

    \b
    Examples:
      ringfence schema > ringfence.schema.json
      ringfence schema AgentPolicy > agentpolicy.schema.json
      sed -i '1i # yaml-language-server: $schema=ringfence.schema.json' agent.yaml
    """
    click.echo(json.dumps({"$schema": DRAFT} | schema(kind), indent=2))


def schema(kind: str | None) -> dict[str, Any]:
    """Of one kind, or of both: which one an object is to fit is told by its `kind`."""
    if kind is not None:
        return json_schema(KINDS[kind])
    chosen = [
        {"if": {"properties": {"kind": {"const": name}}}, "then": json_schema(model)} for name, model in KINDS.items()
    ]
    return {
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {"kind": {"enum": sorted(KINDS)}},
        "allOf": chosen,
    }
