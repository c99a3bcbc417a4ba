"""Pods that an edit left behind, against the fake API server: which are ended, how, and whose."""

from typing import Any

import pytest

from ringfence.controller.agent.errors import NotLeading
from ringfence.controller.agent.pods import Pods
from ringfence.controller.agent.writer import Writer
from ringfence.kube import ApiError, Object
from ringfence.resources.stop import DEFAULT
from ringfence.store.context import PolicyContext
from ringfence.store.left_behind import END_WITHIN
from ringfence.store.records import PodKey, StoredPod, pod_path, read_pod
from ringfence.store.store import Store
from ringfence.telemetry.events import PodEnded
from unit.controller.make import DEPLOYMENT, KEY, agent, as_stored, body, built, left_pod
from unit.fakes.kube import FakeKube

SET_PATH = f"/apis/apps/v1/namespaces/{KEY.namespace}/replicasets/ringfence-a-5d"
WORKLOAD = as_stored(built(DEPLOYMENT).manifest)


def replica_set(*, grace: int = 3600, owner: str = WORKLOAD.uid, uid: str = "set-uid") -> Object:
    owners = [{"kind": "Deployment", "name": DEPLOYMENT.name, "uid": owner, "controller": True}]
    metadata = {"namespace": KEY.namespace, "name": "ringfence-a-5d", "uid": uid, "ownerReferences": owners}
    template = {"spec": {"terminationGracePeriodSeconds": grace}}
    return {"kind": "ReplicaSet", "metadata": metadata, "spec": {"replicas": 1, "template": template}}


class Place:
    """An agent with its Deployment, a ReplicaSet of an edit, and pods of that."""

    def __init__(self) -> None:
        self.kube, self.store, self.told, self.leads = FakeKube(), Store(PolicyContext()), list[PodEnded](), True
        self.kube.cluster.version = 1000  # what is put there has older ones
        self.store.agents.observe("ADDED", body())
        self.store.children.take(WORKLOAD)
        self.kube.cluster.put(SET_PATH, replica_set())
        self.pods = Pods(Writer(self.kube, self.store, lambda: self.leads, self.told.append))

    def pod(self, name: str = "left", **more: Any) -> StoredPod:
        """One that is there, and seen."""
        found = read_pod(left_pod(name=name, **more))
        self.kube.cluster.put(pod_path(found), left_pod(name=name, **more))
        self.store.pods.take(found)
        return found

    def ends_within(self, pod: StoredPod) -> int | None:
        grace: int | None = self.kube.objects[pod_path(pod)]["metadata"].get("deletionGracePeriodSeconds")
        return grace

    def take(self) -> list[str]:
        """Requests since the last look."""
        found, self.kube.requests[:] = [str(one) for one in self.kube.requests], []
        return found


@pytest.fixture
def place() -> Place:
    return Place()


GET, EMPTY = "get replicasets/ringfence-a-5d", "merge replicasets/ringfence-a-5d/scale"


async def test_a_pod_gets_a_second_to_end_and_its_replica_set_makes_no_more(place: Place) -> None:
    pod = place.pod()
    await place.pods.reconcile(pod.key)
    assert [str(one) for one in place.kube.requests] == [GET, "delete pods/left", EMPTY]
    assert place.kube.requests[1].options == {"uid": "left-uid", "grace": END_WITHIN}
    assert place.kube.requests[2].body == {"metadata": {"uid": "set-uid"}, "spec": {"replicas": 0}}
    assert [(one.name, one.count, one.rule) for one in place.told] == [("left", 1, "PodLeftBehind")]
    place.take()
    await place.pods.reconcile(pod.key)
    assert place.take() == [], "once"


async def test_the_next_pod_waits_for_no_question(place: Place) -> None:
    await place.pods.reconcile(place.pod().key)
    place.take()
    await place.pods.reconcile(place.pod("next").key)
    assert place.take() == ["delete pods/next", EMPTY]
    assert [one.count for one in place.told] == [1, 2]


async def test_one_that_was_deleted_with_its_own_time_is_deleted_again(place: Place) -> None:
    pod = place.pod(ends=3600)
    await place.pods.reconcile(pod.key)
    assert place.ends_within(pod) == END_WITHIN


async def test_a_replica_set_is_emptied_when_all_of_its_pods_are_deleted(place: Place) -> None:
    """It deletes those that it has with all the time that its template gives."""
    pods = [place.pod(f"p{number}") for number in range(3)]
    await place.pods.end(pods, agent())
    requests = place.take()
    assert requests.count(EMPTY) == 1
    assert requests[-1] == EMPTY
    assert {place.ends_within(pod) for pod in pods} == {END_WITHIN}


async def test_a_failure_of_one_pod_does_not_keep_the_others(place: Place) -> None:
    pods = [place.pod(f"p{number}") for number in range(3)]
    place.kube.refuse(ApiError(403, "Forbidden", "no"), verb="delete", path=pod_path(pods[0]))
    with pytest.raises(ApiError, match="no"):
        await place.pods.end(pods, agent())
    assert [place.ends_within(pod) for pod in pods] == [None, END_WITHIN, END_WITHIN]
    assert EMPTY not in place.take(), "it would delete the first with an hour"


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(replica_set(owner="a-strangers"), id="of another Deployment"),
        pytest.param(replica_set(grace=DEFAULT), id="of a template of ours"),
        pytest.param(replica_set(uid="another"), id="another one of that name"),
        pytest.param(None, id="gone"),
    ],
)
async def test_whose_replica_set_is_not_of_an_edit_is_left_alone(place: Place, found: Object | None) -> None:
    pod = place.pod()
    place.kube.cluster.remove(SET_PATH)
    if found:
        place.kube.cluster.put(SET_PATH, found)
    await place.pods.reconcile(pod.key)
    assert (place.take(), place.told, place.ends_within(pod)) == ([GET], [], None)


async def test_without_a_deployment_or_an_agent_of_ours_nothing_is_asked(place: Place) -> None:
    pod = place.pod()
    place.store.children.remove(DEPLOYMENT, 10**9)
    await place.pods.reconcile(pod.key)
    place.store.agents.remove(KEY, 10**9)
    await place.pods.reconcile(pod.key)
    await place.pods.reconcile(PodKey("team", "nobody"))
    assert place.take() == []


async def test_pods_of_our_own_templates_are_not_even_looked_at(place: Place) -> None:
    await place.pods.reconcile(place.pod(grace=DEFAULT).key)
    assert place.take() == []


async def test_another_pod_of_that_name_is_left_alone(place: Place) -> None:
    pod, other = place.pod(), left_pod()
    other["metadata"]["uid"] = "another"
    place.kube.cluster.put(pod_path(pod), other)
    await place.pods.reconcile(pod.key)
    assert (place.ends_within(pod), place.told) == (None, [])


async def test_one_that_is_gone_is_no_news(place: Place) -> None:
    pod = place.pod()
    place.kube.cluster.remove(pod_path(pod))
    await place.pods.reconcile(pod.key)
    assert (place.take(), place.told) == ([GET, "delete pods/left", EMPTY], [])


async def test_without_the_lease_no_pod_is_ended(place: Place) -> None:
    place.leads = False
    with pytest.raises(NotLeading):
        await place.pods.reconcile(place.pod().key)
    assert place.take() == [GET]
