"""One tick: look at what is stored, do the next step, look again, until nothing is left to do."""

import asyncio
import secrets
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from ringfence.kube import Conflict, Kube, Object, path_of
from ringfence.resources.secrets import stamp
from ringfence.sources.generated import new_value

from .plan import Order, Step, look, next_step, rotated, scheduled, without_previous

log = structlog.get_logger()

MOST_STEPS = 20
"""Writes and lost races in one run; three steps are all there is to do."""

Clock = Callable[[], datetime]


class Unfinished(Exception):
    """Not now: others keep writing the Secret, or the value before is still in use. The job's next try goes on."""


async def run(
    kube: Kube, order: Order, *, namespace: str, job: str, clock: Clock = lambda: datetime.now(UTC)
) -> list[Step]:
    """Do what is due. Returns the steps done. Raises ApiError, Unreachable, Unfinished: then run again."""
    done: list[Step] = []
    secret_path = path_of("v1", "secrets", namespace, order.secret)
    workload_path = path_of("apps/v1", "deployments", namespace, order.restart) if order.restart else None
    for _ in range(MOST_STEPS):
        secret = await kube.get(secret_path)
        deployment = await kube.get(workload_path) if workload_path else None
        now = clock()
        seen = look(secret, deployment, order)
        step = next_step(order, seen, job=job, now=now)
        if step is None:
            if seen.rotated_by != job and not scheduled(order.cron_job, job):
                raise Unfinished(
                    f"the pods of Deployment {order.restart} that are to take the last rotation of Secret "
                    f"{order.secret} are not available yet: both values stay valid, and nothing was rotated"
                )
            return done
        try:
            if step is Step.ROTATE:
                # With the resourceVersion that was read: of two jobs at once, one looks again.
                await kube.replace(secret_path, rotated(secret, order, new_value(order.length), job=job, now=now))
            elif step is Step.RESTART and workload_path:
                await kube.merge(workload_path, restart(order, secret))
            else:
                await kube.replace(secret_path, without_previous(secret))
        except Conflict:
            await asyncio.sleep(secrets.randbelow(1000) / 1000)
            continue
        log.info(step.value, secret=order.secret, namespace=namespace, job=job)
        done.append(step)
    raise Unfinished(f"Secret {order.secret} was changed by others {MOST_STEPS} times in a row")


def restart(order: Order, secret: Object) -> Object:
    """The patch that has the pods started anew, with the rotation that they then have seen."""
    seen = look(secret, None, order).rotated_at
    annotations = {order.annotation: stamp(seen) if seen else ""}
    return {"spec": {"template": {"metadata": {"annotations": annotations}}}}
