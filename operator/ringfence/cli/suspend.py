"""`ringfence suspend`: stop an agent; its fence, its storage and its permissions stay."""

import json
from collections.abc import Mapping
from typing import Any, Final

import click

from ringfence.api.names import API_VERSION

from . import cluster, options
from .status import one_agent

DONE, FAILED = 0, 1
"""Exit codes, with cluster.NO_CLUSTER."""
MANAGER: Final = "ringfence-cli"
"""Who owns spec.suspended from then on (metadata.managedFields)."""


@click.command("suspend")
@click.argument("name", shell_complete=cluster.complete_agents)
@options.output
@cluster.options
def command(name: str, output: str, **where: str | None) -> None:
    """Stop an agent: no pods, while the fence, the storage and the permissions stay.

    Sets spec.suspended. Where the AgentDeployment is kept in Git, set it there as well, or it is put back. You need to
    get and patch agentdeployments.

    \b
    Exit code: 0 it is suspended, 1 there is no such agent, 2 the cluster cannot be reached or refuses.

    \b
    Examples:
      ringfence suspend researcher -n research
      ringfence resume researcher -n research
    """
    change(name, output, cluster.Where(**where), suspended=True)


def change(name: str, output: str, where: cluster.Where, *, suspended: bool) -> None:
    """Set spec.suspended, where it is not so already, and end with the exit code."""

    async def act(session: cluster.Session) -> int:
        from ringfence.kube import path_of  # noqa: PLC0415 - heavy

        agent = await one_agent(session, name)
        if agent is None:
            return FAILED
        before = bool((agent.get("spec") or {}).get("suspended"))
        if before != suspended:
            place = path_of(API_VERSION, cluster.AGENTS, session.namespace, name)
            # The version: who edits it at the same moment is not overwritten.
            metadata = {"resourceVersion": agent["metadata"]["resourceVersion"]}
            await session.kube.merge(place, {"metadata": metadata, "spec": {"suspended": suspended}}, manager=MANAGER)
        _tell(agent, output, suspended=suspended, changed=before != suspended)
        return DONE

    cluster.run(where, act)


def _tell(agent: Mapping[str, Any], output: str, *, suspended: bool, changed: bool) -> None:
    name, namespace = agent["metadata"]["name"], agent["metadata"]["namespace"]
    if output == "json":
        found = {"namespace": namespace, "name": name, "suspended": suspended, "changed": changed}
        click.echo(json.dumps(found, indent=2))
        return
    state = "suspended" if suspended else "resumed"
    click.echo(f"{namespace}/{name}: {state}" if changed else f"{namespace}/{name}: was {state} already")
    if not suspended and (agent.get("spec") or {}).get("replicas") == 0:
        click.echo(
            f"it has no pods all the same, as spec.replicas is 0: kubectl edit agd -n {namespace} {name}", err=True
        )
    elif changed:
        click.echo(f"`ringfence status {name} -n {namespace}` shows how far it is", err=True)
