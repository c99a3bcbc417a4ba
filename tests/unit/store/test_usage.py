"""Who has what of a namespace's limits: by the status, and by what was decided before a status told of it."""

from typing import Any

import pytest

from ringfence.api import AgentPolicySpec
from ringfence.policy.model import NamedPolicy
from ringfence.store.claims import Claims, at_admission
from ringfence.store.context import PolicyContext
from ringfence.store.records import Key
from ringfence.store.sources import AGENT_POLICY, NAMESPACE
from ringfence.store.store import Store
from ringfence.store.urgency import Urgency
from unit.store.make import agent

A, B = Key("ns", "a"), Key("ns", "b")
ROOM_FOR_ONE = {"limits": {"agents": 1}}


@pytest.fixture
def store() -> Store:
    context = PolicyContext()
    context.replace(NAMESPACE, [{"metadata": {"name": "ns", "labels": {}}}])
    context.replace(AGENT_POLICY, [{"metadata": {"name": "p"}, "spec": ROOM_FOR_ONE}])
    return Store(context)


def see(store: Store, name: str, version: int, *, created: int = 0, status: Any = None, **metadata: Any) -> None:
    body = agent(version, uid=f"u-{name}", name=name, status=status or {})
    body["metadata"] |= {"creationTimestamp": f"2026-01-01T00:00:{created:02}Z"} | metadata
    store.agents.observe("MODIFIED", body)


def others(store: Store, key: Key) -> int:
    found = store.facts(key, store.context.policies()).others
    assert found is not None
    return found.agents


def decide(store: Store, key: Key, *, accepted: bool) -> None:
    stored = store.agents.get(key)
    assert stored is not None
    store.note_decision(stored, accepted=accepted, no_room=not accepted)


def test_without_limits_nothing_is_counted(store: Store) -> None:
    see(store, "a", 1)
    store.context.replace(AGENT_POLICY, [])
    assert store.facts(A, store.context.policies()).others is None


def test_of_two_that_are_made_at_once_each_knows_its_place(store: Store) -> None:
    see(store, "b", 1)
    see(store, "a", 2)
    assert (others(store, A), others(store, B)) == (0, 1)


def test_who_was_decided_on_before_the_other_was_seen_keeps_its_place(store: Store) -> None:
    """Its status does not tell yet; the other would be first by its name."""
    see(store, "b", 1)
    assert others(store, B) == 0
    decide(store, B, accepted=True)
    see(store, "a", 2)
    assert (others(store, A), others(store, B)) == (1, 0)
    decide(store, A, accepted=False)
    assert (others(store, A), others(store, B)) == (1, 0)


def test_after_a_restart_the_status_tells(store: Store) -> None:
    see(store, "a", 1)
    see(store, "b", 2, created=5, status={"acceptedGeneration": 1})
    assert (others(store, A), others(store, B)) == (1, 0)


def test_an_edit_is_a_new_wish_and_what_was_had_stays(store: Store) -> None:
    see(store, "a", 1)
    decide(store, A, accepted=True)
    see(store, "a", 2, generation=2)
    facts = store.facts(A, store.context.policies())
    assert facts.held.agents == 1
    decide(store, A, accepted=False)
    see(store, "b", 3)
    assert others(store, B) == 1, "it runs on as it was"


def test_who_found_no_room_is_woken_when_there_may_be_some(store: Store) -> None:
    woken: list[tuple[Key, Urgency]] = []
    see(store, "a", 1)
    see(store, "b", 2, created=5)
    decide(store, A, accepted=True)
    decide(store, B, accepted=False)
    store.wake = lambda key, urgency: woken.append((key, urgency))
    body = agent(9, uid="u-a", name="a")
    store.agents.observe("DELETED", body)
    assert (B, Urgency.LATER) in woken
    assert others(store, B) == 0
    decide(store, B, accepted=True)
    assert store.usage.refused("ns") == []


def test_a_place_is_not_inherited_by_name(store: Store) -> None:
    see(store, "a", 1)
    decide(store, A, accepted=True)
    store.agents.observe("DELETED", agent(2, uid="u-a", name="a"))
    see(store, "a", 3, uid="another", created=9)
    see(store, "b", 4)
    assert (others(store, A), others(store, B)) == (1, 0)


class TestDoor:
    policies = [NamedPolicy("p", AgentPolicySpec.model_validate({"limits": {"agents": 2, "replicas": 3}}))]  # noqa: RUF012

    def body(self, name: str, version: int = 1, **spec: Any) -> dict[str, Any]:
        return agent(version, uid=name, name=name, spec=spec)

    def test_all_who_are_there_go_before_whoever_comes(self) -> None:
        claims = Claims()
        for name in "ab":
            claims.table.observe("ADDED", self.body(name, replicas=1))
        facts = at_admission(PolicyContext().facts("ns"), "c", claims.of("ns"), self.policies)
        assert facts.others is not None
        assert (facts.others.agents, facts.others.replicas, facts.held.agents) == (2, 2, 0)
        claims.table.observe("DELETED", self.body("a", 2))
        claims.table.observe("DELETED", self.body("b", 2))
        assert claims.of("ns") == []

    def test_what_is_had_may_be_kept(self) -> None:
        claims = Claims()
        there = self.body("a", replicas=3) | {"status": {"acceptedGeneration": 1}}
        claims.table.observe("ADDED", there)
        facts = at_admission(PolicyContext().facts("ns"), "a", claims.of("ns"), self.policies)
        assert facts.held.replicas == 3
        assert facts.others is not None
        assert facts.others.replicas == 0

    def test_no_limits_no_count(self) -> None:
        facts = PolicyContext().facts("ns")
        assert at_admission(facts, "a", [], [NamedPolicy("p", AgentPolicySpec())]) is facts
