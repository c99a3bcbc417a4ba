"""A pod of an edited Deployment ends as soon as it is seen, not when the edit says; others keep their time."""

import itertools
from collections.abc import Mapping
from typing import Any

import pytest

from api.controller.conftest import Shared
from api.controller.place import NODE, Place
from cluster.shell import wait_for
from ringfence.resources import Manifest
from ringfence.resources.stop import DEFAULT
from ringfence.store.left_behind import END_WITHIN

HOUR = 3600
_NUMBER = itertools.count()


def edit(place: Place, replicas: int = 1) -> None:
    """As somebody would who wants a pod that stays."""
    pod = {"terminationGracePeriodSeconds": HOUR}
    place.merge("Deployment", "ringfence-a", {"spec": {"replicas": replicas, "template": {"spec": pod}}})


def of(place: Place, replica_set: Manifest) -> list[Manifest]:
    """The pods of a ReplicaSet."""
    uid = replica_set["metadata"]["uid"]
    return [pod for pod in place.pods() if pod["metadata"]["ownerReferences"][0]["uid"] == uid]


def replica_set(place: Place, grace: int) -> Manifest:
    """The one whose template gives that time."""

    def look() -> Manifest | None:
        found = place.items("ReplicaSet")
        pods = {one["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]: one for one in found}
        return pods.get(grace)

    return wait_for(f"a ReplicaSet whose pods have {grace} seconds", look)


def going(place: Place, owner: Manifest, labels: Mapping[str, str]) -> str:
    """A pod that is being deleted with an hour, on a node where nobody ends it. Its name."""
    name, metadata = f"going-{next(_NUMBER)}", owner["metadata"]
    reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": metadata["name"], "uid": metadata["uid"]}
    about = {"name": name, "labels": dict(labels), "ownerReferences": [reference | {"controller": True}]}
    spec = replica_set(place, DEFAULT)["spec"]["template"]["spec"] | {"nodeName": NODE}
    place.create("Pod", {"metadata": about, "spec": spec | {"terminationGracePeriodSeconds": HOUR}})
    assert place.delete("Pod", name).ok
    return name


def ends_within(pod: Manifest) -> Any:
    return pod["metadata"].get("deletionGracePeriodSeconds")


@pytest.fixture
def running(place: Place) -> Place:
    """With an agent that runs."""
    place.agent("a")
    place.wait_applied()
    place.run_pods()
    return place


def test_a_pod_that_an_edit_left_behind_ends_at_once(running: Place, shared: Shared) -> None:
    """Those that an edit made while no controller ran. The right ones do not get ready then: others would be made."""
    place = running
    shared.pause()
    edit(place, replicas=3)
    left = replica_set(place, HOUR)

    def replaced() -> bool:
        place.run_pods()
        place.end_pods(going=True)
        return {pod["metadata"]["uid"] for pod in place.pods()} == {pod["metadata"]["uid"] for pod in of(place, left)}

    wait_for("three pods of the edit, and no other", lambda: replaced() and len(of(place, left)) == 3)
    controller = shared.resume()
    place.wait_right()
    wait_for("it makes no more", lambda: place.get("ReplicaSet", left["metadata"]["name"])["spec"]["replicas"] == 0)
    wait_for("all are to end at once", lambda: {ends_within(pod) for pod in of(place, left)} == {END_WITHIN})
    own = replica_set(place, DEFAULT)
    wait_for("the agent has a pod of its own", lambda: of(place, own))
    assert {ends_within(pod) for pod in of(place, own)} == {None}
    wait_for("an Event", lambda: "PodEnded" in [reason for reason, _ in place.events()])
    controller.counted(2, "ringfence_violations_total", rule="PodLeftBehind", namespace=place.name)
    lines = [line for line in controller.warnings() if line.get("namespace") == place.name]
    assert [line["count"] for line in lines if line["event"] == "pod ended"][:2] == [1, 2]


def test_pods_of_our_own_templates_keep_their_time(running: Place, shared: Shared) -> None:
    """Whatever time something else gave them. That an edit's pods end beside them tells that the controller looked."""
    place = running
    ours = replica_set(place, DEFAULT)
    labels = ours["spec"]["template"]["metadata"]["labels"]
    selector = {"matchLabels": {"of": "a-stranger"}}
    template = ours["spec"]["template"] | {"metadata": {"labels": {"of": "a-stranger"}}}
    template["spec"] = template["spec"] | {"terminationGracePeriodSeconds": HOUR}
    body = {"metadata": {"name": "a-strangers"}, "spec": {"replicas": 0, "selector": selector, "template": template}}
    stranger = place.create("ReplicaSet", body)
    kept = [
        going(place, ours, labels),
        going(place, stranger, labels | {"of": "a-stranger", "pod-template-hash": "x"}),
    ]
    edit(place)
    metric = {"rule": "PodLeftBehind", "namespace": place.name}
    wait_for("an edit's pod is ended", lambda: shared.current.metric("ringfence_violations_total", **metric) >= 1)
    place.wait_right()
    assert [ends_within(place.get("Pod", name)) for name in kept] == [HOUR, HOUR]


def test_pods_of_the_spec_before_keep_their_time(place: Place, shared: Shared) -> None:
    """The status remembers it as long as they are there, and no longer."""
    place.agent("a", stop={"gracePeriod": "20s"})
    place.wait_applied()
    place.run_pods()
    assert place.status()["gracePeriods"] == [20]
    old = replica_set(place, 20)
    place.merge("AgentDeployment", "a", {"spec": {"stop": {"gracePeriod": "10s"}}})
    new = replica_set(place, 10)
    wait_for("both to be known", lambda: place.status()["gracePeriods"] == [10, 20])

    def replaced() -> bool:
        place.run_pods()
        return bool(of(place, new)) and [ends_within(pod) for pod in of(place, old)] == [20]

    wait_for("the old pod to be told, with its own time", replaced)
    place.end_pods(going=True)
    wait_for("the earlier one to be forgotten", lambda: place.status()["gracePeriods"] == [10])
    metric = {"rule": "PodLeftBehind", "namespace": place.name}
    assert not shared.current.metric("ringfence_violations_total", **metric)
