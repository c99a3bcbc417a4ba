"""`ringfence run`: begin a run of an agent now, as its schedule or its spec would."""

import secrets
from collections.abc import Mapping
from time import monotonic
from typing import Any, Final

import click

from ringfence.api.names import API_VERSION, RUN_ANNOTATION
from ringfence.resources.runs import request_digest, requested_run

from . import cluster, formatting
from .following import Stopped, pause, progress, with_agent
from .status import condition, one_agent

MANAGER: Final = "ringfence-cli"
WHY: Final[Mapping[str, str]] = {
    "Suspended": "the agent is suspended: `ringfence resume` first",
    "AnotherRun": "another run is at work, and run.concurrency is Forbid",
    "NotAccepted": "the agent is not accepted: `ringfence explain` says why",
    "NoRuns": "the agent goes on for ever (run.mode Service), and has no runs",
}


@click.command("run")
@click.argument("name", shell_complete=cluster.complete_agents)
@click.option("--wait", is_flag=True, help="Follow until the run is over.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="With --wait: the longest that it may take in all.",
)
@cluster.options
def command(name: str, wait: bool, timeout: float, **where: str | None) -> None:
    """Begin a run of an agent now.

    The agent has run.mode Job or Schedule, and the run is what the schedule would begin: in the same fence, with the
    same deadline and retries. Asks for it by the annotation ringfence.dev/run-requested of the AgentDeployment, which
    the controller answers with one Job. You need to get and patch agentdeployments, and no right on Jobs.

    \b
    Exit code: 0 asked for (with --wait: it succeeded), 1 it failed or cannot begin, 2 the cluster cannot be reached or
    refuses.

    \b
    Examples:
      ringfence run nightly -n research
      ringfence run nightly -n research --wait
    """

    async def act(session: cluster.Session, agent: Mapping[str, Any]) -> None:
        _may_begin(agent)
        run = await _ask(session, name)
        if wait:
            await _follow(session, name, run, deadline=monotonic() + timeout)

    with_agent(name, cluster.Where(**where), act)


def _may_begin(agent: Mapping[str, Any]) -> None:
    """Raise Stopped where the controller would refuse it. It decides by itself, later."""
    spec, status = agent.get("spec") or {}, agent.get("status") or {}
    if (spec.get("run") or {}).get("mode", "Service") == "Service":
        raise Stopped(WHY["NoRuns"])
    if spec.get("suspended"):
        raise Stopped(WHY["Suspended"])
    accepted = condition(status, "Accepted")
    if accepted is not None and accepted.get("status") != "True":
        raise Stopped(WHY["NotAccepted"])


async def _ask(session: cluster.Session, name: str) -> str:
    """Ask for a run; the name of its Job."""
    from ringfence.kube import path_of  # noqa: PLC0415 - heavy

    request = secrets.token_hex(8)
    place = path_of(API_VERSION, cluster.AGENTS, session.namespace, name)
    await session.kube.merge(place, {"metadata": {"annotations": {RUN_ANNOTATION: request}}}, manager=MANAGER)
    run = requested_run(name, request_digest(request))
    click.echo(f"{session.namespace}/{name}: run {run} is asked for")
    return run


async def _follow(session: cluster.Session, name: str, run: str, *, deadline: float) -> None:
    """Until it is over. Raises Stopped where it did not succeed, or not in time."""
    said = ""
    logs = f"`kubectl logs -n {session.namespace} job/{run}` shows what it wrote"
    while True:
        agent = await one_agent(session, name)
        if agent is None:
            raise Stopped(f"agent {name} was deleted")
        found: Mapping[str, Any] = next(
            (one for one in (agent.get("status") or {}).get("runs") or [] if one.get("name") == run), {}
        )
        outcome, reason = found.get("outcome"), formatting.clean(found.get("reason"))
        if outcome == "Succeeded":
            click.echo(f"{session.namespace}/{name}: run {run} succeeded; {logs}")
            return
        if outcome == "Refused":
            raise Stopped(f"run {run} did not begin: {WHY.get(reason, reason)}")
        if outcome in {"Failed", "Ended"}:
            raise Stopped(f"run {run} {'failed' if outcome == 'Failed' else 'was ended'} ({reason}); {logs}")
        text = f"run {run} is at work" if outcome else f"run {run} has not begun yet"
        said = progress(text, said)
        await pause(deadline, f"{text}; it goes on by itself: `ringfence explain {name}`, and {logs}")
