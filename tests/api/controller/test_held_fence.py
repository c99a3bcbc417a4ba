"""Somebody keeps a part of the fence by a finalizer while it is being deleted, and edits it: it does not last."""

from typing import Any

import pytest

from api.controller.place import CHILDREN, FULL, Place, json_bytes
from api.controller.process import Controller
from cluster.shell import wait_for
from ringfence.resources.secret_names import rotation_name

HOLD = "example.com/hold"
SIGNING = {
    "name": "signing",
    "source": {"generate": {"length": 32}},
    "rotation": {"every": "720h", "overlap": "1h"},
    "delivery": {"env": {"name": "KEY"}},
}
ANYBODY = [{"kind": "Group", "name": "system:authenticated", "apiGroup": "rbac.authorization.k8s.io"}]
EDITS: dict[str, dict[str, Any]] = {
    "deny": {"spec": {"podSelector": {"matchLabels": {"ringfence.dev/agent": None, "nothing": "at-all"}}}},
    "allow": {"spec": {"egress": [{}]}},
    "account": {"automountServiceAccountToken": True},
    "role": {"rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]}]},
    "binding": {"subjects": ANYBODY},
    "workload": {"spec": {"template": {"spec": {"hostNetwork": True}}}},
}


def hold(place: Place, kind: str, name: str, edit: dict[str, Any]) -> str:
    """As somebody does who may update and delete, but not create. The uid of what is held."""
    uid: str = place.merge(kind, name, {"metadata": {"finalizers": [HOLD]}})["metadata"]["uid"]
    assert place.delete(kind, name).ok
    place.server.request("PATCH", place.path(kind, name), json_bytes(edit), "application/merge-patch+json")
    return uid


@pytest.mark.parametrize("which", list(EDITS))
def test_a_held_child_is_right_and_made_anew(place: Place, controller: Controller, which: str) -> None:
    place.agent("a", FULL)
    place.wait_applied()
    kind, name = CHILDREN[which][0], CHILDREN[which][1].format("a")
    uid = hold(place, kind, name, EDITS[which])

    def anew() -> bool:
        metadata = place.get(kind, name)["metadata"]
        assert metadata["uid"] != uid
        assert "deletionTimestamp" not in metadata
        assert HOLD not in (metadata.get("finalizers") or [])
        return place.right()

    wait_for(f"{kind} {name} is made anew", anew)
    told = (f"{kind} {name}", f"the finalizer {HOLD}")
    wait_for(
        "an Event with the finalizer's name",
        lambda: any(
            reason == "FinalizerRemoved" and all(part in note for part in told) for reason, note in place.events()
        ),
    )
    labels = {"rule": "ChildHeld", "namespace": place.name}
    assert controller.counted(1, "ringfence_violations_total", **labels) == 1
    lines = [line for line in controller.warnings() if line["event"] == "finalizers removed"]
    assert [line["finalizers"] for line in lines if line["namespace"] == place.name] == [[HOLD]]


def test_all_of_a_fence_held_at_once(place: Place) -> None:
    place.agent("a", FULL)
    place.wait_applied()
    parts = [(CHILDREN[which][0], CHILDREN[which][1].format("a"), edit) for which, edit in EDITS.items()]
    uids = {(kind, name): hold(place, kind, name, edit) for kind, name, edit in parts}

    def anew() -> bool:
        for (kind, name), uid in uids.items():
            assert place.get(kind, name)["metadata"]["uid"] != uid
        return place.right()

    wait_for("all is made anew", anew)


def test_a_held_rotation_job_goes_on(place: Place) -> None:
    place.agent("a", secrets=[SIGNING])
    name = rotation_name("a", "signing")
    wait_for("its CronJob", lambda: place.find("CronJob", name))
    uid = hold(place, "CronJob", name, {"spec": {"suspend": True}})

    def anew() -> bool:
        live = place.get("CronJob", name)
        assert live["metadata"]["uid"] != uid
        return not live["spec"].get("suspend")

    wait_for("it is made anew", anew)


def test_rights_that_are_taken_away_cannot_be_held(place: Place) -> None:
    place.agent("a", FULL)
    place.wait_applied()
    for kind in ("Role", "RoleBinding"):
        place.merge(kind, "ringfence-a", {"metadata": {"finalizers": [HOLD]}})
    place.change(permissions=None)
    place.wait_applied()
    wait_for("no rights", lambda: place.child("role") is None and place.child("binding") is None)


def test_one_that_waits_for_what_it_owns_is_right_until_then(place: Place) -> None:
    """Kubernetes' own finalizer stays, as long as somebody's object in its keeping does: no edit of it lasts."""
    place.agent("a", FULL)
    place.wait_applied()
    live = place.get("NetworkPolicy", "ringfence-a-allow")
    owner = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "name": live["metadata"]["name"],
        "uid": live["metadata"]["uid"],
        "blockOwnerDeletion": True,
    }
    metadata = {"name": "blocks", "ownerReferences": [owner], "finalizers": [HOLD]}
    place.create("Service", {"metadata": metadata, "spec": {"ports": [{"port": 80}]}})
    assert place.delete("NetworkPolicy", "ringfence-a-allow", propagationPolicy="Foreground").ok
    place.merge("NetworkPolicy", "ringfence-a-allow", {"spec": {"egress": [{}]}})
    wait_for("it is right", place.right)
    place.merge("Service", "blocks", {"metadata": {"finalizers": None}})
    wait_for(
        "made anew",
        lambda: (place.child("allow") or live)["metadata"]["uid"] != live["metadata"]["uid"] and place.right(),
    )


def test_a_held_workload_of_an_agent_that_is_being_deleted_has_no_pods(place: Place) -> None:
    """Kubernetes does not scale a Deployment that is being deleted."""
    place.agent("a", FULL)
    place.wait_applied()
    place.run_pods()
    place.merge("AgentDeployment", "a", {"metadata": {"finalizers": ["example.com/wait"]}})
    hold(place, "Deployment", "ringfence-a", {"spec": {"replicas": 1}})
    place.delete("AgentDeployment", "a")
    wait_for("its pods stop", lambda: all(pod["metadata"].get("deletionTimestamp") for pod in place.pods()))
    place.end_pods()
    wait_for("no workload", lambda: place.child("workload") is None)
    place.merge("AgentDeployment", "a", {"metadata": {"finalizers": None}})
