"""One namespace with much to do: a repair in another does not wait for it. By the order of writes, not by time."""

import signal
from collections.abc import Iterator

import pytest

from api.controller.place import Place
from api.controller.process import USER, Controller, Record
from api.server import Server
from cluster import Cluster
from cluster.shell import wait_for

BACKLOG = 150
WAITING = 60
"""Agents of the crowd that wait when the repair begins to."""
BEFORE_IT = 20
"""Children of other agents that may be written meanwhile: by the workers that are at work already."""
OPEN = {"spec": {"egress": [{}], "policyTypes": ["Ingress", "Egress"]}}
POLICY = "ringfence-a-allow"


@pytest.fixture
def crowd(client: Server) -> Iterator[Place]:
    found = Place(client)
    yield found
    found.remove()


def test_a_repair_overtakes_a_backlog_of_another_namespace(
    cluster: Cluster, place: Place, crowd: Place, controller: Controller
) -> None:
    place.agent()
    place.wait_applied()
    record = Record(cluster)
    names = [f"x{number}" for number in range(BACKLOG)]
    controller.send(signal.SIGSTOP)  # so that all of them wait at once
    for name in names:
        crowd.agent(name)
    controller.send(signal.SIGCONT)
    wait_for("a backlog", lambda: controller.metric("ringfence_queue_depth", kind="AgentDeployment") >= WAITING)
    place.merge("NetworkPolicy", POLICY, OPEN)
    place.wait_right()
    for name in names:
        crowd.wait_applied(name)  # nobody starves

    edited = repaired = None
    before, after = 0, 0
    for entry in record.writes(user=None):
        target = entry.get("objectRef") or {}
        ours = entry["user"]["username"] == USER
        if (target.get("namespace"), target.get("name")) == (place.name, POLICY):
            edited = edited or (not ours and entry["stageTimestamp"])
            repaired = repaired or (edited and ours and entry["stageTimestamp"])
        elif ours and target.get("namespace") == crowd.name and target["resource"] == "networkpolicies" and edited:
            before, after = before + (not repaired), after + bool(repaired)
    assert edited, "the test's own write is in the record"
    assert repaired, "and the answer to it"
    assert before <= BEFORE_IT, f"{before} policies of the crowd were written before the repair, {after} after it"
    assert after >= WAITING, "there was a backlog"
