"""What the subcommands share that have something done to one agent, and follow it if asked to."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Any, Final

import click

from . import cluster
from .status import one_agent

DONE, FAILED = 0, 1
"""Exit codes, with cluster.NO_CLUSTER."""
POLL_SECONDS: Final = 1.0
"""Between two looks: what is followed takes some seconds, most of them a pod's start."""

Action = Callable[[cluster.Session, Mapping[str, Any]], Awaitable[None]]


class Stopped(Exception):
    """It ends here. The message is a sentence with what to do next."""


def with_agent(name: str, where: cluster.Where, action: Action) -> None:
    """Do it with the agent, and end with the exit code: FAILED where there is no such agent, or by Stopped."""
    command = click.get_current_context().info_name

    async def act(session: cluster.Session) -> int:
        agent = await one_agent(session, name)
        if agent is None:
            return FAILED
        try:
            await action(session, agent)
        except Stopped as end:
            click.echo(f"ringfence {command}: {end}", err=True)
            return FAILED
        return DONE

    cluster.run(where, act)


async def pause(deadline: float, sentence: str) -> None:
    """Until the next look. Raises Stopped with the sentence when the time is up."""
    if monotonic() >= deadline:
        raise Stopped(sentence)
    await asyncio.sleep(POLL_SECONDS)


def progress(sentence: str, before: str) -> str:
    """Say it where it is news, and return it."""
    if sentence != before:
        click.echo(sentence, err=True)
    return sentence
