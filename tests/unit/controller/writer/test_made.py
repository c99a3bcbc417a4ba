"""Writes of children, against the fake API server: which requests, and whose objects."""

import copy
from typing import Any

import pytest

from ringfence.controller.agent.actions import (
    EnsureChild,
)
from ringfence.controller.agent.errors import MutatedOnWrite, OwnershipConflict, Requeue
from ringfence.controller.agent.fit import Fit
from ringfence.kube import ApiError, Object, Unreachable
from ringfence.resources import Ref
from ringfence.resources.phases import ALLOW
from ringfence.resources.stored import stored
from ringfence.store.records import agent_path, child_path
from unit.controller.make import (
    ACCOUNT,
    DEPLOYMENT,
    KEY,
    POLICY_ALLOW,
    POLICY_DENY,
    RULES,
    UID,
    built,
)
from unit.controller.writer.places import AGENT, EVERY, Place, making
from unit.fakes.kube import Request

# --- what is new


@pytest.mark.parametrize("ref", EVERY, ids=lambda ref: f"{ref.kind} {ref.name}")
async def test_a_new_child_is_one_request(place: Place, ref: Ref) -> None:
    assert await place.ensure(ref)
    assert place.take() == ([making(ref)], ["create"])
    assert stored(place.live(ref)).digest == built(ref, RULES).digest
    assert place.store.children.items[ref].uid == place.live(ref)["metadata"]["uid"]
    assert place.store.ownership[ref].agent_uid == UID
    assert (place.store.expected, await place.ensure(ref)) == ({}, False)
    assert place.take() == ([], [])


class UnknownKind:
    """The API server does not know the agents' kind yet: nothing may block the deletion of one that did not before."""

    def __init__(self, place: Place) -> None:
        self.place, self.known = place, False
        place.kube.before.append(self)

    def __call__(self, request: Request) -> None:
        live = self.place.kube.objects.get(request.object_path, {})
        if request.body and _blocks(request.body) and not _blocks(live) and not self.known:
            raise ApiError(403, "Forbidden", "cannot find RESTMapping")


def _blocks(body: Any) -> bool:
    owners = body.get("metadata", {}).get("ownerReferences", [])
    return any(one["kind"] == "AgentDeployment" and one.get("blockOwnerDeletion") for one in owners)


@pytest.mark.parametrize("ref", EVERY, ids=lambda ref: f"{ref.kind} {ref.name}")
async def test_a_child_is_stored_though_the_api_server_does_not_know_its_owners_kind(place: Place, ref: Ref) -> None:
    unknown = UnknownKind(place)
    assert await place.ensure(ref)
    assert place.take() == ([making(ref), making(ref)], ["create"])
    assert not _blocks(place.live(ref))
    assert not place.writer.lets_more(ref, built(ref, RULES), AGENT)
    for _ in range(2):
        await place.ensure(ref)
        assert place.take() == (["apply", "apply"], []), "it is tried, and nobody is blamed"
    unknown.known = True
    await place.ensure(ref)
    assert place.take() == (["apply"], ["update"])
    assert _blocks(place.live(ref))
    assert not await place.ensure(ref)


async def test_what_somebody_edits_meanwhile_is_put_right(place: Place) -> None:
    await place.ensure(POLICY_ALLOW)
    unknown = UnknownKind(place)
    await place.edit(POLICY_ALLOW, {"metadata": {"ownerReferences": None}, "spec": {"egress": [{}]}})
    place.take()
    assert await place.ensure(POLICY_ALLOW)
    assert place.take()[1] == ["update", "ChildEdited kubectl-edit"]
    live = place.live(POLICY_ALLOW)
    assert live["metadata"]["ownerReferences"][0]["uid"] == UID
    assert live["spec"].get("egress") != [{}]
    unknown.known = True
    await place.ensure(POLICY_ALLOW)
    assert place.take()[1] == ["update"]


async def test_what_went_since_the_pass_was_planned_is_made_anew(place: Place) -> None:
    await place.ensure(ACCOUNT)
    place.kube.cluster.remove(child_path(ACCOUNT))
    place.store.children.remove(ACCOUNT, 10**9)
    place.take()
    planned = EnsureChild(phase=ALLOW, desired=built(ACCOUNT, RULES), fit=Fit.WRONG, known=True)
    assert await place.writer.ensure(planned, AGENT)
    assert place.take()[1] == ["create", "ChildDeleted None"]


async def test_a_right_that_is_missing_is_told_as_before(place: Place) -> None:
    place.kube.refuse(ApiError(403, "Forbidden", "no"), path=child_path(POLICY_DENY))
    with pytest.raises(ApiError, match="no"):
        await place.ensure(POLICY_DENY)


async def test_what_a_plain_create_left_behind_goes_by_a_replacement(place: Place) -> None:
    """Server-side apply knows what we said before only of what was made by an apply."""
    await place.ensure(POLICY_ALLOW, {"network": {"egress": [{"cidr": "203.0.113.0/28", "ports": [443]}]}})
    place.take()
    ingress = {"from": {"podLabels": {"app": "console"}}, "port": "panel"}
    ports = [{"name": "panel", "port": 8080}]
    assert await place.ensure(POLICY_ALLOW, {"ports": ports, "network": {"ingress": [ingress]}})
    assert place.take() == (["apply", "replace"], ["update"])
    assert place.live(POLICY_ALLOW)["spec"].get("egress", []) == []


async def test_its_echo_wakes_nobody(place: Place) -> None:
    woken: list[Any] = []
    place.store.agents.observe("ADDED", place.kube.objects[agent_path(KEY)])
    place.store.wake = lambda key, _: woken.append(key)
    place.kube.after.append(lambda _: place.hear(ACCOUNT))  # the watch is faster than the answer
    await place.ensure(ACCOUNT)
    assert woken == []


async def test_a_strangers_object_stays_theirs(place: Place) -> None:
    theirs = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "ringfence-a"}}
    before = place.kube.cluster.put(child_path(ACCOUNT), theirs)
    for _ in range(2):
        with pytest.raises(OwnershipConflict, match="ServiceAccount ringfence-a exists already"):
            await place.ensure(ACCOUNT)
    assert place.live(ACCOUNT) == before
    assert place.kube.writes == []
    assert place.take() == (["create", "get", "get"], [])


async def test_ours_that_the_watch_has_not_shown_is_taken_as_it_is(place: Place) -> None:
    await place.ensure(ACCOUNT)
    place.store.children.items.clear()
    place.store.ownership.clear()
    place.take()
    assert await place.ensure(ACCOUNT)
    assert place.take() == (["create", "get"], [])
    assert place.store.ownership[ACCOUNT].agent_uid == UID


async def test_ours_of_another_generation_that_was_not_shown_is_put_right(place: Place) -> None:
    await place.ensure(DEPLOYMENT, {"replicas": 3})
    place.store.children.items.clear()
    place.store.ownership.clear()
    place.take()
    await place.ensure(DEPLOYMENT)
    assert place.take() == (["apply_new", "get", "apply"], ["update"])


async def test_an_earlier_agents_child_is_waited_for(place: Place) -> None:
    await place.ensure(ACCOUNT)
    place.live(ACCOUNT)["metadata"]["ownerReferences"][0]["uid"] = "earlier"
    place.store.children.items.clear()
    place.store.ownership.clear()
    with pytest.raises(Requeue, match="earlier AgentDeployment"):
        await place.ensure(ACCOUNT)


async def test_an_answer_that_was_lost_is_no_trouble(place: Place) -> None:
    def lose(_: Request) -> None:
        place.kube.allow()
        raise Unreachable("reset")

    place.kube.after.append(lose)
    with pytest.raises(Unreachable):
        await place.ensure(ACCOUNT)
    assert place.store.expected == {}
    await place.ensure(ACCOUNT)
    assert place.store.children.items[ACCOUNT].uid == place.live(ACCOUNT)["metadata"]["uid"]


async def test_the_workload_is_made_behind_a_fence_of_this_very_pass(place: Place) -> None:
    await place.ensure(POLICY_DENY)
    await place.ensure(DEPLOYMENT, behind=POLICY_DENY)
    owners = [owner["uid"] for owner in place.live(DEPLOYMENT)["metadata"]["ownerReferences"]]
    assert place.live(POLICY_DENY)["metadata"]["uid"] in owners


# --- what the API server makes of it


def put_in(place: Place, monkeypatch: pytest.MonkeyPatch, **fields: Any) -> None:
    """Have the API server store pods with these fields, whatever is written."""
    write = place.kube.cluster.write

    def changed(path: str, after: Object, **more: Any) -> Object:
        after = copy.deepcopy(after)
        after["spec"]["template"]["spec"].update(fields)
        return write(path, after, **more)

    monkeypatch.setattr(place.kube.cluster, "write", changed)


async def test_defaults_are_completed_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    put_in(place, monkeypatch, newField="Default")
    await place.ensure(DEPLOYMENT)
    assert place.take()[0] == ["apply_new", "replace"]
    assert place.store.ownership[DEPLOYMENT].completed
    assert not await place.ensure(DEPLOYMENT)
    assert place.take() == ([], [])


async def test_what_is_put_in_on_the_way_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    put_in(place, monkeypatch, hostNetwork=True)
    with pytest.raises(MutatedOnWrite, match="mutating webhook"):
        await place.ensure(DEPLOYMENT)
    assert place.store.ownership[DEPLOYMENT].completed is None
