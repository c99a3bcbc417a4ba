"""The store: its indexes, and who is woken by what."""

from typing import Any

import pytest

from ringfence.resources import Ref
from ringfence.resources.stored import stored
from ringfence.store.context import PolicyContext
from ringfence.store.records import Key, PodKey, packed
from ringfence.store.sources import AGENT_POLICY, ENDPOINT_SLICE, NAMESPACE, NODE, SERVICE_CIDR
from ringfence.store.store import OwnershipRecord, Store
from ringfence.store.urgency import Urgency
from unit.controller.make import left_pod
from unit.store.make import agent, owned, pod, policy, service

A, B, C, D = (Key("ns", name) for name in "abcd")
REF = Ref("Role", "ns", "ringfence-a")


class Woken:
    """A store, and whom it woke since the last look."""

    def __init__(self) -> None:
        self.store = Store(PolicyContext())
        self._agents: list[Key] = []
        self._policies: list[str] = []
        self._urgencies: set[Urgency] = set()
        self.store.wake, self.store.wake_policy = self._woken, self._policies.append

    def _woken(self, key: Key, urgency: Urgency) -> None:
        self._agents.append(key)
        self._urgencies.add(urgency)

    def agents(self) -> list[Key]:
        found, self._agents[:] = sorted(set(self._agents)), []
        self._urgencies.clear()
        return found

    def urgency(self) -> Urgency | None:
        """The one with which anybody was woken."""
        assert len(self._urgencies) <= 1
        found = next(iter(self._urgencies), None)
        self.agents()
        return found

    def policies(self) -> list[str]:
        found, self._policies[:] = sorted(self._policies), []
        return found


@pytest.fixture
def woken() -> Woken:
    return Woken()


@pytest.fixture
def store(woken: Woken) -> Store:
    return woken.store


@pytest.fixture
def with_agents(woken: Woken) -> Woken:
    """Agents a, b and c, nothing of which is news any more."""
    for name in "abc":
        woken.store.agents.observe("ADDED", agent(uid={"a": "u"}.get(name, f"u-{name}"), name=name))
    woken.agents()
    return woken


def test_a_store_without_listeners_is_silent() -> None:
    Store(PolicyContext()).agents.observe("ADDED", agent())


class TestUrgency:
    """Repairs before changes, both before what shows in the status alone."""

    def test_of_an_agent(self, woken: Woken) -> None:
        woken.store.agents.observe("ADDED", agent(1))
        assert woken.urgency() is Urgency.CHANGE
        spoiled = agent(2) | {"status": {"observedGeneration": 7}}
        woken.store.agents.observe("MODIFIED", spoiled)
        assert woken.urgency() is Urgency.LATER
        changed = agent(3)
        changed["metadata"]["generation"] = 2
        woken.store.agents.observe("MODIFIED", changed)
        assert woken.urgency() is Urgency.CHANGE
        woken.store.agents.observe("DELETED", agent(4))
        assert woken.urgency() is Urgency.CHANGE

    def test_of_a_child(self, with_agents: Woken) -> None:
        children = with_agents.store.children
        deployment: dict[str, Any] = {"kind": "Deployment", "spec": {"replicas": 1}}
        children.observe("ADDED", owned(1, **deployment))
        assert with_agents.urgency() is Urgency.REPAIR, "somebody made it"
        children.observe("MODIFIED", owned(2, **deployment, status={"readyReplicas": 1}))
        assert with_agents.urgency() is Urgency.LATER
        children.observe("MODIFIED", owned(3, kind="Deployment", spec={"replicas": 5}, status={"readyReplicas": 1}))
        assert with_agents.urgency() is Urgency.REPAIR
        children.observe("DELETED", owned(4, **deployment))
        assert with_agents.urgency() is Urgency.REPAIR

    def test_of_what_a_fence_is_made_from(self, with_agents: Woken) -> None:
        named = [{"service": {"name": "s"}}]
        with_agents.store.agents.observe("MODIFIED", agent(2, spec={"network": {"egress": named}}))
        with_agents.agents()
        with_agents.store.services.observe("ADDED", service(1))
        assert with_agents.urgency() is Urgency.CHANGE
        with_agents.store.context_changed(NAMESPACE, "ns")
        assert with_agents.urgency() is Urgency.CHANGE
        with_agents.store.context_changed(AGENT_POLICY)
        assert with_agents.urgency() is Urgency.CHANGE

    def test_of_a_pod(self, with_agents: Woken) -> None:
        with_agents.store.pods.observe("ADDED", pod(1))
        assert with_agents.urgency() is Urgency.LATER


class TestAgents:
    def change(self, woken: Woken, version: int, **more: Any) -> list[Key]:
        body = agent(version)
        body["metadata"] |= more.pop("metadata", {})
        woken.store.agents.observe("MODIFIED", body | more)
        return woken.agents()

    def test_its_coming_its_changes_and_its_end_matter(self, woken: Woken) -> None:
        woken.store.agents.observe(None, agent(1))
        assert woken.agents() == [A]
        assert self.change(woken, 2) == []
        assert self.change(woken, 3, metadata={"labels": {"x": "y"}}) == []
        assert self.change(woken, 4, metadata={"generation": 2}) == [A]
        assert self.change(woken, 5, metadata={"generation": 2, "deletionTimestamp": "x"}) == [A]
        woken.store.agents.observe("DELETED", agent(6))
        assert woken.agents() == [A]
        assert woken.store.agents_in("ns") == frozenset()

    def test_a_later_one_of_that_name_matters(self, with_agents: Woken) -> None:
        assert self.change(with_agents, 2, metadata={"uid": "other"}) == [A]

    def test_the_echo_of_our_own_status_does_not_matter(self, with_agents: Woken) -> None:
        with_agents.store.expected_status[A] = packed({"replicas": 1})
        assert self.change(with_agents, 2, status={"replicas": 1}) == []
        with_agents.store.expected_status.pop(A)
        assert self.change(with_agents, 3, status={"replicas": 1}) == []
        assert self.change(with_agents, 4, status={"replicas": 2}) == [A], "somebody else's write"

    def test_another_status_than_the_expected_one_matters(self, with_agents: Woken) -> None:
        with_agents.store.expected_status[A] = packed({"replicas": 1})
        assert self.change(with_agents, 2, status={"replicas": 7}) == [A]

    def test_by_namespace(self, with_agents: Woken) -> None:
        elsewhere = agent(1, "e")
        elsewhere["metadata"]["namespace"] = "other"
        with_agents.store.agents.observe("ADDED", elsewhere)
        with_agents.agents()
        assert with_agents.store.agents_in("ns") == {A, B, C}
        with_agents.store.wake_agents_in("other")
        assert with_agents.agents() == [Key("other", "a")]


class TestChildren:
    def see(self, woken: Woken, body: Any, event: str = "MODIFIED") -> list[Key]:
        woken.store.children.observe(event, body)
        return woken.agents()

    def test_its_owner_is_woken_by_all_that_a_pass_looks_at(self, with_agents: Woken) -> None:
        rules = [{"verbs": ["get"]}]
        assert self.see(with_agents, owned(1), "ADDED") == [A]
        assert self.see(with_agents, owned(2)) == []
        assert self.see(with_agents, owned(3, rules=rules)) == [A]
        assert self.see(with_agents, owned(4, rules=rules, metadata={"annotations": {"x": "y"}})) == []
        marked = {"annotations": {"ringfence.dev/desired": "y"}}
        assert self.see(with_agents, owned(5, rules=rules, metadata=marked)) == [A]
        going = {"deletionTimestamp": "x"}
        assert self.see(with_agents, owned(6, rules=rules, metadata=going)) == [A]
        assert self.see(with_agents, owned(7, rules=rules, metadata=going | {"finalizers": ["x/y"]})) == [A]
        assert self.see(with_agents, owned(8), "DELETED") == [A]

    def test_by_its_owner_whatever_its_label_says(self, with_agents: Woken) -> None:
        assert A in self.see(with_agents, owned(1, "u", label="nobody"), "ADDED")

    def test_both_owners_are_woken_where_it_changes_hands(self, with_agents: Woken) -> None:
        self.see(with_agents, owned(1, "u"), "ADDED")
        assert self.see(with_agents, owned(2, "u-b", label="")) == [A, B]

    def test_where_the_owner_was_stripped_by_memory(self, with_agents: Woken) -> None:
        store = with_agents.store
        self.see(with_agents, owned(1, "u", label=""), "ADDED")
        store.remember(REF, OwnershipRecord("u", "c", None))
        assert self.see(with_agents, owned(2, "", label="")) == [A]
        assert self.see(with_agents, owned(3, "", label="", rules=[{"verbs": ["get"]}])) == [A]
        assert [one.ref for one in store.children_of("u")] == [REF]
        store.forget_child(REF)
        assert store.children_of("u") == []
        assert self.see(with_agents, owned(4, "", label="")) == []

    def test_without_memory_by_its_label(self, with_agents: Woken) -> None:
        assert self.see(with_agents, owned(1, "", label="b"), "ADDED") == [B]
        assert self.see(with_agents, owned(2, "", label="nobody", rules=[{}])) == []

    def test_the_echo_of_our_own_write_does_not_matter(self, with_agents: Woken) -> None:
        mine = owned(2, rules=[{"verbs": ["get"]}])
        with_agents.store.expected[REF] = stored(mine).digest
        assert self.see(with_agents, mine, "ADDED") == []
        assert self.see(with_agents, owned(3, rules=[{"verbs": ["list"]}])) == [A], "another one's"
        assert self.see(with_agents, owned(4, rules=[{"verbs": ["get"]}])) == [], "put right by us"
        assert self.see(with_agents, owned(5, rules=[{"verbs": ["get"]}], metadata={"deletionTimestamp": "x"})) == [A]
        assert self.see(with_agents, owned(6), "DELETED") == [A]

    def test_what_a_workload_says_matters_even_while_it_is_written(self, with_agents: Woken) -> None:
        before = owned(1, kind="Deployment", spec={"replicas": 1}, status={"replicas": 0})
        self.see(with_agents, before, "ADDED")
        after = owned(2, kind="Deployment", spec={"replicas": 1}, status={"replicas": 1, "availableReplicas": 1})
        with_agents.store.expected[Ref("Deployment", "ns", "ringfence-a")] = stored(after).digest
        assert self.see(with_agents, after) == [A]

    def test_they_are_found_by_owner_in_order(self, store: Store) -> None:
        for kind in ("ServiceAccount", "Role"):
            store.children.observe("ADDED", owned(kind=kind))
        store.children.observe("ADDED", owned(kind="Role", name="ringfence-b", owner="u-b"))
        assert [one.ref.kind for one in store.children_of("u")] == ["Role", "ServiceAccount"]
        store.children.observe("DELETED", owned(2, kind="Role"))
        assert [one.ref.kind for one in store.children_of("u")] == ["ServiceAccount"]
        assert store.children_of("nobody") == []

    def test_what_is_remembered_goes_with_the_agent(self, with_agents: Woken) -> None:
        store = with_agents.store
        store.remember(REF, OwnershipRecord("u", "c", "m"))
        store.remember(REF._replace(name="ringfence-b"), OwnershipRecord("u-b", "d", "m"))
        store.agents.observe("DELETED", agent(2))
        assert [ref.name for ref in store.ownership] == ["ringfence-b"]

    def test_a_later_agent_of_that_name_inherits_nothing(self, with_agents: Woken) -> None:
        store = with_agents.store
        store.remember(REF, OwnershipRecord("u", "c", "m"))
        store.agents.observe("MODIFIED", agent(2, "later"))
        assert store.ownership == {}


class TestServices:
    def see(self, woken: Woken, body: Any, event: str = "MODIFIED") -> list[Key]:
        woken.store.services.observe(event, body)
        return woken.agents()

    def test_a_service_wakes_the_agents_that_name_it(self, with_agents: Woken) -> None:
        named = [{"service": {"name": "s"}}, {"service": {"name": "other", "namespace": "x"}}]
        with_agents.store.agents.observe("MODIFIED", agent(2, spec={"network": {"egress": named}}))
        with_agents.agents()
        assert self.see(with_agents, service(1), "ADDED") == [A]
        assert self.see(with_agents, service(2, clusterIP="192.0.2.1")) == [], "nothing changed that matters"
        assert self.see(with_agents, service(3, selector={"app": "y"})) == [A]
        assert self.see(with_agents, service(4, name="other"), "ADDED") == [], "that is in another namespace"
        assert self.see(with_agents, service(5, selector={"app": "y"}), "DELETED") == [A]
        with_agents.store.agents.observe("MODIFIED", agent(6))
        with_agents.agents()
        assert self.see(with_agents, service(7), "ADDED") == [], "it is not named any more"


class TestPods:
    def see(self, woken: Woken, body: Any, event: str = "MODIFIED") -> list[Key]:
        woken.store.pods.observe(event, body)
        return woken.agents()

    def test_a_pod_wakes_its_agent_with_its_troubles(self, with_agents: Woken) -> None:
        assert self.see(with_agents, pod(1, phase="Pending"), "ADDED") == [A]
        assert self.see(with_agents, pod(2, phase="Pending", podIP="192.0.2.1")) == []
        assert self.see(with_agents, pod(3, phase="Running")) == [A]
        assert [one.version for one in with_agents.store.pods_of(A)] == [3]
        assert self.see(with_agents, pod(4, agent="b", phase="Failed")) == [A, B]
        assert with_agents.store.pods_of(A) == []
        assert self.see(with_agents, pod(5, agent="b"), "DELETED") == [B]
        assert with_agents.store.pods_of(B) == []

    def test_a_pod_of_nobody_wakes_nobody(self, with_agents: Woken) -> None:
        assert self.see(with_agents, pod(1, agent="nobody"), "ADDED") == []

    def test_one_that_seems_to_be_left_behind_is_looked_at_by_itself(self, with_agents: Woken) -> None:
        woken: list[PodKey] = []
        with_agents.store.wake_pod = woken.append
        for body in (left_pod(version=1), left_pod(version=2, ends=3600), left_pod(version=3, ends=1)):
            with_agents.store.pods.observe("MODIFIED", body | {"metadata": body["metadata"] | {"namespace": "ns"}})
        assert woken == [("ns", "left"), ("ns", "left")], "not once it ends"

    def test_they_come_by_name(self, store: Store) -> None:
        for name in ("y", "x"):
            store.pods.observe("ADDED", pod(name=name))
        assert [one.key[1] for one in store.pods_of(A)] == ["x", "y"]


class TestContext:
    @pytest.fixture
    def mixed(self, woken: Woken) -> Woken:
        """a names a network, b calls the API server, c does neither, d names a host; policies p and q."""
        to = {"a": {"cidr": "192.0.2.0/24"}, "d": {"host": "a.example.com"}}
        specs = {name: {"network": {"egress": [rule]}} for name, rule in to.items()}
        for name, spec in (specs | {"b": {"secrets": [{"name": "x"}]}, "c": {}}).items():
            woken.store.agents.observe("ADDED", agent(name=name, uid=f"u-{name}", spec=spec))
        for name in "pq":
            woken.store.policies.observe("ADDED", policy(name=name))
        woken.agents(), woken.policies()
        return woken

    @pytest.mark.parametrize(
        ("kind", "name", "agents", "policies"),
        [
            (NAMESPACE, "ns", [A, B, C, D], ["p", "q"]),
            (NAMESPACE, "other", [], ["p", "q"]),
            (NAMESPACE, None, [A, B, C, D], ["p", "q"]),
            (AGENT_POLICY, None, [A, B, C, D], []),
            (ENDPOINT_SLICE, "kubernetes", [A, B, D], []),
            (NODE, "n", [A, D], []),
            (SERVICE_CIDR, "x", [A, D], []),
        ],
    )
    def test_whom_it_concerns(
        self, mixed: Woken, kind: str, name: str | None, agents: list[Key], policies: list[str]
    ) -> None:
        mixed.store.context_changed(kind, name)
        assert (mixed.agents(), mixed.policies()) == (agents, policies)

    def test_moved_dns_concerns_who_asks_it(self, mixed: Woken) -> None:
        """An agent with a host: its gateway does."""
        spec = {"selector": {"app": "dns"}, "ports": [{"port": 53, "protocol": "UDP"}]}
        metadata = {"namespace": "kube-system", "name": "kube-dns", "resourceVersion": "1"}
        mixed.store.services.observe("ADDED", {"metadata": metadata, "spec": spec})
        assert mixed.agents() == [D]

    def test_a_policy_concerns_those_that_it_selects_or_did(self, woken: Woken) -> None:
        store = woken.store
        for team in ("red", "blue", "grey"):
            store.context.observe(NAMESPACE, "ADDED", {"metadata": {"name": team, "labels": {"team": team}}})
            body = agent(uid=f"u-{team}")
            body["metadata"]["namespace"] = team
            store.agents.observe("ADDED", body)
        woken.agents()
        for event, team, woke in (
            ("ADDED", "red", ["red"]),
            ("MODIFIED", "blue", ["blue", "red"]),
            ("MODIFIED", "blue", ["blue", "red"]),  # told of twice: nothing changed in between
            ("DELETED", "blue", ["blue"]),
        ):
            selector = {"namespaceSelector": {"matchLabels": {"team": team}}}
            store.context.observe(AGENT_POLICY, event, {"metadata": {"name": "p"}, "spec": selector})
            store.context_changed(AGENT_POLICY, "p")
            assert [key.namespace for key in woken.agents()] == woke, (event, team)


class TestPolicies:
    def test_its_coming_its_changes_and_its_end_wake_it(self, woken: Woken) -> None:
        policies = woken.store.policies
        policies.observe("ADDED", policy(1))
        assert woken.policies() == ["p"]
        policies.observe("MODIFIED", policy(2, status={"boundAgents": 1}))
        assert woken.policies() == [], "its status is ours"
        policies.observe("MODIFIED", policy(3, generation=2))
        policies.observe("DELETED", policy(4, generation=2))
        assert woken.policies() == ["p", "p"]

    def test_whom_they_bind_and_who_does_not_fit(self, woken: Woken) -> None:
        store = woken.store
        store.note_fit(B, frozenset({"built-in"}), frozenset())
        assert woken.policies() == [], "that one has no object"
        store.note_fit(B, frozenset(), frozenset())
        for number, name in enumerate("pq"):
            store.policies.observe("ADDED", policy(number, name=name))
        assert woken.policies() == ["p", "q"]
        store.note_fit(A, frozenset({"p", "q"}), frozenset({"q"}))
        assert woken.policies() == ["p", "q"]
        assert (store.agents_of_policy("p"), store.agents_of_policy("q")) == ((1, 0), (1, 1))
        store.note_fit(A, frozenset({"p", "q"}), frozenset({"q"}))
        assert woken.policies() == [], "nothing new"
        store.note_fit(B, frozenset({"p"}), frozenset())
        assert (woken.policies(), store.agents_of_policy("p")) == (["p"], (2, 0))
        store.note_fit(A, frozenset({"p", "q"}), frozenset())
        assert (woken.policies(), store.agents_of_policy("q")) == (["q"], (1, 0))
        store.note_fit(A, frozenset(), frozenset())
        assert (woken.policies(), store.agents_of_policy("p")) == (["p", "q"], (1, 0))
        assert store.agents_of_policy("unknown") == (0, 0)
        store.note_fit(B, frozenset(), frozenset())
        assert (store._fits, store._agents_of_policy, store._misfits_of_policy) == ({}, {}, {})
