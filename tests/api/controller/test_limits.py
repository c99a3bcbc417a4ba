"""AgentPolicy.spec.limits at write: there is no admission here, and all that is stored is decided again."""

from collections.abc import Iterator

import pytest

from api.controller.conftest import Shared
from api.controller.place import Place
from api.controller.test_policies import Policy
from cluster.shell import wait_for
from ringfence.resources import Manifest


@pytest.fixture
def policy(place: Place) -> Iterator[Policy]:
    found = Policy(place, limits={"agents": 2, "replicas": 3, "storage": "3Gi"})
    found.wait(bound=0, violating=0)
    yield found
    found.remove()


def runs(place: Place, *names: str) -> bool:
    """Whether these have a Deployment, and no others."""
    found = {item["metadata"]["name"].removeprefix("ringfence-") for item in place.items("Deployment")}
    assert found == set(names), found
    return True


def refused(place: Place, name: str, rule: str) -> str:
    condition = place.wait_condition("Accepted", "False", name=name)
    assert rule in condition["message"], condition
    return str(condition["message"])


def _age(agent: Manifest) -> tuple[str, str]:
    return agent["metadata"]["creationTimestamp"], agent["metadata"]["name"]


def test_two_at_once_and_room_for_one(place: Place, policy: Policy, shared: Shared) -> None:
    """Both are stored before the controller sees either: the older one is accepted, for good; the other has no pods."""
    policy.change(limits={"agents": 1})
    policy.wait(bound=0, violating=0)
    shared.pause()
    made = [place.agent(name) for name in ("z", "y")]  # in one second or in two: then the older one is not the first
    shared.resume()
    first, second = (one["metadata"]["name"] for one in sorted(made, key=_age))
    place.wait_applied(first)
    said = refused(place, second, "AgentsAbovePolicy")
    assert "allows this namespace 1 in sum (limits.agents), of which other agents have 1" in said
    assert place.child("deny", second) is not None, "its fence stands"
    assert runs(place, first)
    shared.restart()
    refused(place, second, "AgentsAbovePolicy")
    place.wait_condition("Accepted", "True", name=first)
    assert runs(place, first)
    place.delete("AgentDeployment", first)
    place.wait_applied(second)
    wait_for("the second runs alone", lambda: runs(place, second))


def test_what_is_had_is_kept_and_what_is_more_is_not_given(place: Place, policy: Policy) -> None:
    place.agent("a", replicas=2)
    place.agent("b", replicas=1)
    place.wait_applied("a")
    place.wait_applied("b")
    place.change("b", replicas=2)
    assert "of which other agents have 2" in refused(place, "b", "ReplicasAbovePolicy")
    assert place.get("Deployment", "ringfence-b")["spec"]["replicas"] == 1, "the last good state stays"
    place.change("a", replicas=1)
    place.wait_applied("a")
    place.wait_applied("b")
    assert place.get("Deployment", "ringfence-b")["spec"]["replicas"] == 2


def test_a_suspended_agent_keeps_its_volume_and_nothing_else(place: Place, policy: Policy) -> None:
    place.agent("a", suspended=True, replicas=1, storage={"mountPath": "/data", "size": "2Gi"})
    place.wait_applied("a")
    place.agent("b", replicas=1, storage={"mountPath": "/data", "size": "2Gi"})
    refused(place, "b", "StorageAbovePolicy")
    place.change("b", storage=None, replicas=3)
    place.wait_applied("b")


def test_a_stricter_policy_ends_nobody_and_lets_everybody_shrink(place: Place, policy: Policy) -> None:
    place.agent("a", replicas=1)
    place.agent("b", replicas=2)
    place.wait_applied("a")
    place.wait_applied("b")
    policy.change(limits={"replicas": 1})
    refused(place, "b", "ReplicasAbovePolicy")
    place.wait_condition("Accepted", "True", name="a")
    assert place.get("Deployment", "ringfence-b")["spec"]["replicas"] == 2
    place.change("b", replicas=1)
    wait_for("it shrinks", lambda: place.get("Deployment", "ringfence-b")["spec"]["replicas"] == 1)
