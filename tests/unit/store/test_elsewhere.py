"""Children in other namespaces, and who is woken by what other namespaces say."""

from typing import Any

import pytest

from ringfence.resources import Ref
from ringfence.resources.reads import BINDINGS, PREFIX, readers, subjects
from ringfence.resources.stored import stored
from ringfence.store.context import PolicyContext
from ringfence.store.records import Key
from ringfence.store.sources import NAMESPACE
from ringfence.store.store import Store, is_ours
from ringfence.store.urgency import Urgency
from unit.store.make import agent

A = Key("ns", "a")
ROLE = Ref("Role", "shop", "ringfence-a.of.ns")
RULE = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"], "namespaces": ["shop"]}
MARKS = {"app.kubernetes.io/managed-by": "ringfence", "ringfence.dev/agent": "a"}
MARKS |= {"ringfence.dev/agent-namespace": "ns", "ringfence.dev/agent-uid": "u", "ringfence.dev/level": "ReadOnly"}


def elsewhere(version: int = 5, kind: str = "Role", labels: Any = None, **more: Any) -> dict[str, Any]:
    metadata = {"namespace": "shop", "name": ROLE.name, "uid": "c", "resourceVersion": str(version)}
    return {"kind": kind, "metadata": metadata | {"labels": MARKS if labels is None else labels}} | more


def asking(version: int = 1, uid: str = "u") -> dict[str, Any]:
    return agent(version, uid) | {"spec": {"permissions": {"rules": [RULE]}}}


@pytest.fixture
def woken() -> list[tuple[Key, Urgency]]:
    return []


@pytest.fixture
def store(woken: list[tuple[Key, Urgency]]) -> Store:
    found = Store(PolicyContext())
    found.agents.observe("ADDED", asking())
    found.wake = lambda key, urgency: woken.append((key, urgency))
    return found


def namespace(consent: str | None, version: str = "1", **metadata: Any) -> dict[str, Any]:
    notes = {} if consent is None else {"ringfence.dev/consent": consent}
    return {"metadata": {"name": "shop", "annotations": notes, "resourceVersion": version} | metadata}


def test_a_child_elsewhere_is_its_agents_by_its_labels(store: Store, woken: list[Any]) -> None:
    store.children.observe("ADDED", elsewhere())
    assert woken == [(A, Urgency.REPAIR)]
    (child,) = store.children_of("u")
    assert child.ref == ROLE
    assert is_ours(child, "u", None)
    assert not is_ours(child, "v", None)
    assert store.elsewhere_of(A) == [child]
    assert store.orphans.children("shop") == [], "its agent's passes look after it"


def test_its_agent_is_woken_for_it_also_when_that_one_is_gone(store: Store, woken: list[Any]) -> None:
    store.agents.observe("DELETED", asking(2))
    woken.clear()
    store.children.observe("ADDED", elsewhere())
    assert woken == [(A, Urgency.REPAIR)]
    store.children.observe("DELETED", elsewhere(6))
    assert store.elsewhere_of(A) == []


def test_an_agent_that_goes_is_woken_for_what_it_left(store: Store, woken: list[Any]) -> None:
    store.children.observe("ADDED", elsewhere())
    woken.clear()
    store.agents.observe("DELETED", asking(2))
    assert (A, Urgency.CHANGE) in woken
    assert [child.ref for child in store.elsewhere_of(A)] == [ROLE]


@pytest.mark.parametrize(
    "body",
    [
        elsewhere(labels=MARKS | {"app.kubernetes.io/managed-by": "helm"}),
        elsewhere(labels=MARKS | {"ringfence.dev/agent-namespace": "shop"}),
        elsewhere(kind="ServiceAccount"),
        elsewhere(kind="NetworkPolicy"),
    ],
)
def test_what_only_looks_like_it_is_none(body: dict[str, Any]) -> None:
    assert stored(body).elsewhere is False
    assert stored(body).agent_uid is None


def test_a_consent_wakes_those_that_ask_for_something_there(store: Store, woken: list[Any]) -> None:
    context = store.context
    for version, consent in enumerate(("ns=ReadOnly", "ns=Admin", None)):
        context.observe(NAMESPACE, "MODIFIED", namespace(consent, str(version)))
        store.context_changed(NAMESPACE, "shop")
        assert (A, Urgency.REPAIR) in woken, consent
        woken.clear()
    store.context_changed(NAMESPACE, "another")
    assert woken == []


def test_consents_as_facts() -> None:
    context = PolicyContext()
    before = context.consents
    context.observe(NAMESPACE, "ADDED", namespace("ns=ReadOnly"))
    assert context.facts("ns").consents == {"shop": context.consents["shop"]}
    assert before == {}, "who holds on to it sees no change"
    version = context.version
    context.observe(NAMESPACE, "MODIFIED", namespace("ns=ReadOnly", "2"))
    assert context.version == version
    context.observe(NAMESPACE, "MODIFIED", namespace("ns=ReadOnly", "3", deletionTimestamp="x"))
    assert context.consents == {}, "it is about to go"
    context.observe(NAMESPACE, "ADDED", namespace("ns=ReadOnly"))
    context.replace(NAMESPACE, [])
    assert context.consents == {}


def test_a_fresh_read_goes_before_what_is_known() -> None:
    context = PolicyContext()
    context.observe(NAMESPACE, "ADDED", namespace("ns=ReadOnly"))
    own = {"metadata": {"name": "ns"}}
    assert context.with_fresh(own, []).facts("ns").consents == context.consents
    assert context.with_fresh(own, [], None, [namespace(None)]).facts("ns").consents == {}
    fresh = context.with_fresh(own, [], None, [namespace("ns=Admin")]).facts("ns").consents
    assert fresh is not None
    assert fresh["shop"].level("ns", "a") == "Admin"


def binding(version: int, *agents: str, name: str = f"{PREFIX}nodes") -> dict[str, Any]:
    return {
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name, "uid": "b", "resourceVersion": str(version)},
        "subjects": subjects(("ns", one) for one in agents),
    }


def test_who_is_listed_for_cluster_reads(store: Store, woken: list[Any]) -> None:
    table = store.wider.cluster_wide["ClusterRoleBinding"]
    table.observe("ADDED", binding(1, "a", "b"))
    assert {key.name for key, _ in woken} == {"a", "b"}
    assert store.readers.of(A) == {"nodes"}
    assert store.widenings(A) == ()
    woken.clear()
    table.observe("MODIFIED", binding(2, "b"))
    assert (woken, store.readers.of(A)) == ([(A, Urgency.REPAIR)], frozenset())
    woken.clear()
    table.observe("DELETED", binding(3, "b"))
    assert woken == [(Key("ns", "b"), Urgency.REPAIR)]
    table.observe("ADDED", binding(4, "a", name="somebodys"))
    assert store.readers.of(A) == frozenset()
    assert [one.told for one in store.widenings(A)] == ["ClusterRoleBinding somebodys"]


def test_readers_and_subjects() -> None:
    assert set(BINDINGS.values()) == {"namespaces", "nodes", "persistentvolumes", "storageclasses"}
    agents = [("ns", "a"), ("ns", "b"), ("other", "a")]
    assert readers(subjects(reversed(agents))) == agents
    strange: list[Any] = [
        {"kind": "User", "name": "ringfence-a", "namespace": "ns"},
        {"kind": "ServiceAccount", "name": "default", "namespace": "ns"},
        {"kind": "ServiceAccount", "name": "ringfence-a"},
    ]
    assert readers(strange) == readers(None) == []
