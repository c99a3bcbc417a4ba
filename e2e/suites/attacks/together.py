"""Several people at once, each in a loop."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager

from cluster.shell import wait_for
from harness import agents
from harness.api import Api, Refused
from harness.manifests import NAMESPACE
from suites.attacks.agent import NOBODY, OPEN, STANDING, Agent, held, path
from suites.attacks.people import People

__all__ = ["Act", "at_once", "deletes", "holds", "opens", "wait_contested", "wait_stopped"]

PASSING = {404, 409, 422}
"""Not there, changed by somebody else, or being deleted: then no finalizer can be added."""
TOLD = {"FenceContested", "Unfenced"}
Step = Callable[[Api, Agent], None]
Act = tuple[str, Step]
"""A user, and what they do in each turn."""


def _opens(who: Api, agent: Agent) -> None:
    who.patch(agent.allow, OPEN)


def _holds(who: Api, agent: Agent) -> None:
    held(who, agent.deny, NOBODY)


def _deletes(who: Api, agent: Agent) -> None:
    for at in (path("networkpolicies", STANDING), *agent.specs):
        who.delete(at)


opens: Act = ("ed", _opens)
holds: Act = ("netp", _holds)
deletes: Act = ("adm", _deletes)


@contextmanager
def at_once(agent: Agent, people: People, acts: Sequence[Act]) -> Iterator[None]:
    """Begins when each has had a turn. What is refused, or is not there at this moment, is tried again."""
    over, turns = threading.Event(), [0] * len(acts)

    def go_on(number: int, user: str, step: Step) -> None:
        with closing(people.another(user)) as who:
            while not over.is_set():
                try:
                    step(who, agent)
                except Refused as refused:
                    if refused.code not in PASSING:
                        raise
                turns[number] += 1

    threads = [threading.Thread(target=go_on, args=(number, *act), daemon=True) for number, act in enumerate(acts)]
    for thread in threads:
        thread.start()
    try:
        wait_for("each to have had a turn", lambda: all(turns))
        yield
        before = list(turns)
        wait_for("they to go on", lambda: all(now > then for now, then in zip(turns, before, strict=True)))
    finally:
        over.set()
        for thread in threads:
            thread.join(60)


def wait_stopped(agent: Agent) -> None:
    """Until it has no pods, and its status says why."""

    def stopped() -> bool:
        ready = agents.condition(agents.get(agent.api, NAMESPACE, agent.name))
        told = ready["status"] == "False" and ready["reason"] in TOLD and "no pods" in ready["message"]
        return agent.stopped() and told

    wait_for("it to be stopped, and told", stopped)


def wait_contested(agent: Agent) -> None:
    """Until it is told that the edits do not end: while they go on, since it may have been stopped for the first one.

    On a busy machine that is not put right within three seconds, and that alone stops the agent.
    """
    agent.wait_event("FenceContested", "edited again and again")
