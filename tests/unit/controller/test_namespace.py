"""A pass over a namespace: its standing policy, and what is left without an agent."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ringfence.api.names import CONNECTIONS_ANNOTATION, STANDING_POLICY
from ringfence.controller.namespace.reconciler import AGAIN, DEADLINE, NamespaceReconciler
from ringfence.controller.namespace.standing import (
    ENDING_SECONDS,
    SETTLING_SECONDS,
    Standing,
    Wish,
    ceiling,
    policy,
)
from ringfence.controller.runtime.lease import NotLeading
from ringfence.controller.runtime.loop import Look
from ringfence.kube import ApiError, Object
from ringfence.policy.opened import Opening
from ringfence.resources import Ref, build_deny, build_standing
from ringfence.resources.compare import matches
from ringfence.store.context import PolicyContext
from ringfence.store.records import Key, agent_path, child_path
from ringfence.store.sources import NAMESPACE
from ringfence.store.store import Store
from ringfence.telemetry.events import NamespaceObserved, OrphansFound, StandingMissing, StandingRepaired
from unit.controller.make import RULES, agent, all_children
from unit.fakes.kube import FakeKube, Request
from unit.store.make import agent as agent_body
from unit.store.make import pod

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
REF = Ref("NetworkPolicy", "team", STANDING_POLICY)
PATH = child_path(REF)
CONTROLLER = ("ringfence-system", "ringfence-controller")
CEILING = ceiling(CONTROLLER, lambda _: ("on-call",))
BINDING = CEILING.ref("team")
BINDING_PATH = child_path(BINDING)
OPEN = {"ringfence.dev/agents": "enabled"}
WORKLOAD = Ref("Deployment", "team", "ringfence-a")


class Place:
    """A reconciler, and one namespace `team`."""

    def __init__(self) -> None:
        self.kube, self.store, self.now, self.leads = FakeKube(), Store(PolicyContext()), NOW, True
        self.told: list[Any] = []
        self.standing, self.ceiling = (
            Standing(one, self.kube, self.store, lambda: self.leads, self.told.append) for one in (policy(), CEILING)
        )
        self.reconciler = NamespaceReconciler(
            self.kube,
            self.store,
            self.standing,
            self.ceiling,
            lambda: self.leads,
            self.told.append,
            lambda: self.now,
        )
        self.label(OPEN)

    def label(self, labels: dict[str, str]) -> None:
        self.store.context.observe(NAMESPACE, "MODIFIED", {"metadata": {"name": "team", "labels": labels}})

    def see(self, path: str = PATH, kind: str = "NetworkPolicy") -> None:
        """Have the store see what is stored."""
        self.store.children.observe("MODIFIED", {"kind": kind} | self.kube.objects[path])

    def edit(self, **spec: Any) -> None:
        stored = self.kube.objects[PATH]
        self.kube.cluster.put(PATH, stored | {"spec": stored["spec"] | spec})
        self.bump()

    def bump(self) -> None:
        self.kube.objects[PATH]["metadata"]["resourceVersion"] = str(int(
            self.kube.objects[PATH]["metadata"]["resourceVersion"]) + 1)  # fmt: skip
        self.kube.cluster.version += 1
        self.see()

    async def reconcile(self) -> Look:
        return await self.reconciler.reconcile("team")

    def right(self) -> bool:
        return PATH in self.kube.objects and matches(build_standing("team"), self.kube.objects[PATH])

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.told if isinstance(event, kind)]


@pytest.fixture
async def place() -> Place:
    return Place()


@pytest.fixture
async def standing(place: Place) -> Place:
    await place.reconcile()
    place.kube.requests.clear()
    return place


async def test_an_opened_namespace_gets_it_and_then_rests(place: Place) -> None:
    assert await place.reconcile() == Look()
    assert place.right()
    requests = len(place.kube.requests)
    assert await place.reconcile() == Look()
    assert len(place.kube.requests) == requests
    assert place.of(StandingRepaired) == []


async def test_an_agents_pass_that_sees_it_before_the_answer_makes_no_repair_of_it(place: Place) -> None:
    def the_watch_is_faster(request: Request) -> None:
        if request.verb == "apply_new":
            place.see()
            place.standing._note("team")  # as `hold` does, which finds it right

    place.kube.after.append(the_watch_is_faster)
    await place.reconcile()
    assert place.right()
    assert place.of(StandingRepaired) == []


async def test_a_closed_one_gets_none(place: Place) -> None:
    place.label({})
    await place.reconcile()
    assert place.kube.requests == []


@pytest.mark.parametrize("what", ["agent", "pod"])
async def test_it_stays_while_there_is_an_agent_or_a_pod_and_goes_with_the_last(standing: Place, what: str) -> None:
    body = agent_body() if what == "agent" else pod()
    body["metadata"]["namespace"] = "team"
    table: Any = standing.store.agents if what == "agent" else standing.store.pods
    table.observe("ADDED", body)
    standing.label({})
    await standing.reconcile()
    assert standing.right()
    table.observe("DELETED", body)
    await standing.reconcile()
    assert PATH not in standing.kube.objects


WISHES = [
    (Opening.OPEN, True, Wish.STANDS, Wish.STANDS),
    (Opening.OPEN, False, Wish.STANDS, Wish.STANDS),
    (Opening.UNLABELLED, True, Wish.STANDS, Wish.KEPT),
    (Opening.UNLABELLED, False, Wish.GONE, Wish.GONE),
    *(
        (where, inhabited, Wish.GONE, Wish.GONE)
        for where in (Opening.CLUSTER, Opening.OWN)
        for inhabited in (True, False)
    ),
]


@pytest.mark.parametrize(("where", "inhabited", "fence", "held"), WISHES)
def test_what_is_wished_for(where: Opening, inhabited: bool, fence: Wish, held: Wish) -> None:
    assert policy().wish(where, inhabited=inhabited) is fence
    assert CEILING.wish(where, inhabited=inhabited) is held


async def test_where_agents_outlive_the_opening_the_binding_is_not_made_anew(standing: Place) -> None:
    standing.store.agents.observe(
        "ADDED", agent_body() | {"metadata": agent_body()["metadata"] | {"namespace": "team"}}
    )
    standing.label({})
    standing.kube.cluster.remove(BINDING_PATH)
    standing.store.children.remove(BINDING, 10_000)
    await standing.reconcile()
    assert standing.right()
    assert BINDING_PATH not in standing.kube.objects
    assert standing.of(StandingMissing) == []


@pytest.mark.parametrize("what", ["agent", "pod", None])
async def test_no_label_opens_ringfences_own_namespace(standing: Place, what: str | None) -> None:
    """What was there goes, and it is told once."""
    if what is not None:
        body = agent_body() if what == "agent" else pod()
        body["metadata"]["namespace"] = "team"
        table: Any = standing.store.agents if what == "agent" else standing.store.pods
        table.observe("ADDED", body)
    standing.store.context._own = "team"
    for _ in range(3):
        await standing.reconcile()
        standing.store.children.remove(REF, 10_000)
        standing.store.children.remove(BINDING, 10_000)
    assert not standing.kube.objects.keys() & {PATH, BINDING_PATH}
    (told,) = standing.of(StandingMissing)
    assert "kubectl label namespace team ringfence.dev/agents-" in told.why
    assert standing.of(NamespaceObserved)[-1].missing
    standing.label({})
    await standing.reconcile()
    assert not standing.of(NamespaceObserved)[-1].missing


async def test_edited_it_is_put_right_and_told(standing: Place) -> None:
    standing.edit(egress=[{}])
    await standing.reconcile()
    assert standing.right()
    assert [one.rule for one in standing.of(StandingRepaired)] == ["ChildEdited"]


async def test_deleted_it_is_back_and_told(standing: Place) -> None:
    standing.kube.cluster.remove(PATH)
    standing.store.children.remove(REF, 10_000)
    await standing.reconcile()
    assert standing.right()
    assert [one.rule for one in standing.of(StandingRepaired)] == ["ChildDeleted"]


async def test_held_by_a_finalizer_it_is_made_anew(standing: Place) -> None:
    metadata = standing.kube.objects[PATH]["metadata"]
    uid = metadata["uid"]
    metadata |= {"finalizers": ["x/hold"], "deletionTimestamp": "now"}
    standing.edit(egress=[{}])
    await standing.reconcile()
    assert standing.right()
    assert standing.kube.objects[PATH]["metadata"]["uid"] != uid


async def test_the_end_of_the_namespace_accuses_nobody(standing: Place) -> None:
    standing.kube.cluster.remove(PATH)
    standing.store.children.remove(REF, 10_000)
    ending = ApiError(403, "Forbidden", "because it is being terminated")
    standing.kube.refuse(ending, verb="apply_new", times=1)
    standing.kube.requests.clear()
    now = 100.0
    standing.standing.clock = lambda: now
    for _ in range(3):
        with pytest.raises(ApiError):
            await standing.reconcile()
    assert [one.verb for one in standing.kube.requests].count("apply_new") == 1, "one request tells all passes"
    now += ENDING_SECONDS
    await standing.reconcile()
    assert standing.right(), "it did not end after all, or there is another one of that name"
    assert standing.of(StandingRepaired) == []
    assert standing.of(StandingMissing) == []


async def test_a_strangers_is_left_and_told_once(place: Place) -> None:
    theirs: Object = {"metadata": {"name": STANDING_POLICY, "namespace": "team"}, "spec": {"podSelector": {}}}
    place.kube.cluster.put(PATH, theirs)
    for _ in range(2):
        assert await place.reconcile() == Look(after=AGAIN)
    assert place.kube.writes == []
    assert len(place.of(StandingMissing)) == 1
    assert place.of(NamespaceObserved)[-1].missing
    place.kube.cluster.remove(PATH)
    place.store.children.remove(REF, 10_000)
    assert await place.reconcile() == Look()
    assert place.right()
    assert not place.of(NamespaceObserved)[-1].missing


async def test_without_the_lease_nothing_is_written(place: Place) -> None:
    place.leads = False
    with pytest.raises(NotLeading):
        await place.reconcile()
    assert place.kube.writes == []


def left_behind(place: Place, *, known: bool) -> None:
    """Everything of agent `a` without an owner; `known`: the agent was seen to go."""
    body = agent_body()
    body["metadata"]["namespace"] = "team"
    if known:
        place.store.agents.observe("ADDED", body)
        for child in all_children(RULES):
            place.store.children.take(child)
        place.store.agents.observe("DELETED", body)
    for child in all_children(RULES):
        stripped: Object = {"metadata": {"name": child.ref.name, "namespace": "team", "uid": child.uid,
                            "resourceVersion": "8", "labels": dict(child.labels)}}  # fmt: skip
        stripped |= {"spec": {"replicas": 1}} if child.ref.kind == "Deployment" else {}
        place.kube.cluster.put(child_path(child.ref), stripped)
        place.see(child_path(child.ref), child.ref.kind)


async def test_what_we_saw_orphaned_is_stopped_at_once(place: Place) -> None:
    left_behind(place, known=True)
    await place.reconcile()
    assert place.kube.objects[child_path(WORKLOAD)]["spec"]["replicas"] == 0
    assert child_path(Ref("RoleBinding", "team", "ringfence-a")) not in place.kube.objects
    (told,) = place.of(OrphansFound)
    assert (told.agent, told.stopped) == ("a", True)
    assert "Deployment/ringfence-a" in told.objects
    assert place.of(NamespaceObserved)[-1].orphans >= 5


async def test_what_we_never_saw_waits_a_moment(place: Place) -> None:
    left_behind(place, known=False)
    assert await place.reconcile() == Look(after=DEADLINE)
    assert place.of(OrphansFound) == []
    place.now += timedelta(seconds=DEADLINE)
    assert await place.reconcile() == Look()
    assert len(place.of(OrphansFound)) == 1
    assert place.kube.objects[child_path(WORKLOAD)]["spec"]["replicas"] == 0


async def test_nothing_is_taken_from_an_agent_that_is_there_after_all(place: Place) -> None:
    left_behind(place, known=False)
    place.kube.cluster.put(agent_path(Key("team", "a")), {"metadata": {}})
    place.now += timedelta(seconds=DEADLINE)
    await place.reconcile()
    place.now += timedelta(seconds=DEADLINE)
    await place.reconcile()
    assert place.kube.objects[child_path(WORKLOAD)]["spec"]["replicas"] == 1
    assert place.of(OrphansFound) == []


async def test_a_workload_whose_fence_goes_with_the_agent_is_left_to_the_cluster(place: Place) -> None:
    left_behind(place, known=True)
    deny = build_deny(agent())
    deny["metadata"] |= {"uid": "uid-ringfence-a-deny", "resourceVersion": "90"}
    place.store.children.observe("MODIFIED", deny)
    owner = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "name": "ringfence-a-deny", "uid": "x"}
    path = child_path(WORKLOAD)
    place.kube.objects[path]["metadata"] |= {"ownerReferences": [owner], "resourceVersion": "91"}
    place.see(path, "Deployment")
    await place.reconcile()
    assert place.kube.objects[path]["spec"]["replicas"] == 1


async def test_pods_without_an_agent_are_looked_at_once_more_when_the_workload_is_gone(place: Place) -> None:
    workload = next(child for child in all_children(RULES) if child.ref == WORKLOAD)
    place.store.children.take(workload)
    body = pod()
    body["metadata"]["namespace"] = "team"
    place.store.pods.observe("ADDED", body)
    await place.reconcile()
    assert place.of(NamespaceObserved)[-1].orphans == 0  # the cluster takes them away with the workload

    woken: list[str] = []
    place.store.wake_namespace = woken.append
    gone = {"kind": "Deployment", "metadata": {"name": WORKLOAD.name, "namespace": "team", "uid": workload.uid,
            "resourceVersion": "9", "labels": dict(workload.labels)}}  # fmt: skip
    place.store.children.observe("DELETED", gone)
    assert woken == ["team"]
    assert await place.reconcile() == Look(after=DEADLINE)
    place.now += timedelta(seconds=DEADLINE)
    await place.reconcile()
    assert place.of(NamespaceObserved)[-1].orphans == 1  # but this one it left


def bound(place: Place) -> bool:
    return matches(CEILING.build("team").manifest, place.kube.objects[BINDING_PATH])


async def test_an_opened_namespace_has_the_ceiling_bound_and_a_closed_one_loses_it(standing: Place) -> None:
    assert bound(standing)
    assert standing.ceiling.right("team")
    standing.label({})
    await standing.reconcile()
    assert BINDING_PATH not in standing.kube.objects


async def test_who_may_exec_stands_on_the_binding_and_follows_the_policies(place: Place) -> None:
    named: tuple[str, ...] = ()
    place.ceiling.wanted = ceiling(CONTROLLER, lambda _: named)
    for named in ((), ("a", "b"), ("b",), ()):
        await place.reconcile()
        assert place.kube.objects[BINDING_PATH]["metadata"]["annotations"][CONNECTIONS_ANNOTATION] == "\n".join(named)
    assert place.of(StandingRepaired) == [], "that is an update of ours"
    requests = len(place.kube.requests)
    await place.reconcile()
    assert len(place.kube.requests) == requests


@pytest.mark.parametrize("value", ["on-call\neve", "", None])
async def test_an_edit_of_it_alone_is_put_right_and_told(standing: Place, value: str | None) -> None:
    metadata = standing.kube.objects[BINDING_PATH]["metadata"]
    metadata["annotations"][CONNECTIONS_ANNOTATION] = value
    if value is None:
        del metadata["annotations"][CONNECTIONS_ANNOTATION]
    metadata["resourceVersion"] = str(int(metadata["resourceVersion"]) + 1)
    standing.kube.cluster.version += 1
    standing.see(BINDING_PATH, "RoleBinding")
    assert not standing.ceiling.right("team")
    await standing.reconcile()
    assert bound(standing)
    assert standing.kube.objects[BINDING_PATH]["metadata"]["annotations"][CONNECTIONS_ANNOTATION] == "on-call"
    assert [(one.kind, one.rule) for one in standing.of(StandingRepaired)] == [("RoleBinding", "ChildEdited")]


def test_the_annotation_means_nothing_on_any_other_object() -> None:
    """Where nobody looks at it, whoever adds it has edited nothing."""
    child = build_deny(agent())
    noted = child | {"metadata": child["metadata"] | {"annotations": child["metadata"]["annotations"] | {
        CONNECTIONS_ANNOTATION: "eve"}}}  # fmt: skip
    assert matches(child, noted)


async def test_one_that_binds_another_role_is_made_anew_and_told(standing: Place) -> None:
    other = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"}
    stored = standing.kube.objects[BINDING_PATH]
    standing.kube.cluster.remove(BINDING_PATH)
    standing.kube.cluster.put(BINDING_PATH, {name: one for name, one in stored.items() if name != "roleRef"}
                              | {"roleRef": other, "metadata": stored["metadata"] | {"uid": "another"}})  # fmt: skip
    standing.store.children.remove(BINDING, 10_000)
    await standing.reconcile()
    assert bound(standing)
    assert [(one.kind, one.rule) for one in standing.of(StandingRepaired)] == [("RoleBinding", "ChildDeleted")]


async def test_a_strangers_binding_leaves_the_policy_alone_and_is_told(place: Place) -> None:
    theirs: Object = {"metadata": {"name": BINDING.name, "namespace": "team"}, "subjects": []}
    place.kube.cluster.put(BINDING_PATH, theirs)
    for _ in range(2):
        assert await place.reconcile() == Look(after=AGAIN)
    assert place.right()
    assert place.kube.objects[BINDING_PATH].get("subjects") == []
    (told,) = place.of(StandingMissing)
    assert (told.kind, told.name) == ("RoleBinding", BINDING.name)
    assert "agents with permissions do not start here" in told.why
    assert not place.of(NamespaceObserved)[-1].missing, "that is said of the policy alone"
    assert not place.ceiling.right("team")


async def test_a_new_binding_settles_for_a_moment(place: Place) -> None:
    now = 100.0
    place.ceiling.clock = lambda: now
    assert not place.ceiling.settles("team")
    await place.reconcile()
    assert place.ceiling.settles("team")
    now += SETTLING_SECONDS
    assert not place.ceiling.settles("team")
