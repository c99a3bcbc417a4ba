"""The policy of a namespace that fences all pods with an agent's label, whatever becomes of their agents."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import pytest

from api.controller.conftest import Shared
from api.controller.place import FULL, Place
from api.controller.process import Controller, Record
from api.server import Server
from cluster import Cluster
from cluster.shell import wait_for
from ringfence.api.names import AGENT_LABEL, AGENTS_LABEL, CEILING_BINDING, STANDING_POLICY
from ringfence.resources import Manifest, build_standing
from ringfence.resources.compare import matches


def right(place: Place) -> Manifest:
    """The policy, as build_standing() says."""
    live = place.get("NetworkPolicy", STANDING_POLICY)
    assert matches(build_standing(place.name), live), live
    assert "deletionTimestamp" not in live["metadata"], live
    return live


def ended(place: Place) -> bool:
    """Do a kubelet's part for all pods of agent a; whether none is left."""
    place.end_pods()
    return not place.pods()


@pytest.fixture
def opened(place: Place) -> Place:
    wait_for("the policy", lambda: right(place))
    wait_for("and the binding, which comes next", lambda: place.find("RoleBinding", CEILING_BINDING))
    return place


@pytest.fixture
def closed(client: Server, controller: Controller) -> Iterator[Place]:
    found = Place(client, labels={})
    yield found
    found.remove()


def test_it_is_there_before_the_first_pod(cluster: Cluster, client: Server, controller: Controller) -> None:
    record = Record(cluster)
    place = Place(client)
    place.agent("a", FULL)
    place.wait_applied()
    made = record.created(place.name)
    assert made.index(f"networkpolicies/{STANDING_POLICY}") < made.index("deployments/ringfence-a")
    place.remove()


def test_it_selects_every_pod_with_an_agents_label_and_allows_nothing(opened: Place) -> None:
    live = right(opened)
    assert live["spec"] == {
        "podSelector": {"matchExpressions": [{"key": AGENT_LABEL, "operator": "Exists"}]},
        "policyTypes": ["Ingress", "Egress"],
    }
    assert "ownerReferences" not in live["metadata"]


EDITS: list[tuple[str, list[Mapping[str, Any]]]] = [
    ("all egress", [{"op": "add", "path": "/spec/egress", "value": [{}]}]),
    ("all ingress", [{"op": "add", "path": "/spec/ingress", "value": [{}]}]),
    ("one direction", [{"op": "replace", "path": "/spec/policyTypes", "value": ["Ingress"]}]),
    ("other pods", [{"op": "replace", "path": "/spec/podSelector", "value": {"matchLabels": {"app": "x"}}}]),
    ("no labels", [{"op": "remove", "path": "/metadata/labels"}]),
    ("no marks", [{"op": "remove", "path": "/metadata/annotations"}]),
    (
        "nothing of ours",
        [{"op": "remove", "path": f"/metadata/{part}"} for part in ("labels", "annotations")]
        + [{"op": "add", "path": "/spec/egress", "value": [{}]}],
    ),
    (
        "an owner",
        [
            {
                "op": "add",
                "path": "/metadata/ownerReferences",
                "value": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "1" * 8}],
            }
        ],
    ),
]


def test_every_edit_is_put_right_counted_and_told(opened: Place, controller: Controller) -> None:
    for what, operations in EDITS:
        counted = controller.drift(opened.name)
        opened.patch("NetworkPolicy", STANDING_POLICY, operations)
        wait_for(f"{what}: put right", lambda: right(opened))
        wait_for(what, partial(lambda counted: controller.drift(opened.name) > counted, counted))
    told = {(event["regarding"]["kind"], event["reason"]) for event in opened.items("Event")}
    wait_for("an Event", lambda: ("Namespace", "DriftRepaired") in told)


def test_deleted_it_is_back(opened: Place, controller: Controller) -> None:
    before = right(opened)["metadata"]["uid"]
    assert opened.delete("NetworkPolicy", STANDING_POLICY).ok
    wait_for("another one", lambda: right(opened)["metadata"]["uid"] != before)
    wait_for(
        "counted",
        lambda: controller.metric("ringfence_violations_total", rule="ChildDeleted", namespace=opened.name) == 1,
    )


def test_held_by_a_finalizer_and_opened_it_is_right_all_the_same(opened: Place) -> None:
    before = right(opened)["metadata"]["uid"]
    opened.merge("NetworkPolicy", STANDING_POLICY, {"metadata": {"finalizers": ["example.com/hold"]}})
    assert opened.delete("NetworkPolicy", STANDING_POLICY).ok
    wait_for("another one", lambda: right(opened)["metadata"]["uid"] != before)


def test_a_strangers_of_that_name_is_left_and_told(closed: Place, controller: Controller) -> None:
    stranger = {"metadata": {"name": STANDING_POLICY}, "spec": {"podSelector": {}}}
    before = closed.create("NetworkPolicy", stranger)
    closed.label({AGENTS_LABEL: "enabled"})
    wait_for("told", lambda: controller.metric("ringfence_standing_policy_missing", namespace=closed.name) == 1)
    wait_for("an Event", lambda: any(one["reason"] == "NotApplied" for one in closed.items("Event")))
    closed.agent("a", FULL)
    closed.wait_applied()
    assert closed.get("NetworkPolicy", STANDING_POLICY) == before
    assert closed.delete("NetworkPolicy", STANDING_POLICY).ok
    wait_for("ours", lambda: right(closed))
    wait_for("told", lambda: controller.metric("ringfence_standing_policy_missing", namespace=closed.name) == 0)
    assert controller.drift(closed.name) == 0


def test_it_stays_until_the_last_agent_and_the_last_pod_are_gone(place: Place, controller: Controller) -> None:
    place.agent("a", replicas=1)
    place.wait_applied()
    place.run_pods()
    place.label({AGENTS_LABEL: None})
    place.delete("NetworkPolicy", STANDING_POLICY)
    wait_for("back in a closed namespace", lambda: right(place))
    (replica_set,) = [one["metadata"]["name"] for one in place.items("ReplicaSet")]
    ownerless: list[Mapping[str, Any]] = [
        {"op": "remove", "path": f"/metadata/{part}"} for part in ("labels", "ownerReferences")
    ]
    place.patch("ReplicaSet", replica_set, ownerless)
    wait_for("a second ReplicaSet and its pod", lambda: len(place.pods()) == 2)
    place.delete("AgentDeployment", "a")
    wait_for("the agent's own policies are gone", lambda: place.child("deny") is None)
    assert place.pods()
    wait_for(
        "the pods without their agent are told",
        lambda: controller.metric("ringfence_orphaned_objects", namespace=place.name),
    )
    right(place)
    place.delete("ReplicaSet", replica_set)
    wait_for("no pods", lambda: ended(place))
    wait_for("gone", lambda: place.find("NetworkPolicy", STANDING_POLICY) is None)
    wait_for("no orphans", lambda: controller.metric("ringfence_orphaned_objects", namespace=place.name) == 0)


def test_a_restart_writes_nothing(cluster: Cluster, opened: Place, shared: Shared) -> None:
    before, record = right(opened), Record(cluster)
    controller = shared.restart()
    wait_for("a pass", lambda: controller.metric("ringfence_reconcile_total", kind="Namespace", result="ok") >= 1)
    assert record.writes(opened.name) == []
    assert right(opened) == before


def test_an_edit_while_nobody_looks_is_put_right(opened: Place, shared: Shared) -> None:
    shared.pause()
    opened.merge("NetworkPolicy", STANDING_POLICY, {"spec": {"egress": [{}]}})
    controller = shared.resume()
    wait_for("put right", lambda: right(opened))
    assert controller.counted_drift(1, opened.name) == 1
