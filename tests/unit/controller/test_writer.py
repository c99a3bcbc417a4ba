"""Writes of children, against the fake API server: which requests, and whose objects."""

import copy
from typing import Any

import pytest

from ringfence.controller.agent.actions import (
    EnsureChild,
)
from ringfence.controller.agent.errors import AgentGone, MutatedOnWrite, NotLeading, OwnershipConflict, Requeue
from ringfence.controller.agent.fit import Fit, is_right, judge
from ringfence.controller.agent.writer import Writer
from ringfence.kube import ApiError, Conflict, Object, Unreachable
from ringfence.resources import CHILD_KINDS, Ref
from ringfence.resources.phases import ALLOW
from ringfence.resources.stored import DESIRED_ANNOTATION, STOPPED, stored
from ringfence.store.context import PolicyContext
from ringfence.store.records import agent_path, child_path
from ringfence.store.store import OwnershipRecord, Store
from ringfence.telemetry.events import ChildRepaired, ChildWritten, FinalizersRemoved
from unit.controller.make import (
    ACCOUNT,
    BINDING,
    DEPLOYMENT,
    KEY,
    POLICY_ALLOW,
    POLICY_DENY,
    ROLE,
    RULES,
    UID,
    agent,
    body,
    built,
)
from unit.fakes.kube import FakeKube, Request

AGENT = agent()
EVERY = [POLICY_DENY, POLICY_ALLOW, ACCOUNT, ROLE, BINDING, DEPLOYMENT]


class Place:
    """A writer, the API server that it writes to, and what it told."""

    def __init__(self) -> None:
        self.kube, self.store, self.told, self.leads = FakeKube(), Store(PolicyContext()), list[Any](), True
        self.kube.cluster.put(agent_path(KEY), body())
        self.writer = Writer(self.kube, self.store, lambda: self.leads, self.told.append)

    async def ensure(self, ref: Ref, spec: Any = RULES, *, known: bool = False, behind: Ref | None = None) -> bool:
        """As a pass would have it: judged by what the store has."""
        desired = built(ref, spec)
        fit = judge(desired, self.store.children.get(ref), AGENT, self.store.ownership.get(ref))
        action = EnsureChild(phase=ALLOW, desired=desired, fit=fit, known=known, behind_fence=behind)
        return await self.writer.ensure(action, AGENT)

    async def edit(self, ref: Ref, change: Object, *, manager: str = "kubectl-edit") -> None:
        """Somebody's edit, which the watch shows."""
        self.kube.cluster.time = "2026-01-02T00:00:00Z"
        await FakeKube(self.kube.cluster).merge(child_path(ref), change, manager=manager)
        self.hear(ref)

    def hear(self, ref: Ref) -> None:
        self.store.children.observe("MODIFIED", {"kind": ref.kind, **self.live(ref)})

    def live(self, ref: Ref) -> Object:
        return self.kube.objects[child_path(ref)]

    def take(self) -> tuple[list[str], list[str]]:
        """Requests and what was told since the last look."""
        requests, self.kube.requests[:] = [one.verb for one in self.kube.requests], []
        told, self.told[:] = [_short(one) for one in self.told], []
        return requests, told


def making(ref: Ref) -> str:
    """The request by which a child is made."""
    return "apply_new" if CHILD_KINDS[ref.kind].merged else "create"


def _short(event: Any) -> str:
    match event:
        case ChildWritten():
            return event.verb
        case FinalizersRemoved():
            return f"{event.rule} {','.join(event.finalizers)}"
        case ChildRepaired():
            return f"{event.rule} {event.manager}"
    return type(event).__name__


@pytest.fixture
def place() -> Place:
    return Place()


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
