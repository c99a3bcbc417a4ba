"""`ringfence status`: which agents are ready, and what the others wait for."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import click

from ringfence.api.names import API_VERSION

from . import cluster, formatting, leader, options

LONGEST_SENTENCE: Final = 160
"""Characters of a condition's message in the table; `ringfence explain` shows all of it."""
UNSEEN: Final = "Ringfence has not looked at it yet: is the controller running, and this namespace open to agents?"
BEHIND: Final = "the controller has not looked at the newest spec yet"


@dataclass(frozen=True)
class Row:
    """One agent as `status` shows it. `ready`: True, False, or None where nobody has looked at this spec yet.

    `since`: when it became ready, or ceased to be.
    """

    namespace: str
    name: str
    ready: bool | None
    reason: str
    message: str
    pods: str
    level: str
    oldest_key: str | None
    created: str | None
    since: str | None

    def as_json(self) -> dict[str, Any]:
        """The documented JSON form."""
        return {
            "namespace": self.namespace,
            "name": self.name,
            "ready": self.ready is True,
            "reason": self.reason,
            "message": self.message,
            "pods": self.pods,
            "level": self.level,
            "oldestKey": self.oldest_key,
            "created": self.created,
            "since": self.since,
        }


def row(agent: Mapping[str, Any]) -> Row:
    """What an AgentDeployment's status says."""
    metadata, spec, status = agent["metadata"], agent.get("spec") or {}, agent.get("status") or {}
    sum_of_all = condition(status, "Ready")
    behind = (status.get("observedGeneration") or 0) < (metadata.get("generation") or 0)
    if sum_of_all is None or behind:
        ready, reason, message = None, "Unknown", BEHIND if sum_of_all else UNSEEN
    else:
        ready = sum_of_all.get("status") == "True"
        reason, message = str(sum_of_all.get("reason", "")), str(sum_of_all.get("message", ""))
    return Row(
        namespace=metadata["namespace"],
        name=metadata["name"],
        ready=ready,
        reason=reason,
        message="" if ready else message,
        pods=f"{status.get('readyReplicas') or 0}/{spec.get('replicas', 1)}",
        level=(spec.get("permissions") or {}).get("level", "ReadOnly"),
        oldest_key=status.get("oldestSecret"),
        created=metadata.get("creationTimestamp"),
        since=(sum_of_all or {}).get("lastTransitionTime"),
    )


def condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any] | None:
    """The condition of that type."""
    return next((one for one in status.get("conditions") or [] if one.get("type") == kind), None)


@click.command("status")
@click.argument("name", required=False, shell_complete=cluster.complete_agents)
@click.option("-A", "--all-namespaces", is_flag=True, help="Agents of all namespaces.")
@options.output
@leader.option
@cluster.options
def command(name: str | None, all_namespaces: bool, output: str, lease: str, **where: str | None) -> None:
    """Show which agents are ready, since when, how old their oldest secret is, and what the others wait for.

    Where no controller leads, that is said: what is shown was then seen before, and nothing is put right.

    \b
    Exit code: 0 all are ready, 1 some are not, NAME is not there or nobody leads, 2 the cluster cannot be reached.

    \b
    Examples:
      ringfence status
      ringfence status researcher -n research
      ringfence status -A -o json
    """
    if name and all_namespaces:
        raise click.UsageError("a name and --all-namespaces do not go together")

    async def show(session: cluster.Session) -> int:
        found = await gather(session, name, all_namespaces=all_namespaces)
        if found is None:
            return cluster.NOT_READY
        leads = await leader.look(session, lease)
        rows = [row(agent) for agent in sorted(found, key=_by_name)]
        if output == "json":
            click.echo(json.dumps({"agents": [one.as_json() for one in rows], "leader": leads.as_json()}, indent=2))
        else:
            where_to = "" if all_namespaces else f" in namespace {session.namespace}"
            print_rows(rows, formatting.now(), nothing=f"no agents found{where_to}", namespaces=all_namespaces)
            if not leads.leads:
                click.echo(
                    click.style(leads.sentence(formatting.now()), fg=None if leads.leads is None else "red"), err=True
                )
        good = all(one.ready for one in rows) and leads.leads is not False
        return cluster.READY if good else cluster.NOT_READY

    cluster.run(cluster.Where(**where), show)


async def gather(
    session: cluster.Session, name: str | None, *, all_namespaces: bool = False
) -> list[dict[str, Any]] | None:
    """The agents asked for; None, and a sentence said, when the one that is named is not there."""
    from ringfence.kube import path_of  # noqa: PLC0415 - heavy

    namespace = None if all_namespaces else session.namespace
    if name is None:
        return await session.kube.list(path_of(API_VERSION, cluster.AGENTS, namespace))
    found = await one_agent(session, name)
    return None if found is None else [found]


async def one_agent(session: cluster.Session, name: str) -> dict[str, Any] | None:
    """The agent of that name; None, and a sentence said, when it is not there."""
    from ringfence.kube import NotFound, path_of  # noqa: PLC0415 - heavy

    try:
        return await session.kube.get(path_of(API_VERSION, cluster.AGENTS, session.namespace, name))
    except NotFound as failure:
        if "could not find the requested resource" in failure.message:
            raise  # the kind itself is not there
        cluster.refuse(f"no agent {name} in namespace {session.namespace}", "`ringfence status -A` shows all")
        return None


def print_rows(rows: Sequence[Row], now: datetime, *, nothing: str, namespaces: bool) -> None:
    """The table, or `nothing` on standard error."""
    if not rows:
        click.echo(nothing, err=True)
        return
    head = ["NAMESPACE"] * namespaces + ["NAME", "READY", "SINCE", "PODS", "LEVEL", "OLDEST KEY", "AGE", "WAITS FOR"]
    lines = list(formatting.table(head, [[one.namespace] * namespaces + _cells(one, now) for one in rows]))
    click.echo(lines[0])
    for one, line in zip(rows, lines[1:], strict=True):
        click.echo(line if one.ready else click.style(line, fg="red" if one.ready is False else "yellow"))


def _cells(one: Row, now: datetime) -> list[str]:
    key = formatting.age(formatting.moment(one.oldest_key), now) if one.oldest_key else "-"
    first, _, more = one.message.partition("\n")
    sentence = formatting.clean(first)
    cut = len(sentence) > LONGEST_SENTENCE
    sentence = sentence[:LONGEST_SENTENCE] + "..." * (cut or bool(more))
    waits = "-" if one.ready else f"{one.reason}: {sentence}"
    ready = {True: "True", False: "False", None: "Unknown"}[one.ready]
    age = formatting.age(formatting.moment(one.created), now)
    since = formatting.age(formatting.moment(one.since), now) if one.since else "-"
    return [one.name, ready, since, one.pods, one.level, key, age, waits]


def _by_name(agent: Mapping[str, Any]) -> tuple[str, str]:
    return agent["metadata"]["namespace"], agent["metadata"]["name"]
