"""A pod that an edited Deployment left behind ends with the repair, not when the edit says; others keep their time."""

import itertools
from typing import Any

import pytest

from api.controller.place import NODE, Place
from api.controller.process import Controller
from cluster.shell import wait_for
from ringfence.resources import Manifest
from ringfence.resources.workload import GRACE_SECONDS
from ringfence.store.left_behind import END_WITHIN

_NUMBER = itertools.count()


def going(place: Place, *, grace: int, replica_set: Manifest) -> str:
    """A pod of a ReplicaSet, on a node where nobody ends it; it is being deleted. Its name."""
    name, metadata, spec = f"left-{next(_NUMBER)}", replica_set["metadata"], replica_set["spec"]["template"]["spec"]
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "controller": True, "blockOwnerDeletion": True}
    owner |= {"name": metadata["name"], "uid": metadata["uid"]}
    about = {"name": name, "labels": replica_set["spec"]["template"]["metadata"]["labels"], "ownerReferences": [owner]}
    place.create("Pod", {"metadata": about, "spec": spec | {"terminationGracePeriodSeconds": grace, "nodeName": NODE}})
    assert place.delete("Pod", name).ok
    return name


def ends_within(place: Place, name: str) -> Any:
    return place.get("Pod", name)["metadata"]["deletionGracePeriodSeconds"]


@pytest.fixture
def replica_set(place: Place) -> Manifest:
    """Of an agent that runs."""
    place.agent("a")
    place.wait_applied()
    place.run_pods()
    (found,) = place.items("ReplicaSet")
    return found


def test_a_pod_that_an_edit_left_behind_ends_at_once(
    place: Place, controller: Controller, replica_set: Manifest
) -> None:
    name = going(place, grace=3600, replica_set=replica_set)
    wait_for("it is to end at once", lambda: ends_within(place, name) == END_WITHIN)
    (running,) = [pod for pod in place.pods() if pod["metadata"]["name"] != name]
    assert "deletionTimestamp" not in running["metadata"], "the agent's own pod runs on"
    wait_for("an Event", lambda: "PodEnded" in [reason for reason, _ in place.events()])
    assert controller.metric("ringfence_violations_total", rule="PodLeftBehind", namespace=place.name) == 1
    lines = [line for line in controller.warnings() if line.get("namespace") == place.name]
    assert [line["name"] for line in lines if line["event"] == "pod ended"] == [name]


def test_pods_of_our_own_templates_keep_their_time(place: Place, controller: Controller, replica_set: Manifest) -> None:
    """Also when an edit's pods end beside them; that these do tells that the controller has looked."""
    ours = going(place, grace=GRACE_SECONDS, replica_set=replica_set)
    stranger = replica_set | {"metadata": replica_set["metadata"] | {"name": "a-strangers", "uid": "u"}}
    strangers = going(place, grace=3600, replica_set=stranger)
    left = going(place, grace=3600, replica_set=replica_set)
    wait_for("the one left behind is to end at once", lambda: ends_within(place, left) == END_WITHIN)
    assert (ends_within(place, ours), ends_within(place, strangers)) == (GRACE_SECONDS, 3600)
    assert controller.metric("ringfence_violations_total", rule="PodLeftBehind", namespace=place.name) == 1
