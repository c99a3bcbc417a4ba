"""Whom the store wakes when others write, and what it says of it."""

from typing import Any

import pytest

from ringfence.policy.widening import Way, Widening
from ringfence.resources import Ref
from ringfence.store.context import PolicyContext
from ringfence.store.records import Key
from ringfence.store.sources import NAMESPACE
from ringfence.store.store import OwnershipRecord, Store
from unit.store.make import Body, agent, child, owned, pod

A, B = Key("ns", "a"), Key("ns", "b")


@pytest.fixture
def woken() -> list[Key]:
    return []


@pytest.fixture
def store(woken: list[Key]) -> Store:
    """Agents a and b."""
    store = Store(PolicyContext())
    for name in "ab":
        store.agents.observe("ADDED", agent(uid=f"u-{name}", name=name))
    store.wake = lambda key, _: woken.append(key)
    return store


def policy(version: int = 1, pods: Any = None, name: str = "wide", **more: Any) -> Body:
    spec: Body = {"podSelector": pods or {}, "policyTypes": ["Egress"], "egress": [{}]}
    return child(version, kind="NetworkPolicy", name=name, spec=spec, **more)


def cluster_wide(store: Store, kind: str, version: int = 1, event: str = "ADDED", **more: Any) -> None:
    metadata = {"name": "x", "resourceVersion": str(version)}
    store.wider.cluster_wide[kind].observe(event, {"kind": kind, "metadata": metadata} | more)


def test_a_policy_wakes_those_that_it_selects_and_only_when_it_changes(store: Store, woken: list[Key]) -> None:
    store.children.observe("ADDED", policy(1, {"matchLabels": {"ringfence.dev/agent": "a"}}))
    assert woken == [A]
    assert store.widenings(A) == (Widening(Way.POLICIES, "NetworkPolicy wide"),)
    assert store.widenings(B) == ()
    woken.clear()
    store.children.observe("MODIFIED", policy(2, {"matchLabels": {"ringfence.dev/agent": "a"}}))
    assert woken == []
    store.children.observe("MODIFIED", policy(3, {"matchLabels": {"ringfence.dev/agent": "b"}}))
    assert sorted(woken) == [A, B]
    store.children.observe("DELETED", policy(4))
    assert store.widenings(B) == ()


def test_a_label_that_a_pod_got_by_hand_counts(store: Store, woken: list[Key]) -> None:
    store.children.observe("ADDED", policy(1, {"matchLabels": {"open": "yes"}}))
    assert store.widenings(A) == ()
    body = pod(2)
    store.pods.observe("ADDED", body)
    woken.clear()
    body["metadata"] |= {"labels": body["metadata"]["labels"] | {"open": "yes"}, "resourceVersion": "3"}
    store.pods.observe("MODIFIED", body)
    assert woken == [A]
    assert len(store.widenings(A)) == 1


def test_what_is_remembered_as_the_agents_own_is_none(store: Store) -> None:
    store.children.observe("ADDED", policy(name="ringfence-a-allow"))
    assert len(store.widenings(A)) == 1
    store.remember(Ref("NetworkPolicy", "ns", "ringfence-a-allow"), OwnershipRecord("u-a", "c", None))
    assert store.widenings(A) == ()
    assert len(store.widenings(B)) == 1


def test_the_namespaces_own_policy_is_none(store: Store) -> None:
    labels = {"app.kubernetes.io/managed-by": "ringfence"}
    store.children.observe("ADDED", policy(name="ringfence-agents", metadata={"labels": labels}))
    assert store.widenings(A) == ()


def test_bindings(store: Store, woken: list[Key]) -> None:
    subjects = [{"kind": "ServiceAccount", "name": "ringfence-a", "namespace": "ns"}]
    body = child(1, kind="RoleBinding", name="wide", subjects=subjects)
    body["metadata"]["namespace"] = "other"
    store.children.observe("ADDED", body)
    cluster_wide(store, "ClusterRoleBinding", subjects=[{"kind": "Group", "name": "system:serviceaccounts:ns"}])
    assert woken[0] == A
    assert sorted(woken[1:]) == [A, B]
    told = [one.told for one in store.widenings(A)]
    assert told == ["ClusterRoleBinding x", "RoleBinding other/wide"]
    assert [one.told for one in store.widenings(B)] == ["ClusterRoleBinding x"]
    cluster_wide(store, "ClusterRoleBinding", 2, "DELETED")
    store.children.remove(Ref("RoleBinding", "other", "wide"), 9)
    assert store.widenings(A) == store.widenings(B) == ()


def test_an_agents_own_binding_is_none(store: Store) -> None:
    own = owned(kind="RoleBinding", subjects=[{"kind": "ServiceAccount", "name": "ringfence-a"}])
    store.children.observe("ADDED", own)
    assert store.widenings(A) == ()


def test_policies_of_the_whole_cluster(store: Store, woken: list[Key]) -> None:
    subject = {"namespaces": {"matchLabels": {"team": "x"}}}
    spec = {"subject": subject, "egress": [{"action": "Allow"}]}
    cluster_wide(store, "AdminNetworkPolicy", spec=spec)
    assert sorted(woken) == [A, B]
    assert store.widenings(A) == ()
    store.context.observe(NAMESPACE, "ADDED", {"metadata": {"name": "ns", "labels": {"team": "x"}}})
    assert [one.told for one in store.widenings(A)] == ["AdminNetworkPolicy x"]


def test_a_pod_that_lost_its_label_and_one_that_got_anothers(store: Store, woken: list[Key]) -> None:
    account = {"spec": {"serviceAccountName": "ringfence-a"}}
    store.pods.observe("ADDED", pod(1) | account)
    assert store.widenings(A) == ()
    store.pods.observe("MODIFIED", pod(2, agent="b") | account)
    assert store.widenings(A) == (Widening(Way.PODS, "Pod ringfence-a-1"),)
    bare = pod(3) | account
    bare["metadata"]["labels"] = {}
    store.wider.unlabelled.observe("ADDED", bare)
    store.pods.observe("DELETED", pod(3, agent="b") | account)
    assert store.widenings(A) == (Widening(Way.PODS, "Pod ringfence-a-1"),)
    assert A in woken
    ended = bare | {"status": {"phase": "Failed"}, "metadata": bare["metadata"] | {"resourceVersion": "4"}}
    store.wider.unlabelled.observe("MODIFIED", ended)
    assert store.widenings(A) == ()


@pytest.mark.parametrize(
    ("before", "event", "looked"),
    [
        ({"spec": {"serviceAccountName": "ringfence-a"}}, "DELETED", True),
        ({"spec": {"serviceAccountName": "ringfence-a"}}, "MODIFIED", False),
        ({"spec": {"serviceAccountName": "ringfence-a"}, "status": {"phase": "Succeeded"}}, "DELETED", False),
        ({"spec": {"serviceAccountName": "default"}}, "DELETED", False),
    ],
    ids=["gone, and did not end", "still there", "ended before", "no agent's account"],
)
def test_where_a_pod_is_gone_that_did_not_end_its_namespace_is_looked_at(
    store: Store, before: dict[str, Any], event: str, looked: bool
) -> None:
    asked: list[str] = []
    store.wider.look = asked.append
    store.pods.observe("ADDED", pod(1) | before)
    store.pods.observe(event, pod(2) | before)
    assert asked == (["ns"] if looked else [])


def test_a_pod_that_is_being_deleted_is_not_looked_for(store: Store) -> None:
    asked: list[str] = []
    store.wider.look = asked.append
    body = pod(1) | {"spec": {"serviceAccountName": "ringfence-a"}}
    body["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    store.pods.observe("ADDED", body)
    store.pods.observe("DELETED", body | {"metadata": body["metadata"] | {"resourceVersion": "2"}})
    assert asked == []


def test_a_pod_that_was_changed_on_its_way_in_wakes_its_agent(store: Store, woken: list[Key]) -> None:
    body = pod(1) | {"spec": {"serviceAccountName": "ringfence-a", "hostPID": True, "hostIPC": True}}
    store.pods.observe("ADDED", body)
    assert woken == [A]
    assert store.widenings(A) == (Widening(Way.SHAPES, "Pod ringfence-a-1 (spec.hostPID, spec.hostIPC)"),)
    assert store.widenings(B) == ()
    store.pods.observe("MODIFIED", body | {"spec": {**body["spec"], "serviceAccountName": "x"}} | version(body, 2))
    assert store.widenings(A) == (), "a pod with the agent's label alone is told of elsewhere"
    store.pods.observe("MODIFIED", body | version(body, 3))
    assert len(store.widenings(A)) == 1
    store.pods.observe("MODIFIED", body | version(body, 4) | {"status": {"phase": "Succeeded"}})
    assert store.widenings(A) == ()


def test_a_pod_without_a_user_id_is_no_pod_of_ours(store: Store) -> None:
    """Its image would choose one: whoever was to assign it has not, or somebody took ours away."""
    context = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    of_pod = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"serviceAccountName": "ringfence-a", "securityContext": of_pod}
    store.pods.observe("ADDED", pod(1) | {"spec": spec | {"containers": [{"securityContext": context}]}})
    assert store.widenings(A) == (Widening(Way.SHAPES, "Pod ringfence-a-1 (spec.securityContext.runAsUser)"),)
    assigned = spec | {"containers": [{"securityContext": context | {"runAsUser": 1000680000}}]}
    store.pods.observe("MODIFIED", pod(2) | {"spec": assigned})
    assert store.widenings(A) == ()


def version(body: Body, number: int) -> Body:
    return {"metadata": body["metadata"] | {"resourceVersion": str(number)}}
