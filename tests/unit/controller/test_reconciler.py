"""Whole passes over one agent, against the fake API server."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ringfence.api import AgentDeployment
from ringfence.api.schema import structural_schema
from ringfence.api.status import ConditionType
from ringfence.controller.agent.errors import NotLeading, Requeue
from ringfence.controller.agent.execute import Executor
from ringfence.controller.agent.handover import HandOvers
from ringfence.controller.agent.observe import EVENTS_READ, Observer
from ringfence.controller.agent.pods import Pods
from ringfence.controller.agent.reconciler import FIRST_STATUS, AgentReconciler
from ringfence.controller.agent.recorder import Recorder
from ringfence.controller.agent.secrets import Secrets
from ringfence.controller.agent.writer import Writer
from ringfence.controller.registration import Registration
from ringfence.controller.runtime.loop import Look
from ringfence.kube import ApiError, Object, Unreachable, path_of
from ringfence.resources import Ref
from ringfence.store.context import PolicyContext
from ringfence.store.records import agent_path, child_path
from ringfence.store.sources import AGENT_POLICY, NAMESPACE
from ringfence.store.store import Store
from ringfence.telemetry.events import AgentDeleted, AgentForgotten, AgentObserved, ConditionChanged, ViolationFound
from unit.controller.make import ACCOUNT, DEPLOYMENT, GATE, KEY, NOW, POLICY_ALLOW, POLICY_DENY, UID, body
from unit.fakes.kube import FakeKube
from unit.store.make import pod

STATUS = structural_schema(AgentDeployment)["properties"]["status"]
TEAM = {"metadata": {"name": "team", "labels": {"ringfence.dev/agents": "enabled"}}}
CREATION = [
    "create networkpolicies/ringfence-a-deny",
    "create networkpolicies/ringfence-a-allow",
    "create serviceaccounts/ringfence-a",
    "apply_new deployments/ringfence-a",
    "json_patch agentdeployments/a/status",
]


class Place:
    """A controller's parts for agents around one API server."""

    def __init__(self, registration: Path | None = None) -> None:
        self.kube, self.told, self.leads = FakeKube(), list[Any](), True
        self.store = Store(PolicyContext())
        emit: Callable[[Any], None] = self.told.append
        secrets = Secrets(self.kube, lambda: self.leads, "x:y", emit, lambda: NOW)
        self.writer = Writer(self.kube, self.store, lambda: self.leads, emit)
        looks = Registration(self.kube, registration) if registration else None
        self.hand_overs = HandOvers(emit, looks)
        self.reconciler = AgentReconciler(
            store=self.store,
            observer=Observer(
                self.kube, self.store, secrets, self.hand_overs, gate=GATE, clock=lambda: NOW, ticks=lambda: 0.0
            ),
            executor=Executor(self.writer, secrets, Pods(self.writer), emit),
            writer=self.writer,
            recorder=Recorder(emit),
            emit=emit,
        )
        self.store.context.observe(NAMESPACE, "ADDED", TEAM)

    def deploy(self, spec: Any = None, **metadata: Any) -> None:
        """Somebody's write of the agent, which the watch shows."""
        before = self.kube.objects.get(agent_path(KEY), {})
        version = self.kube.cluster.version + 1
        made = body(spec, status=before.get("status"), resourceVersion=str(version), **metadata)
        self.store.agents.observe("MODIFIED", self.kube.cluster.put(agent_path(KEY), made))

    async def one_pass(self) -> Look:
        return await self.reconciler.reconcile(KEY)

    async def reconcile(self) -> Look:
        """A pass; of a new agent, whose status waits for its workload's, two."""
        look = await self.one_pass()
        return await self.one_pass() if look == Look(after=FIRST_STATUS) else look

    @property
    def status(self) -> Object:
        found: Object = self.kube.objects[agent_path(KEY)].get("status", {})
        return found

    def condition(self, kind: str) -> tuple[str, str]:
        found = next(one for one in self.status["conditions"] if one["type"] == kind)
        return found["status"], found["reason"]

    def take(self) -> list[str]:
        """The requests since the last look."""
        found, self.kube.requests[:] = [str(one) for one in self.kube.requests], []
        return found

    def run(self, ref: Ref = DEPLOYMENT, *, ready: int = 1) -> None:
        """Have the agent's pods run."""
        numbers = {"replicas": 1, "updatedReplicas": 1, "readyReplicas": ready, "availableReplicas": ready}
        live = self.kube.objects[child_path(ref)]
        live["status"] = numbers | {"observedGeneration": live["metadata"]["generation"]}
        live["metadata"]["resourceVersion"] = str(self.kube.cluster.version + 1)
        self.store.children.observe("MODIFIED", live)


@pytest.fixture
def place() -> Place:
    found = Place()
    found.deploy()
    return found


async def test_a_creation_writes_each_child_once_and_reads_nothing(place: Place) -> None:
    look = await place.reconcile()
    assert place.take() == CREATION
    assert look == Look(rarely=True)
    assert place.status["acceptedGeneration"] == 1
    assert place.condition("Ready") == ("False", "Progressing")
    fence = place.kube.objects[child_path(POLICY_DENY)]["metadata"]["uid"]
    owners = place.kube.objects[child_path(DEPLOYMENT)]["metadata"]["ownerReferences"]
    assert [owner["uid"] for owner in owners] == [UID, fence]


async def test_the_first_status_waits_for_the_workloads_but_once(place: Place) -> None:
    assert await place.one_pass() == Look(after=FIRST_STATUS)
    assert place.take() == CREATION[:-1]
    place.kube.cluster.remove(child_path(ACCOUNT))  # something to write again, at every pass
    place.store.children.remove(ACCOUNT, place.kube.cluster.version)
    assert await place.one_pass() == Look(rarely=True)
    assert place.take()[-1] == CREATION[-1]
    assert place.status["acceptedGeneration"] == 1


async def test_a_second_pass_asks_for_nothing(place: Place) -> None:
    await place.reconcile()
    place.take()
    assert await place.reconcile() == Look(rarely=True)
    assert place.take() == []
    place.run()
    assert await place.reconcile() == Look()
    assert place.take() == CREATION[-1:]
    assert place.condition("Ready") == ("True", "Ready")
    assert place.status["readyReplicas"] == 1
    assert await place.reconcile() == Look()
    assert place.take() == []


async def test_events_about_pods_that_do_not_come_up_are_read_a_few_times_and_then_nobody_looks(place: Place) -> None:
    await place.reconcile()
    for version in (1, 2):
        state = {"waiting": {"reason": "ContainerCreating", "message": f"{version}"}}
        seen = pod(version, agent=KEY.name, phase="Pending", containerStatuses=[{"ready": False, "state": state}])
        seen["metadata"]["namespace"] = KEY.namespace
        place.store.pods.observe("MODIFIED", seen)
        looks = [await place.reconcile() for _ in range(EVENTS_READ)]
        assert looks == [Look(waiting=True)] * (EVENTS_READ - 1) + [Look(rarely=True)], "a pod that changes is news"


async def test_the_echoes_of_a_pass_wake_nobody(place: Place) -> None:
    woken: list[Any] = []
    place.store.wake = lambda key, _: woken.append(key)

    defaults = {name: one["default"] for name, one in STATUS["properties"].items() if "default" in one}

    def echo(request: Any) -> None:
        at = request.path.removesuffix("/status")
        if found := place.kube.objects.get(at):
            if "status" in found and "agentdeployments" in at:
                found["status"] = defaults | found["status"]  # as the API server stores it
            table: Any = place.store.agents if "agentdeployments" in at else place.store.children
            table.observe("MODIFIED", {"kind": "AgentDeployment", **found})

    place.kube.after.append(echo)
    await place.reconcile()
    assert woken == []


async def test_what_changed_is_told_after_it_was_stored(place: Place) -> None:
    place.kube.refuse(Unreachable("down"), verb="json_patch")
    with pytest.raises(Unreachable):
        await place.reconcile()
    assert not [one for one in place.told if isinstance(one, ConditionChanged)]
    assert place.store.expected_status == {}
    place.kube.allow()
    await place.reconcile()
    types = [one.type for one in place.told if isinstance(one, ConditionChanged)]
    # It asks for nothing of the kind.
    of_few = {ConditionType.PERMISSIONS_HELD, ConditionType.GATEWAY_READY, ConditionType.FENCE_VERIFIED}
    assert types == [one for one in ConditionType if one not in of_few]
    observed = next(one for one in place.told if isinstance(one, AgentObserved))
    assert (observed.ready, observed.wanted, observed.rules) == (0, 1, 0)
    assert observed.conditions == place.status["conditions"]


async def test_one_that_is_refused_has_its_fence_and_no_more(place: Place) -> None:
    place.deploy({"image": "registry.example/x:1"})
    assert await place.reconcile() == Look()
    assert place.take() == [CREATION[0], CREATION[-1]]
    assert place.condition("Accepted") == ("False", "Refused")
    assert "acceptedGeneration" not in place.status
    assert [one.rule for one in place.told if isinstance(one, ViolationFound)] == ["ImageNoDigest"]
    await place.reconcile()
    assert place.take() == []


async def test_a_refused_update_keeps_what_was_accepted(place: Place) -> None:
    await place.reconcile()
    place.deploy({"image": "registry.example/x:1"}, generation=2)
    place.take()
    await place.reconcile()
    assert place.take() == CREATION[-1:]
    assert (place.status["acceptedGeneration"], place.status["observedGeneration"]) == (1, 2)
    assert child_path(DEPLOYMENT) in place.kube.objects


async def test_an_obstacle_is_said_and_tried_again(place: Place) -> None:
    place.kube.refuse(ApiError(500, "InternalError", "etcd is away", 9.0), path=child_path(ACCOUNT))
    with pytest.raises(Requeue, match="etcd is away") as failure:
        await place.reconcile()
    assert failure.value.retry_after == 9.0
    assert place.take() == [*CREATION[:3], CREATION[-1]]
    assert place.condition("NetworkPolicyApplied") == ("True", "Applied")
    assert place.condition("RightsApplied") == ("False", "WriteFailed")
    assert "acceptedGeneration" not in place.status


async def test_a_refusal_is_said_and_tried_again_at_growing_intervals(place: Place) -> None:
    place.kube.refuse(ApiError(403, "Forbidden", "exceeded quota"), path=child_path(ACCOUNT))
    assert await place.reconcile() == Look(waiting=True)
    assert place.condition("RightsApplied") == ("False", "WriteFailed")


async def test_a_strangers_object_is_said_and_waited_for(place: Place) -> None:
    path = child_path(POLICY_ALLOW)
    place.kube.cluster.put(path, {"kind": "NetworkPolicy", "metadata": {"name": "ringfence-a-allow"}})
    assert await place.reconcile() == Look(waiting=True)
    assert place.condition("NetworkPolicyApplied") == ("False", "ChildNotOurs")
    assert child_path(DEPLOYMENT) not in place.kube.objects


async def test_one_that_is_gone_is_forgotten(place: Place) -> None:
    await place.reconcile()
    place.store.agents.observe("DELETED", {"kind": "x", **body(resourceVersion="99")})
    place.take()
    assert await place.reconcile() == Look()
    assert place.take() == []
    assert place.told[-1] == AgentForgotten(agent=(KEY.namespace, KEY.name))  # type: ignore[arg-type]


async def test_one_that_ended_unheard_is_forgotten_at_the_write(place: Place) -> None:
    place.kube.cluster.remove(agent_path(KEY))
    assert await place.reconcile() == Look()
    assert KEY not in place.store.agents.items
    assert [one for one in place.told if isinstance(one, AgentForgotten)]


async def test_a_later_agent_of_that_name_is_not_taken_for_it(place: Place) -> None:
    place.kube.objects[agent_path(KEY)]["metadata"]["uid"] = "later"
    assert await place.reconcile() == Look()
    assert place.status == {}


async def test_one_that_is_being_deleted_loses_its_pods_and_nothing_else(place: Place) -> None:
    await place.reconcile()
    place.deploy(deletionTimestamp="x", finalizers=["x/y"])
    place.take()
    assert await place.reconcile() == Look()
    assert place.take() == ["merge deployments/ringfence-a", CREATION[-1]]
    assert place.kube.objects[child_path(DEPLOYMENT)]["spec"]["replicas"] == 0


async def test_without_the_lease_nothing_is_written(place: Place) -> None:
    place.leads = False
    with pytest.raises(NotLeading):
        await place.reconcile()
    assert place.kube.writes == []


async def test_a_namespace_that_was_not_heard_of_is_read(place: Place) -> None:
    place.store.context.replace(NAMESPACE, [])
    place.kube.cluster.put(path_of("v1", "namespaces", name="team"), TEAM)
    await place.reconcile()
    assert place.take() == ["get namespaces/team", *CREATION]


async def test_a_mistake_is_said_in_the_status(place: Place) -> None:
    await place.reconcile()
    place.take()
    others = [one for one in place.status["conditions"] if one["type"] != "Ready"]
    await place.reconciler.failed(KEY, KeyError("x"))
    assert place.take() == CREATION[-1:]
    assert place.condition("Ready") == ("False", "InternalError")
    ready, *rest = place.status["conditions"]
    assert ready["type"] == "Ready"
    assert place.condition("Reconciling") == ("True", "InternalError")
    pair = {"Reconciling", "Stalled"}
    assert [one for one in rest if one["type"] not in pair] == [one for one in others if one["type"] not in pair]
    assert "KeyError" in ready["message"]
    assert place.status["acceptedGeneration"] == 1
    assert place.told[-1].reason == "InternalError"
    assert place.told[-1].told
    await place.reconciler.failed(KEY, KeyError("x"))
    assert place.take() == []


async def test_nothing_is_said_of_a_mistake_about_one_that_is_gone(place: Place) -> None:
    place.deploy(deletionTimestamp="x")
    await place.reconciler.failed(KEY, KeyError("x"))
    place.store.agents.items.clear()
    await place.reconciler.failed(KEY, KeyError("x"))
    assert place.kube.requests == []


class TestPoliciesHear:
    """Which policies bind an agent, and which of them it does not fit."""

    def bind(self, place: Place, **policies: Any) -> None:
        for name, spec in policies.items():
            place.store.context.observe(AGENT_POLICY, "ADDED", {"metadata": {"name": name}, "spec": spec})

    async def test_of_several_the_ones_that_it_does_not_fit(self, place: Place) -> None:
        elsewhere = {"namespaceSelector": {"matchLabels": {"x": "y"}}}
        self.bind(place, wide={}, tight={"images": {"registries": ["other.example"]}}, elsewhere=elsewhere)
        await place.reconcile()
        counts = {name: place.store.agents_of_policy(name) for name in ("wide", "tight", "elsewhere")}
        assert counts == {"wide": (1, 0), "tight": (1, 1), "elsewhere": (0, 0)}

    async def test_an_edit_that_changes_no_answer_writes_nothing(self, place: Place) -> None:
        self.bind(place, wide={})
        await place.reconcile()
        self.bind(place, wide={"egress": {"cidrs": ["203.0.113.0/24"]}, "secrets": {"maxAge": "24h"}})
        place.take()
        await place.reconcile()
        assert place.take() == []
        self.bind(place, wide={"images": {"registries": ["other.example"]}})
        await place.reconcile()
        assert place.take() == CREATION[-1:]

    async def test_an_unreadable_policy_by_its_own_name(self, place: Place) -> None:
        self.bind(place, broken=None)
        await place.reconcile()
        assert place.store.agents_of_policy("broken") == (1, 1)

    async def test_the_built_in_policy_is_nobodys(self, place: Place) -> None:
        """A policy that is called like it, and does not bind the agent, does not count it."""
        self.bind(place, restricted={"namespaceSelector": {"matchLabels": {"x": "y"}}})
        await place.reconcile()
        assert place.store.agents_of_policy("restricted") == (0, 0)

    async def test_an_agent_that_is_gone_counts_nowhere(self, place: Place) -> None:
        self.bind(place, wide={})
        await place.reconcile()
        place.store.agents.items.clear()
        await place.reconcile()
        assert place.store.agents_of_policy("wide") == (0, 0)


async def test_one_that_is_being_deleted_is_not_ready_and_leaves_a_line(place: Place) -> None:
    await place.reconcile()
    place.run()
    await place.reconcile()
    assert place.condition("Ready") == ("True", "Ready")
    place.deploy(generation=2, deletionTimestamp="x", finalizers=["example.com/wait"])
    place.take()
    assert await place.reconcile() == Look()
    assert place.take() == ["merge deployments/ringfence-a", CREATION[-1]]
    assert place.condition("Ready") == ("False", "Deleting")
    assert place.condition("WorkloadAvailable") == ("False", "Deleting")
    assert place.condition("NetworkPolicyApplied") == ("Unknown", "Deleting")
    assert place.condition("Accepted") == ("True", "Accepted")
    await place.reconcile()
    assert place.take() == [], "it is said once"
    assert not [one for one in place.told if isinstance(one, AgentDeleted)]
    place.kube.cluster.remove(agent_path(KEY))
    place.store.agents.remove(KEY, place.kube.cluster.version)
    for _ in range(2):
        await place.reconcile()
    assert len([one for one in place.told if isinstance(one, AgentDeleted)]) == 1
