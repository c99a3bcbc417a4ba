"""The writer: a child that is being deleted, and somebody keeps it, or edits it meanwhile."""

import pytest

from ringfence.controller.agent.errors import AgentGone, Requeue
from ringfence.controller.agent.fit import is_right
from ringfence.kube import ApiError, Conflict, Object
from ringfence.resources import Ref
from ringfence.resources.stored import stored
from ringfence.store.records import agent_path, child_path
from unit.controller.make import (
    BINDING,
    DEPLOYMENT,
    KEY,
    ROLE,
    RULES,
    built,
)
from unit.controller.writer.places import AGENT, EVERY, Place, making
from unit.fakes.kube import FakeKube


async def delete(place: Place, ref: Ref, *finalizers: str, edit: Object | None = None) -> None:
    """Somebody's deletion of a child that waits for these finalizers, and an edit after it."""
    place.live(ref)["metadata"] |= {"finalizers": list(finalizers)}
    await FakeKube(place.kube.cluster).delete(child_path(ref))
    await place.edit(ref, edit or {"metadata": {"labels": {"x": "y"}}})
    place.take()


@pytest.mark.parametrize("ref", EVERY, ids=lambda ref: f"{ref.kind} {ref.name}")
async def test_one_that_the_cluster_is_about_to_remove_is_right_until_then(place: Place, ref: Ref) -> None:
    await place.ensure(ref)
    uid = place.live(ref)["metadata"]["uid"]
    await delete(place, ref, "foregroundDeletion", edit={"spec": {"x": 1}, "rules": [], "subjects": [], "data": {}})
    assert await place.ensure(ref, known=True)
    assert place.take()[1] == ["update", "ChildEdited kubectl-edit"]
    assert stored(place.live(ref)).digest == built(ref, RULES).digest
    assert place.live(ref)["metadata"]["uid"] == uid
    assert place.live(ref)["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert not await place.ensure(ref, known=True)
    assert place.take() == ([], [])


@pytest.mark.parametrize("ref", EVERY, ids=lambda ref: f"{ref.kind} {ref.name}")
async def test_one_that_somebody_keeps_is_put_right_let_go_and_made_anew(place: Place, ref: Ref) -> None:
    await place.ensure(ref)
    uid = place.live(ref)["metadata"]["uid"]
    await delete(place, ref, "example.com/hold", edit={"spec": {"x": 1}, "rules": [], "subjects": [], "data": {}})
    assert await place.ensure(ref, known=True)
    requests, told = place.take()
    assert [one for one in requests if one != "replace"] == ["get", "apply", "json_patch", "get", making(ref)]
    assert told == ["update", "ChildEdited kubectl-edit", "update", "ChildHeld example.com/hold", "create"]
    live = place.live(ref)
    assert live["metadata"]["uid"] != uid
    assert "deletionTimestamp" not in live["metadata"]
    assert is_right(built(ref, RULES), stored(live), None)
    assert not await place.ensure(ref, known=True)


async def test_to_let_go_names_the_state_that_was_put_right(place: Place) -> None:
    await place.ensure(ROLE)
    await delete(place, ROLE, "example.com/hold", "orphan")
    await place.ensure(ROLE, known=True)
    metadata = place.live(ROLE)["metadata"]
    assert metadata["finalizers"] == ["orphan"], "Kubernetes' own stay"
    assert place.kube.writes[-1].body["operations"] == [
        {"op": "test", "path": "/metadata/uid", "value": metadata["uid"]},
        {"op": "test", "path": "/metadata/resourceVersion", "value": str(int(metadata["resourceVersion"]) - 1)},
        {"op": "replace", "path": "/metadata/finalizers", "value": ["orphan"]},
    ]


async def test_one_that_is_edited_while_it_is_let_go_is_put_right_first(place: Place) -> None:
    await place.ensure(ROLE)
    await delete(place, ROLE, "example.com/hold")
    place.kube.refuse(ApiError(422, "Invalid", "test failed"), verb="json_patch", times=1)
    with pytest.raises(Requeue, match="changed while"):
        await place.ensure(ROLE, known=True)
    assert place.live(ROLE)["metadata"]["finalizers"] == ["example.com/hold"]
    assert place.take()[1] == []


@pytest.mark.parametrize(("status", "gone"), [(403, True), (422, True), (500, False), (409, False)])
async def test_one_that_nobody_may_put_right_is_better_gone_than_wrong(place: Place, status: int, gone: bool) -> None:
    await place.ensure(ROLE)
    await delete(place, ROLE, "example.com/hold", edit={"rules": []})
    failure = (Conflict if status == 409 else ApiError)(status, "x", "no")
    place.kube.refuse(failure, verb="apply")
    place.kube.refuse(failure, verb="replace")
    if not gone:
        with pytest.raises(ApiError):
            await place.ensure(ROLE, known=True)
    else:
        await place.ensure(ROLE, known=True)
    assert ("json_patch" in place.take()[0]) is gone


async def test_nothing_is_made_anew_for_an_agent_that_is_gone(place: Place) -> None:
    await place.ensure(ROLE)
    await delete(place, ROLE, "example.com/hold")
    place.kube.cluster.remove(agent_path(KEY))
    with pytest.raises(AgentGone):
        await place.ensure(ROLE, known=True)
    assert child_path(ROLE) not in place.kube.objects


async def test_a_binding_to_another_role_that_somebody_keeps_is_let_go_as_it_is(place: Place) -> None:
    await place.ensure(BINDING)
    await delete(place, BINDING, "example.com/hold", edit={"roleRef": {"name": "other"}})
    await place.ensure(BINDING, known=True)
    assert place.take()[0] == ["get", "json_patch", "get", "create"]
    assert place.live(BINDING)["roleRef"] == built(BINDING, RULES).manifest["roleRef"]


async def test_what_is_not_wanted_any_more_is_let_go(place: Place) -> None:
    await place.ensure(ROLE)
    await place.edit(ROLE, {"metadata": {"finalizers": ["example.com/hold"]}})
    await place.writer.remove(place.store.children.items[ROLE], AGENT)
    assert ROLE in place.store.ownership, "it is still there"
    place.hear(ROLE)
    await place.writer.remove(place.store.children.items[ROLE], AGENT)
    assert child_path(ROLE) not in place.kube.objects
    assert ROLE not in place.store.ownership


async def test_a_workload_that_is_being_deleted_is_let_go_to_be_stopped(place: Place) -> None:
    """Its controller does not scale it any more."""
    await place.ensure(DEPLOYMENT)
    await delete(place, DEPLOYMENT, "example.com/hold", edit={"spec": {"replicas": 0}})
    assert await place.writer.scale_to_zero(DEPLOYMENT, AGENT)
    assert child_path(DEPLOYMENT) not in place.kube.objects


async def test_finalizers_of_a_volume_protect_its_data(place: Place) -> None:
    spec = {"storage": {"mountPath": "/data", "size": "1Gi"}}
    volume = Ref("PersistentVolumeClaim", "team", "ringfence-a")
    await place.ensure(volume, spec)
    await delete(place, volume, "kubernetes.io/pvc-protection")
    assert not await place.ensure(volume, spec, known=True)
    assert place.live(volume)["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]


async def test_what_was_made_anew_meanwhile_is_not_overwritten(place: Place) -> None:
    """The write names the uid of what was judged."""
    await place.ensure(ROLE)
    await place.edit(ROLE, {"rules": []})
    place.live(ROLE)["metadata"]["uid"] = "another"
    with pytest.raises(Conflict):
        await place.ensure(ROLE, known=True)
    assert place.live(ROLE)["rules"] == []


async def test_what_cannot_be_applied_beside_an_addition_is_replaced(place: Place) -> None:
    await place.ensure(DEPLOYMENT)
    await place.edit(DEPLOYMENT, {"spec": {"replicas": 9}})
    place.take()
    place.kube.refuse(ApiError(422, "Invalid", "both"), verb="apply", times=1)
    await place.ensure(DEPLOYMENT, known=True)
    assert place.take()[0] == ["apply", "get", "replace"]
    assert place.live(DEPLOYMENT)["spec"]["replicas"] == 1
