"""`ringfence rotate`: rotate secrets now, by the same jobs that rotate them on schedule."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Any, Final

import click

from ringfence.api.secrets import duration
from ringfence.resources.model import child_name
from ringfence.resources.secret_names import rotation_name
from ringfence.resources.workload import rolled_out

from . import cluster, formatting
from .following import Stopped, pause, progress, with_agent
from .status import condition

BY_HAND: Final = {"cronjob.kubernetes.io/instantiate": "manual"}
"""What `kubectl create job --from` sets."""


@dataclass(frozen=True)
class Rotating:
    """One secret that rotates. `restarts`: whether its delivery has the agent restarted."""

    name: str
    cron_job: str
    restarts: bool
    overlap: str


@click.command("rotate")
@click.argument("name", shell_complete=cluster.complete_agents)
@click.option("--secret", "chosen", multiple=True, metavar="NAME", help="Only this secret. Repeatable. Default: all.")
@click.option("--wait", is_flag=True, help="Follow until the new value is stored, and the agent restarted if need be.")
@click.option(
    "--timeout",
    type=click.FloatRange(1, 3600),
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="With --wait: the longest that it may take in all.",
)
@cluster.options
def command(name: str, chosen: Sequence[str], wait: bool, timeout: float, **where: str | None) -> None:
    """Rotate an agent's secrets now.

    Makes a Job from the CronJob of each secret that Ringfence generates, as
    `kubectl create job --from=cronjob/...` does.
    The value before stays valid beside the new one for the overlap that the agent's spec names.

    \b
    Exit code: 0 done (without --wait: the jobs are made), 1 it failed or nothing rotates, 2 the cluster cannot be
    reached.

    \b
    Examples:
      ringfence rotate researcher -n research
      ringfence rotate researcher -n research --secret panel --wait
    """

    async def act(session: cluster.Session, agent: Mapping[str, Any]) -> None:
        wanted = choose(agent, chosen)
        _warn(agent, wanted)
        jobs = [(one, await _start(session, agent, one)) for one in wanted]
        if wait:
            await _follow(session, name, jobs, deadline=monotonic() + timeout)

    with_agent(name, cluster.Where(**where), act)


def choose(agent: Mapping[str, Any], chosen: Sequence[str]) -> list[Rotating]:
    """The rotating secrets of the spec, or those chosen. Raises Stopped when there are none, or one does not rotate."""
    name = agent["metadata"]["name"]
    asked = {one["name"]: one for one in (agent.get("spec") or {}).get("secrets") or []}
    rotating = {secret: one for secret, one in asked.items() if one.get("rotation")}
    if unknown := [one for one in chosen if one not in asked]:
        known = f"it has {', '.join(asked)}" if asked else "it has none"
        raise Stopped(f"agent {name} has no secret {unknown[0]}; {known}")
    if kept := [one for one in chosen if one not in rotating]:
        existing = ((asked[kept[0]].get("source") or {}).get("existing") or {}).get("secretName")
        raise Stopped(
            f"{kept[0]} is somebody else's Secret {existing}, which Ringfence delivers and never writes; "
            "give it a new value where it is kept"
        )
    if not rotating:
        raise Stopped(f"no secret of agent {name} rotates; give one source.generate and rotation in spec.secrets")
    return [_rotating(name, rotating[one]) for one in dict.fromkeys(chosen or rotating)]


def _rotating(agent: str, secret: Mapping[str, Any]) -> Rotating:
    return Rotating(
        name=secret["name"],
        cron_job=rotation_name(agent, secret["name"]),
        restarts=bool((secret.get("delivery") or {}).get("env")),
        overlap=secret["rotation"].get("overlap", "1h"),
    )


def _warn(agent: Mapping[str, Any], wanted: Sequence[Rotating]) -> None:
    """Only one value before is kept: who still uses that one loses it now."""
    rotated = {one.get("name"): one.get("lastRotated") for one in (agent.get("status") or {}).get("secrets") or []}
    for one in wanted:
        then = formatting.moment(rotated.get(one.name))
        if then and _within(then, one.overlap):
            ago = formatting.age(then, formatting.now())
            click.echo(
                f"{one.name} rotated {ago} ago: the value before that, valid until its overlap of {one.overlap} ends, "
                "is dropped now",
                err=True,
            )


def _within(then: datetime, overlap: str) -> bool:
    try:
        return formatting.now() < then + duration(overlap)
    except ValueError:
        return False


def job_of(cron_job: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The Job that `kubectl create job NAME --from=cronjob/...` would make."""
    template = (cron_job.get("spec") or {}).get("jobTemplate") or {}
    metadata = template.get("metadata") or {}
    owner = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "name": cron_job["metadata"]["name"],
        "uid": cron_job["metadata"]["uid"],
        "controller": True,  # and no blockOwnerDeletion, which would ask for a right on the CronJob's finalizers
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "annotations": BY_HAND | (metadata.get("annotations") or {}),
            "labels": dict(metadata.get("labels") or {}),
            "ownerReferences": [owner],
        },
        "spec": template.get("spec") or {},
    }


async def _start(session: cluster.Session, agent: Mapping[str, Any], one: Rotating) -> str:
    """Make the Job and return its name."""
    from ringfence.kube import NotFound, path_of  # noqa: PLC0415 - heavy

    try:
        cron_job = await session.kube.get(path_of("batch/v1", "cronjobs", session.namespace, one.cron_job))
    except NotFound:
        raise Stopped(f"{one.name}: {_why_no_cron_job(agent, one)}") from None
    # No number at the end: the jobs of the scheduler, which rotate only what is due, have one of eight digits.
    name = f"{one.cron_job}-now-{secrets.token_hex(3)}"
    await session.kube.create(path_of("batch/v1", "jobs", session.namespace), job_of(cron_job, name))
    click.echo(f"{one.name}: Job {name} rotates it")
    return name


def _why_no_cron_job(agent: Mapping[str, Any], one: Rotating) -> str:
    """The agent's own conditions know best."""
    said = condition(agent.get("status") or {}, "SecretsFresh")
    if said and said.get("status") != "True":
        return f"nothing rotates it yet: {formatting.clean(said.get('message'))}"
    return (
        f"CronJob {one.cron_job} is not there; `ringfence explain {agent['metadata']['name']}` shows what it waits "
        "for, and the controller must know its image (--job-image, set by the chart)"
    )


async def _follow(
    session: cluster.Session, agent: str, jobs: Sequence[tuple[Rotating, str]], *, deadline: float
) -> None:
    for one, job in jobs:
        await _finish(session, one, job, deadline)
        click.echo(f"{one.name}: the new value is stored")
    if any(one.restarts for one, _ in jobs):
        await _roll_out(session, agent, deadline)
        click.echo(f"{agent}: restarted, its pods have the new value")
    if any(not one.restarts for one, _ in jobs):
        click.echo("files change in the pods within the kubelet's sync period, mostly a minute", err=True)


async def _finish(session: cluster.Session, one: Rotating, job: str, deadline: float) -> None:
    from ringfence.kube import NotFound, path_of  # noqa: PLC0415 - heavy

    said = ""
    while True:
        try:
            found = await session.kube.get(path_of("batch/v1", "jobs", session.namespace, job))
        except NotFound:
            raise Stopped(f"{one.name}: Job {job} was deleted before it ended; start again") from None
        status = found.get("status") or {}
        ended = {one["type"]: one for one in status.get("conditions") or [] if one.get("status") == "True"}
        if "Complete" in ended:
            return
        logs = f"`kubectl logs -n {session.namespace} job/{job}` says why"
        if failed := ended.get("Failed"):
            why = formatting.clean(failed.get("message") or failed.get("reason"))
            raise Stopped(
                f"{one.name}: Job {job} failed ({why}); {logs}. "
                "A valid value stays in place, and the next job goes on where this one stopped"
            )
        step = "its pod runs" if status.get("ready") else "its pod starts" if status.get("active") else "it starts"
        if status.get("failed"):
            step += f" (tried before: {status['failed']} times)"
        said = progress(f"{one.name}: Job {job}: {step}", said)
        await pause(
            deadline,
            f"{one.name}: Job {job} has not ended in time; it goes on by itself: `kubectl get -n {session.namespace} "
            f"job/{job}`, and {logs}",
        )


async def _roll_out(session: cluster.Session, agent: str, deadline: float) -> None:
    """The job has asked for the restart before it ended: what is left is to see the new pods available."""
    from ringfence.kube import NotFound, path_of  # noqa: PLC0415 - heavy

    said = ""
    while True:
        try:
            live = await session.kube.get(path_of("apps/v1", "deployments", session.namespace, child_name(agent)))
        except NotFound:
            raise Stopped(
                f"{agent} has no Deployment: it does not run, and will start with the new value; "
                f"`ringfence explain {agent}` shows what it waits for"
            ) from None
        if rolled_out(live):
            return
        status, wanted = live.get("status") or {}, live["spec"].get("replicas", 1)
        said = progress(f"{agent}: {status.get('updatedReplicas') or 0} of {wanted} pods restarted", said)
        await pause(
            deadline,
            f"{agent}: the restarted pods are not available in time; the value before stays valid until they are: "
            f"`ringfence explain {agent}` shows what they wait for",
        )
