"""Two people at once on one agent, without an end; also with the leader killed in between."""

from collections.abc import Sequence

import pytest

from harness.kubectl import Kubectl
from suites.attacks.conftest import Make
from suites.attacks.controllers import kill_leader, wait_leader
from suites.attacks.packets import SECONDS, TAKEOVER, no_longer_than, trying_all
from suites.attacks.people import People
from suites.attacks.together import Act, at_once, deletes, holds, opens, wait_contested, wait_stopped

PAIRS = {"open-hold": (opens, holds), "open-delete": (opens, deletes), "hold-delete": (holds, deletes)}


@pytest.mark.parametrize("acts", PAIRS.values(), ids=PAIRS.keys())
def test_the_agent_is_stopped(
    make: Make, people: People, kubectl: Kubectl, closed: list[str], acts: Sequence[Act]
) -> None:
    agent = make()
    with trying_all(kubectl, agent, closed) as streams, at_once(agent, people, acts):
        wait_stopped(agent)
        wait_contested(agent)
    for stream in streams:
        no_longer_than(SECONDS, stream)


def test_the_leader_is_killed_in_between(make: Make, people: People, kubectl: Kubectl, closed: list[str]) -> None:
    """Nothing is put back until another leads; docs/limits.md says so."""
    agent = make()
    wait_leader(agent.api)
    with trying_all(kubectl, agent, closed) as streams, at_once(agent, people, (opens, holds)):
        kill_leader(agent.api)
        wait_stopped(agent)
        wait_contested(agent)
    for stream in streams:
        no_longer_than(TAKEOVER, stream)
