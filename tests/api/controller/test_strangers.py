"""An object of a child's name is there already, and is not ours: it stays as it is, and the status says so."""

import pytest

from api.controller.conftest import Shared
from api.controller.place import CHILDREN, FULL, Place, json_bytes, without_owners
from api.controller.process import Controller
from api.server import Server
from cluster.shell import wait_for
from ringfence.resources import Manifest

STEP = {
    "deny": "NetworkPolicyApplied",
    "allow": "NetworkPolicyApplied",
    "account": "RightsApplied",
    "role": "RightsApplied",
    "binding": "RightsApplied",
    "volume": "WorkloadAvailable",
    "service": "WorkloadAvailable",
    "workload": "WorkloadAvailable",
}


@pytest.fixture(scope="module")
def models(client: Server, shared: Shared) -> dict[str, Manifest]:
    """One of each child as an agent `a` would have it, made into a stranger's."""
    place = Place(client)
    place.agent("a", FULL)
    place.wait_applied()
    found = {which: without_owners(place.get(kind, name.format("a"))) for which, (kind, name) in CHILDREN.items()}
    place.remove()
    return found


@pytest.mark.parametrize("which", list(CHILDREN))
@pytest.mark.parametrize("marked", [True, False], ids=["marked as ours", "plain"])
def test_it_is_left_untouched(
    place: Place, controller: Controller, models: dict[str, Manifest], which: str, marked: bool
) -> None:
    kind, pattern = CHILDREN[which]
    name, order = pattern.format("a"), list(CHILDREN)
    body = models[which] | {"metadata": models[which]["metadata"] if marked else {"name": name}}
    if which == "service":  # the address of the one before may not be free yet
        body = body | {"spec": {key: one for key, one in body["spec"].items() if not key.startswith("clusterIP")}}
    place.create(kind, body)
    if which == "volume":  # its controller binds it, on its own account
        wait_for("bound or waiting", lambda: place.get(kind, name).get("status"))
    before = place.get(kind, name)
    place.agent("a", FULL)
    said = place.wait_condition(STEP[which], "False", "ChildNotOurs")
    assert f"{kind} {name} exists already and does not belong" in said["message"]
    wait_for("an Event", lambda: any(reason == "ChildNotOurs" for reason, _ in place.events()))

    present = [other for other in order if place.child(other)]
    assert present == order[: order.index(which) + 1], "nothing is written beyond the step that is blocked"
    after = place.get(kind, name)
    if kind in {"Deployment", "PersistentVolumeClaim"}:  # their controllers write to them
        for one in (before, after):
            one["metadata"] = {
                key: one["metadata"].get(key) for key in ("uid", "labels", "ownerReferences", "finalizers")
            }
            one.pop("status", None)
    assert after == before

    assert place.delete(kind, name).ok
    place.wait_applied()
    place.wait_right()
    place.wait_condition(STEP[which], "True" if STEP[which] != "WorkloadAvailable" else "False")
    assert controller.drift(place.name) == 0, "what a stranger takes away is no attempt on the fence"


def test_a_fence_that_is_replaced_by_a_strangers_stops_the_agent(place: Place, models: dict[str, Manifest]) -> None:
    place.agent("a", FULL, replicas=1)
    place.wait_applied()
    open_policy = models["deny"] | {"spec": models["deny"]["spec"] | {"egress": [{}]}}

    def replaced() -> bool:
        place.delete("NetworkPolicy", "ringfence-a-deny")
        path, body = place.path("NetworkPolicy"), open_policy
        return place.server.request("POST", path, json_bytes(body)).ok

    wait_for("a stranger's policy in our place", replaced, every=0)
    place.wait_condition("NetworkPolicyApplied", "False", "ChildNotOurs")
    wait_for("no pods", lambda: place.get("Deployment", "ringfence-a")["spec"]["replicas"] == 0)
    wait_for("no pods", lambda: place.pods() == [])
    assert "egress" in place.get("NetworkPolicy", "ringfence-a-deny")["spec"]

    place.delete("NetworkPolicy", "ringfence-a-deny")
    place.wait_right()
    place.wait_condition("NetworkPolicyApplied", "True")
    assert place.get("Deployment", "ringfence-a")["spec"]["replicas"] == 1


def test_the_rest_is_kept_while_one_child_is_blocked(place: Place, shared: Shared, models: dict[str, Manifest]) -> None:
    place.agent("a", FULL)
    place.wait_applied()
    shared.pause()
    place.delete("Role", "ringfence-a")
    wait_for(
        "a stranger's role in our place",
        lambda: place.server.request("POST", place.path("Role"), json_bytes(models["role"])).ok,
    )
    shared.resume()
    place.wait_condition("RightsApplied", "False", "ChildNotOurs")
    place.merge("Deployment", "ringfence-a", {"spec": {"template": {"spec": {"hostNetwork": True}}}})
    wait_for(
        "the workload is put right",
        lambda: not place.get("Deployment", "ringfence-a")["spec"]["template"]["spec"].get("hostNetwork"),
    )
    assert "ownerReferences" not in place.get("Role", "ringfence-a")["metadata"]
