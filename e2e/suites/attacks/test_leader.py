"""Fences are edited while nobody leads, or while the leader lacks a right."""

from collections.abc import Iterator

import pytest

from cluster.shell import wait_for
from harness import metrics
from harness.api import Api
from harness.kubectl import Kubectl, Object
from suites.attacks.agent import OPEN
from suites.attacks.conftest import Make
from suites.attacks.controllers import LEASE, wait_leader
from suites.attacks.packets import SECONDS, TAKEOVER, no_longer_than, trying
from suites.attacks.people import People

FORGED: Object = {
    "holderIdentity": "nobody",
    "leaseDurationSeconds": 3600,
    "renewTime": "2999-01-01T00:00:00.000000Z",
}
ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterroles/ringfence-controller"
WRITES = {"create", "update", "patch", "delete"}


@pytest.fixture(autouse=True)
def led(api: Api) -> None:
    wait_leader(api)


def test_a_forged_lease(make: Make, people: People, kubectl: Kubectl, closed: list[str]) -> None:
    agent, lease = make(), people("lease")
    with trying(kubectl, agent, closed) as stream:
        lease.patch(LEASE, {"spec": FORGED})
        wait_for("the leader to stop", lambda: metrics.total(agent.api, "ringfence_leader") == 0)
        people("ed").patch(agent.allow, OPEN)
        agent.wait_right()
    no_longer_than(TAKEOVER, stream)
    agent.wait_event("DriftRepaired")
    assert lease.get(LEASE)["spec"]["leaseDurationSeconds"] < FORGED["leaseDurationSeconds"]


@pytest.fixture
def rules(api: Api) -> Iterator[list[Object]]:
    """What the controller may do. All of it again afterwards."""
    before: list[Object] = api.get(ROLE)["rules"]
    yield before
    api.patch(ROLE, {"rules": before})


def _without_writes(rule: Object) -> Object:
    return rule | {"verbs": [verb for verb in rule["verbs"] if verb not in WRITES]}


def test_without_its_right_to_write_policies(
    make: Make, people: People, kubectl: Kubectl, closed: list[str], rules: list[Object]
) -> None:
    agent = make()
    less = [_without_writes(rule) if "networkpolicies" in rule["resources"] else rule for rule in rules]
    agent.api.patch(ROLE, {"rules": less})
    with trying(kubectl, agent, closed) as stream:
        people("ed").patch(agent.allow, OPEN)
        wait_for("its pods to stop", lambda: not agent.pods())
    no_longer_than(SECONDS, stream)
    agent.wait("Ready", "False", "Unfenced")
    agent.wait_event("Unfenced")
