"""The writer: what was edited, deleted or stripped is put right; and what is taken away."""

import copy
from typing import Any

import pytest

from ringfence.controller.agent.errors import AgentGone, NotLeading, Requeue
from ringfence.kube import Object
from ringfence.resources.stored import DESIRED_ANNOTATION, STOPPED, stored
from ringfence.store.records import agent_path, child_path
from ringfence.store.store import OwnershipRecord
from unit.controller.make import (
    ACCOUNT,
    BINDING,
    DEPLOYMENT,
    KEY,
    POLICY_ALLOW,
    ROLE,
    RULES,
    UID,
    built,
)
from unit.controller.writer.places import AGENT, Place

# --- what somebody did


async def test_an_edited_child_is_put_right_and_told(place: Place) -> None:
    await place.ensure(POLICY_ALLOW)
    place.take()
    await place.edit(POLICY_ALLOW, {"spec": {"egress": [{}]}})
    assert await place.ensure(POLICY_ALLOW, known=True)
    assert place.take() == (["apply", "replace"], ["update", "ChildEdited kubectl-edit"])
    assert stored(place.live(POLICY_ALLOW)).digest == built(POLICY_ALLOW, RULES).digest


async def test_an_edit_counts_though_the_next_one_is_seen_before_the_answer(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.ensure(DEPLOYMENT)
    await place.edit(DEPLOYMENT, {"spec": {"replicas": 9}})
    place.take()
    apply = place.kube.apply

    async def late(*told: Any, **how: Any) -> Object:
        answer = copy.deepcopy(await apply(*told, **how))
        await place.edit(DEPLOYMENT, {"spec": {"replicas": 9}})
        return answer

    monkeypatch.setattr(place.kube, "apply", late)
    await place.ensure(DEPLOYMENT)
    monkeypatch.undo()
    assert place.take()[1] == ["update", "ChildEdited kubectl-edit"]
    await place.ensure(DEPLOYMENT)
    assert place.take() == (["apply"], ["update", "ChildEdited kubectl-edit"])


async def test_a_changed_field_of_ours_is_one_apply(place: Place) -> None:
    await place.ensure(DEPLOYMENT)
    place.take()
    await place.edit(DEPLOYMENT, {"spec": {"replicas": 9}})
    await place.ensure(DEPLOYMENT, known=True)
    assert place.take() == (["apply"], ["update", "ChildEdited kubectl-edit"])


async def test_an_update_of_ours_repairs_nothing(place: Place) -> None:
    await place.ensure(DEPLOYMENT)
    place.take()
    await place.ensure(DEPLOYMENT, {**RULES, "replicas": 2})
    assert place.take() == (["apply"], ["update"])


async def test_an_owner_that_was_stripped_does_not_make_it_a_strangers(place: Place) -> None:
    await place.ensure(ROLE)
    await place.edit(ROLE, {"metadata": {"ownerReferences": None, "labels": None}})
    await place.ensure(ROLE, known=True)
    assert place.live(ROLE)["metadata"]["ownerReferences"][0]["uid"] == UID


async def test_a_deleted_child_is_read_before_it_is_put_back(place: Place) -> None:
    await place.ensure(ROLE)
    place.kube.cluster.remove(child_path(ROLE))
    place.store.children.items.clear()
    place.take()
    assert await place.ensure(ROLE, known=True)
    assert place.take() == (["get", "get", "create"], ["create", "ChildDeleted None"])


async def test_what_was_written_for_this_agent_is_remembered_when_it_is_gone(place: Place) -> None:
    """Known by the status or not: that it was written is enough for its absence to be a deletion."""
    await place.ensure(ROLE)
    place.kube.cluster.remove(child_path(ROLE))
    place.store.children.items.clear()
    place.take()
    await place.ensure(ROLE, known=False)
    assert place.take()[1] == ["create", "ChildDeleted None"]


async def test_one_that_only_lost_its_label_is_found_and_put_right(place: Place) -> None:
    await place.ensure(ACCOUNT)
    await place.edit(ACCOUNT, {"metadata": {"labels": None}})
    place.store.children.items.clear()  # the watch, which selects by label, tells a deletion
    place.take()
    await place.ensure(ACCOUNT, known=True)
    assert place.take() == (["get", "apply"], ["update", "ChildEdited None"])


@pytest.mark.parametrize("end", ["gone", "another", "deleting"])
async def test_nothing_is_put_back_for_an_agent_that_is_gone(place: Place, end: str) -> None:
    await place.ensure(ROLE)
    place.kube.cluster.remove(child_path(ROLE))
    place.store.children.items.clear()
    found = place.kube.objects[agent_path(KEY)]["metadata"]
    if end == "gone":
        place.kube.cluster.remove(agent_path(KEY))
    else:
        found |= {"uid": "z"} if end == "another" else {"deletionTimestamp": "x"}
    with pytest.raises(AgentGone):
        await place.ensure(ROLE, known=True)
    assert child_path(ROLE) not in place.kube.objects


async def test_what_no_update_can_change_is_made_anew(place: Place) -> None:
    await place.ensure(BINDING)
    await place.edit(BINDING, {"roleRef": {"name": "other"}})
    place.take()
    with pytest.raises(Requeue, match="made anew"):
        await place.ensure(BINDING, known=True)
    assert place.take() == (["get", "delete"], ["delete", "ChildEdited kubectl-edit"])
    assert child_path(BINDING) not in place.kube.objects
    assert BINDING not in place.store.ownership


# --- leadership, removing, stopping


@pytest.mark.parametrize("known", [False, True])
async def test_without_the_lease_nothing_is_written(place: Place, known: bool) -> None:
    await place.ensure(ROLE)
    await place.ensure(DEPLOYMENT)
    await place.edit(ROLE, {"rules": []})
    writes = len(place.kube.writes)
    place.leads = False
    for work in (
        place.ensure(ACCOUNT, known=known),
        place.ensure(ROLE, known=known),
        place.writer.remove(place.store.children.items[ROLE], AGENT),
        place.writer.scale_to_zero(DEPLOYMENT, AGENT),
    ):
        with pytest.raises(NotLeading):
            await work
    assert len(place.kube.writes) == writes


async def test_removing_names_the_very_object(place: Place) -> None:
    await place.ensure(ROLE)
    child = place.store.children.items[ROLE]
    place.take()
    await place.writer.remove(child, AGENT)
    assert place.take() == (["delete"], ["delete"])
    assert place.kube.writes[-1].options["uid"] == child.uid
    assert ROLE not in place.store.ownership


async def test_stopping_takes_the_pods_away_once(place: Place) -> None:
    assert not await place.writer.scale_to_zero(DEPLOYMENT, AGENT), "there is none"
    await place.ensure(DEPLOYMENT)
    place.take()
    assert await place.writer.scale_to_zero(DEPLOYMENT, AGENT)
    assert not await place.writer.scale_to_zero(DEPLOYMENT, AGENT)
    assert place.take() == (["merge"], ["update"])
    assert place.live(DEPLOYMENT)["spec"]["replicas"] == 0
    assert place.live(DEPLOYMENT)["metadata"]["annotations"][DESIRED_ANNOTATION] == STOPPED
    await place.ensure(DEPLOYMENT, known=True)
    assert place.take() == (["apply"], ["update"]), "to start it again repairs nobody's edit"


async def test_a_strangers_workload_is_not_stopped(place: Place) -> None:
    theirs = built(DEPLOYMENT).manifest
    bare = {**theirs, "metadata": {"name": "ringfence-a"}}
    place.kube.cluster.put(child_path(DEPLOYMENT), bare)
    place.hear(DEPLOYMENT)
    assert not await place.writer.scale_to_zero(DEPLOYMENT, AGENT)
    assert place.kube.writes == []


async def test_what_is_right_is_remembered_with_what_was_known_of_it(place: Place) -> None:
    await place.ensure(ROLE)
    child = place.store.children.items[ROLE]
    place.store.remember(ROLE, OwnershipRecord(UID, child.uid, "old", ("a", "b")))
    place.writer.remember([child], AGENT)
    assert place.store.ownership[ROLE] == OwnershipRecord(
        UID, child.uid, built(ROLE, RULES).mark, ("a", "b"), child.digest
    )
