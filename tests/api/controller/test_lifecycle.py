"""What an agent becomes over its life: less rights, no volume, suspended, deleted in every way, made anew."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from api.controller.place import FULL, RULES, Place
from api.controller.process import Controller, Record
from cluster import Cluster
from cluster.shell import wait_for


def test_rights_that_are_taken_away_are_gone(place: Place, controller: Controller) -> None:
    place.agent("a", FULL)
    place.wait_applied()
    place.change(permissions=None)
    place.wait_applied()
    assert place.child("role") is None
    assert place.child("binding") is None
    assert place.status()["effectivePermissions"] == []
    assert place.condition("RightsApplied")["reason"] == "NoRights"
    place.wait_right()
    place.change(permissions={"rules": RULES})
    place.wait_applied()
    place.wait_right()
    assert controller.drift(place.name) == 0


def test_a_role_without_its_label_goes_as_well(place: Place) -> None:
    place.agent("a", FULL)
    place.wait_applied()
    for kind in ("Role", "RoleBinding"):
        place.merge(kind, "ringfence-a", {"metadata": {"labels": None}})
    place.change(permissions=None)
    place.wait_applied()
    wait_for("no rights", lambda: place.child("role") is None and place.child("binding") is None)


def test_a_volume_outlives_its_mention(place: Place) -> None:
    place.agent("a", FULL)
    place.wait_applied()
    uid = place.get("PersistentVolumeClaim", "ringfence-a")["metadata"]["uid"]
    place.change(storage=None)
    place.wait_applied()
    place.wait_right()
    assert place.get("PersistentVolumeClaim", "ringfence-a")["metadata"]["uid"] == uid
    assert [v["name"] for v in place.get("Deployment", "ringfence-a")["spec"]["template"]["spec"]["volumes"]] == [
        "tmp",
        "token",
    ]


@pytest.mark.parametrize("change", [{"suspended": True}, {"replicas": 0}], ids=["suspended", "no replicas"])
def test_a_suspended_agent_has_no_pods_and_keeps_its_fence(place: Place, change: dict[str, Any]) -> None:
    place.agent("a", FULL)
    place.wait_applied()
    wait_for("a pod", place.pods)
    place.change(**change)
    place.wait_applied()
    wait_for("no pod", lambda: not place.pods())
    place.wait_condition("WorkloadAvailable", "False", "Suspended")
    assert place.get("Deployment", "ringfence-a")["spec"]["replicas"] == 0
    place.wait_right()
    for kind in ("Reconciling", "Stalled"):
        place.wait_condition(kind, "False", "Suspended")
    place.change(suspended=False, replicas=1)
    wait_for("a pod", place.pods)


def test_every_field_of_an_update_arrives_and_what_was_left_out_is_gone(place: Place, controller: Controller) -> None:
    place.agent(
        "a",
        FULL,
        env=[{"name": "A", "value": "1"}, {"name": "B", "value": ""}],
        args=["x"],
        health={"path": "/", "port": "panel"},
    )
    place.wait_applied()
    place.change(env=[{"name": "B", "value": "2"}], args=None, health=None, network=None, ports=None)
    place.wait_applied()
    place.wait_right()
    container = place.get("Deployment", "ringfence-a")["spec"]["template"]["spec"]["containers"][0]
    assert container["env"] == [{"name": "B", "value": "2"}, {"name": "HOME", "value": "/tmp"}]
    assert {"args", "ports", "readinessProbe"} & container.keys() == set()
    assert controller.drift(place.name) == 0


@pytest.mark.parametrize("policy", ["Background", "Foreground"])
def test_the_fence_outlives_the_last_pod(place: Place, policy: str) -> None:
    """A pod that was told to stop still runs, for 30 seconds by default: as long as it is there, so is its fence."""
    place.agent("a", FULL)
    place.wait_applied()
    place.run_pods()
    place.delete("AgentDeployment", "a", propagationPolicy=policy)
    wait_for("the pod is told to stop", lambda: place.pods()[0]["metadata"].get("deletionTimestamp"))
    wait_for("the rest is gone", lambda: not place.child("allow") and not place.child("role"))
    assert place.child("deny") is not None
    assert place.pods() != []
    place.end_pods()
    kinds = ("AgentDeployment", "NetworkPolicy", "Deployment", "ReplicaSet", "Role", "RoleBinding")
    wait_for("all is gone", lambda: not any(place.items(kind) for kind in kinds))
    wait_for(
        "no account", lambda: [one["metadata"]["name"] for one in place.items("ServiceAccount")] in ([], ["default"])
    )


@pytest.fixture
def kept(place: Place) -> Iterator[Place]:
    """A namespace in which agents run on however often their children are edited."""
    policy = place.keep_running()
    yield place
    place.server.request("DELETE", policy)


def test_a_workload_deleted_by_hand_never_leaves_its_fence(kept: Place) -> None:
    place = kept
    place.agent("a", FULL)
    place.wait_applied()
    for policy in ("Background", "Foreground", "Orphan"):
        names = place.run_pods()
        uid = place.get("Deployment", "ringfence-a")["metadata"]["uid"]
        fence = place.get("NetworkPolicy", "ringfence-a-deny")["metadata"]["uid"]
        place.delete("Deployment", "ringfence-a", propagationPolicy=policy)
        if policy == "Foreground":
            wait_for("the pod stops", lambda: all(p["metadata"].get("deletionTimestamp") for p in place.pods()))
            place.end_pods()
        wait_for(
            "made anew",
            partial(lambda uid: (place.child("workload") or {"metadata": {"uid": uid}})["metadata"]["uid"] != uid, uid),
        )
        place.wait_right()
        assert place.get("NetworkPolicy", "ringfence-a-deny")["metadata"]["uid"] == fence
        assert names
        place.end_pods()
        for replicas in place.items("ReplicaSet"):
            if not replicas["metadata"].get("ownerReferences"):
                place.delete("ReplicaSet", replicas["metadata"]["name"])
        seen = partial(lambda names: [pod for pod in place.pods()[:1] if pod["metadata"]["name"] not in names], names)
        wait_for("new pods", seen)


@pytest.mark.parametrize("policy", ["Background", "Foreground", "Orphan"])
def test_a_fence_deleted_by_hand_does_not_take_the_agent_along(place: Place, policy: str) -> None:
    """The policy owns the workload, but not alone."""
    place.agent("a", FULL)
    place.wait_applied()
    place.run_pods()
    workload, fence = (place.get(*which)["metadata"]["uid"] for which in (
        ("Deployment", "ringfence-a"), ("NetworkPolicy", "ringfence-a-deny")))  # fmt: skip
    place.delete("NetworkPolicy", "ringfence-a-deny", propagationPolicy=policy)
    wait_for("a new fence", lambda: (place.child("deny") or {"metadata": {"uid": fence}})["metadata"]["uid"] != fence)
    place.wait_right()
    assert place.get("Deployment", "ringfence-a")["metadata"]["uid"] == workload
    assert not place.pods()[0]["metadata"].get("deletionTimestamp")


def test_orphans_without_what_they_could_do_stay_and_belong_to_nobody(place: Place) -> None:
    place.agent("a", FULL)
    place.wait_applied()
    place.run_pods()
    place.delete("AgentDeployment", "a", propagationPolicy="Orphan")
    wait_for("the agent is gone", lambda: not place.items("AgentDeployment"))
    wait_for("no pods", lambda: place.get("Deployment", "ringfence-a")["spec"]["replicas"] == 0)
    wait_for("the deny policy alone", lambda: not place.child("allow"))
    assert place.child("deny")
    place.agent("a", FULL)
    place.wait_condition("NetworkPolicyApplied", "False", "ChildNotOurs")


def test_an_agent_made_anew_waits_for_the_end_of_the_old_one(place: Place, cluster: Cluster) -> None:
    first = place.agent("a", FULL)["metadata"]["uid"]
    place.wait_applied()
    place.run_pods()
    place.delete("AgentDeployment", "a")
    place.agent("a", FULL)
    wait_for("the old pod stops", lambda: any(pod["metadata"].get("deletionTimestamp") for pod in place.pods()))
    place.wait_condition("NetworkPolicyApplied", "False", "Progressing")
    place.end_pods()
    place.wait_applied()
    place.wait_right()
    assert place.get("AgentDeployment", "a")["metadata"]["uid"] != first
    assert not any(reason == "ChildNotOurs" for reason, _ in place.events())


def test_made_anew_over_and_over(place: Place, controller: Controller) -> None:
    for number in range(8):
        place.agent("a", FULL if number % 2 else None)
        if number % 3 == 0:
            wait_for("begun", lambda: place.child("deny"))
        place.delete("AgentDeployment", "a")
    place.agent("a", FULL)
    place.wait_applied()
    place.wait_right()
    assert controller.drift(place.name) == 0


def test_an_agent_that_waits_for_somebodys_finalizer_runs_no_pods(place: Place, controller: Controller) -> None:
    place.agent("a", FULL)
    place.wait_applied()
    wait_for("a pod", place.pods)
    place.merge("AgentDeployment", "a", {"metadata": {"finalizers": ["example.com/wait"]}})
    place.delete("AgentDeployment", "a")
    wait_for("no pods", lambda: place.get("Deployment", "ringfence-a")["spec"]["replicas"] == 0 and not place.pods())
    assert place.child("deny")
    for kind in ("Ready", "WorkloadAvailable"):
        place.wait_condition(kind, "False", "Deleting")
    place.merge("Deployment", "ringfence-a", {"spec": {"replicas": 3}})
    wait_for("no pods again", lambda: place.get("Deployment", "ringfence-a")["spec"]["replicas"] == 0)
    place.merge("AgentDeployment", "a", {"metadata": {"finalizers": None}})
    wait_for("all is gone", lambda: not place.items("NetworkPolicy") and not place.items("Deployment"))
    lines = [line["event"] for line in controller.lines if line.get("namespace") == place.name]
    assert lines.count("deleted") == 1


def test_a_namespace_with_agents_ends_without_a_fight(place: Place, cluster: Cluster, controller: Controller) -> None:
    for name in ("a", "b", "c"):
        place.agent(name, FULL)
    for name in ("a", "b", "c"):
        place.wait_applied(name)
        place.run_pods(name)
    record, begun = Record(cluster), len(controller.warnings())
    place.remove()
    wait_for(
        "the namespace waits for its pods", lambda: all(p["metadata"].get("deletionTimestamp") for p in place.pods())
    )
    # Before Kubernetes 1.33 all kinds are asked to end at once (CVE-2024-7598), not pods first, and then told of here.
    wait_for("it was gone through", lambda: "NamespaceContentRemaining" in _conditions(place))
    for name in ("a", "b", "c"):
        assert place.child("deny", name), "the fence stands until the last pod is gone"
        place.end_pods(name)
    place.label({"pods": "ended"})  # else Kubernetes looks again after half of the pods' grace period
    wait_for(
        "the namespace is gone",
        lambda: place.server.request("GET", f"/api/v1/namespaces/{place.name}").code == 404,
    )
    refused = [one for one in record.writes(place.name) if one.get("responseStatus", {}).get("code") == 403]
    assert len(refused) < 30, "it is not tried over and over"
    said = [line for line in controller.warnings()[begun:] if line.get("namespace") == place.name]
    assert [line for line in said if line["event"] != "put back"] == []


def _conditions(place: Place) -> set[str]:
    """The kinds of conditions of a namespace that is being deleted, whatever they say."""
    found = place.server.request("GET", f"/api/v1/namespaces/{place.name}").body["status"]
    return {one["type"] for one in found.get("conditions", [])}
