"""`ringfence rotate-job`: what the CronJobs run."""

import asyncio
import sys
from datetime import timedelta

import click

from ringfence.api.secrets import duration
from ringfence.kube import ApiError, ConfigException, Kube, Unreachable
from ringfence.rotation.job import Unfinished, run
from ringfence.rotation.plan import Order
from ringfence.telemetry import logs


def _duration(text: str) -> timedelta:
    try:
        return duration(text)
    except ValueError as failure:
        raise click.BadParameter(f"{failure}; write 720h or 1h30m") from None


@click.command("rotate-job", hidden=True)
@click.option("--namespace", envvar="POD_NAMESPACE", required=True)
@click.option("--job", envvar="JOB_NAME", required=True, help="Name of this job: a rotation is done once by each.")
@click.option("--secret", required=True, help="Name of the Secret.")
@click.option("--cron-job", required=True, help="Name of the CronJob whose ticks rotate only what is due.")
@click.option("--length", type=click.IntRange(1, 1024), required=True)
@click.option("--every", type=_duration, required=True)
@click.option("--overlap", type=_duration, required=True)
@click.option("--restart", help="Deployment to restart when the value is new.")
@click.option("--annotation", help="Annotation of its pods' template that names the rotation.")
@click.option("--kubeconfig", type=click.Path(dir_okay=False))
def command(namespace: str, job: str, kubeconfig: str | None, **order: object) -> None:
    """Rotate one Secret, if that is due. Run by CronJobs; `ringfence rotate` is for people."""
    logs.configure()
    try:
        steps = asyncio.run(_run(Order(**order), namespace, job, kubeconfig))  # type: ignore[arg-type]
    except (ApiError, Unreachable, Unfinished) as failure:
        sys.exit(f"ringfence rotate-job: {failure}")
    except ConfigException as failure:
        sys.exit(f"ringfence rotate-job: no cluster: {failure}")
    click.echo(", ".join(steps) or "nothing is due")


async def _run(order: Order, namespace: str, job: str, kubeconfig: str | None) -> list[str]:
    async with await Kube.connect(kubeconfig) as kube:
        return [str(step) for step in await run(kube, order, namespace=namespace, job=job)]
