"""What a namespace may ask for in sum: counted exactly, decided in one order, whoever asks and whenever."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.policy.limits import Claim, asks_of, before, described, limited
from ringfence.policy.model import NOTHING, Asks
from ringfence.policy.quantities import FINEST
from unit.policy.make import facts, judge, names, places, policy

GI = 2**30 * FINEST
CPU = FINEST
ONE = asks_of({})
"""One agent that names nothing."""


def limits(**values: Any) -> dict[str, Any]:
    return {"limits": values}


@pytest.mark.parametrize(
    ("spec", "asked"),
    [
        ({}, Asks(1, 1, CPU, GI // 2, 0)),
        ({"replicas": 3}, Asks(1, 3, 3 * CPU, 3 * GI // 2, 0)),
        ({"replicas": 0}, Asks(1, 0, 0, 0, 0)),
        ({"suspended": True, "replicas": 3, "storage": {"size": "2Gi"}}, Asks(1, 0, 0, 0, 2 * GI)),
        ({"resources": {"limits": {"cpu": "250m", "memory": "1Gi"}}}, Asks(1, 1, CPU // 4, GI, 0)),
        ({"resources": {"requests": {"cpu": 2, "memory": "2Gi"}}}, Asks(1, 1, 2 * CPU, 2 * GI, 0)),
        ({"resources": {"requests": {"cpu": "1m"}, "limits": {"cpu": "0.5"}}}, Asks(1, 1, CPU // 2, GI // 2, 0)),
        ({"storage": {"size": 1024}}, Asks(1, 1, CPU, GI // 2, 1024 * FINEST)),
        ({"replicas": "many", "storage": {"size": "big"}, "resources": 7}, Asks(1, 0, 0, 0, 0)),
        (None, ONE),
    ],
)
def test_what_an_agent_asks_for(spec: Any, asked: Asks) -> None:
    assert asks_of(spec) == asked


EACH: list[tuple[str, dict[str, Any], tuple[Any, Any], tuple[str, str]]] = [
    # limit, spec, exactly enough beside OTHERS and a little less, rule and path
    ("agents", {}, (6, 5), ("AgentsAbovePolicy", "spec")),
    ("replicas", {"replicas": 2}, (9, 8), ("ReplicasAbovePolicy", "spec.replicas")),
    ("cpu", {"replicas": 2}, ("4500m", "4499m"), ("CpuAbovePolicy", "spec.resources.limits.cpu")),
    ("memory", {"replicas": 2}, ("4Gi", "4095Mi"), ("MemoryAbovePolicy", "spec.resources.limits.memory")),
    (
        "storage",
        {"storage": {"mountPath": "/data", "size": "1Gi"}},
        ("11Gi", "11263Mi"),
        ("StorageAbovePolicy", "spec.storage.size"),
    ),
]
OTHERS = Asks(5, 7, 5 * CPU // 2, 3 * GI, 10 * GI)


@pytest.mark.parametrize(("limit", "spec", "bounds", "told"), EACH, ids=[one[0] for one in EACH])
def test_each_limit_alone(limit: str, spec: dict[str, Any], bounds: tuple[Any, Any], told: tuple[str, str]) -> None:
    enough, less = bounds
    known = replace(facts(), others=OTHERS)
    assert judge(spec, limits(**{limit: enough}), known=known) == []
    assert places(judge(spec, limits(**{limit: less}), known=known)) == {told}
    assert judge(spec, limits(**{limit: less}), known=replace(known, others=NOTHING)) == []
    assert judge(spec, limits(**{limit: less}), known=replace(known, held=asks_of(spec))) == [], "it has it already"


OWN = {"replicas": (2, 1), "cpu": ("2", "1999m"), "memory": ("1Gi", "1023Mi"), "storage": ("1Gi", "1023Mi")}
"""Exactly what one agent of EACH asks for by itself, and a little less."""


@pytest.mark.parametrize(("limit", "spec", "told"), [(one[0], one[1], one[3]) for one in EACH if one[0] in OWN])
def test_each_limit_of_one_agent(limit: str, spec: dict[str, Any], told: tuple[str, str]) -> None:
    """It does not count what others have."""
    enough, less = ({"limits": {"perAgent": {limit: bound}}} for bound in OWN[limit])
    known = replace(facts(), others=OTHERS)
    assert judge(spec, enough, known=known) == []
    assert judge(spec, enough, enough) == []
    assert places(judge(spec, less, known=known)) == {told}
    assert places(judge(spec, enough, less)) == {told}, "every policy must allow it"
    assert judge(spec, less, known=replace(known, held=asks_of(spec))) == [], "it has it already"
    assert judge(spec | {"suspended": True}, less) == [] or limit == "storage"


def test_a_bound_on_one_agent_needs_no_sum_and_is_described() -> None:
    one = policy({"limits": {"perAgent": {"cpu": 2, "storage": "1Gi"}, "replicas": 9}})
    assert described(one.spec) == [
        "at most 9 pods in sum",
        "at most 2 CPUs of each agent",
        "at most 1Gi storage of each agent",
    ]
    assert not limited([policy({"limits": {"perAgent": {"cpu": 2}}})])
    (violation,) = judge({"replicas": 3}, {"limits": {"perAgent": {"cpu": 2}}})
    assert violation.message == (
        'asks for CPUs: 3; policy "p0" allows one agent 2 (limits.perAgent.cpu): lower it, or replicas, or have the '
        "limit raised"
    )


def test_none_and_no_limits_bound_nothing() -> None:
    known = replace(facts(), others=Asks(*[10**30] * 5))
    assert judge({"replicas": 100}, {}, known=known) == []
    assert judge({"replicas": 100}, limits(), known=known) == []


def test_zero_is_a_limit() -> None:
    assert names(judge({}, limits(agents=0))) == {"AgentsAbovePolicy"}
    assert judge({"suspended": True}, limits(replicas=0, cpu=0, memory=0, storage=0)) == []


def test_who_asks_for_nothing_of_it_is_not_in_its_way() -> None:
    assert judge({}, limits(storage="1Gi"), known=replace(facts(), others=Asks(storage=50 * GI))) == []


def test_all_policies_must_allow() -> None:
    found = judge({"replicas": 5}, limits(replicas=10), limits(replicas=4), limits(replicas=3))
    assert [violation.rule for violation in found] == ["ReplicasAbovePolicy"] * 2
    assert {word for violation in found for word in ("p0", "p1", "p2") if word in violation.message} == {"p1", "p2"}


def test_the_refusal_says_what_is_asked_what_is_there_and_what_the_limit_is() -> None:
    (found,) = judge({"replicas": 2}, limits(memory="3Gi"), known=replace(facts(), others=Asks(memory=5 * GI // 2)))
    assert found.message == (
        'asks for memory: 1Gi; policy "p0" allows this namespace 3Gi in sum (limits.memory), of which other agents '
        "have 2560Mi: lower it, or replicas, or have the limit raised"
    )
    (found,) = judge({"replicas": 2}, limits(cpu="1500m"))
    assert "asks for CPUs: 2; " in found.message
    assert "1500m in sum (limits.cpu), whatever others ask for" in found.message


def test_limits_in_few_words() -> None:
    spec = policy(limits(agents=3, cpu="0.5", memory=1000, storage="1.5Gi")).spec
    assert described(spec) == [
        "at most 3 agents in sum",
        "at most 500m CPUs in sum",
        "at most 1000 memory in sum",
        "at most 1536Mi storage in sum",
    ]
    assert limited([policy({}), policy(limits(agents=1))])
    assert not limited([policy({}), policy(limits())])


def claim(name: str, created: int = 0, **fields: Any) -> Claim:
    return Claim(name=name, created=f"2026-01-01T00:00:{created:02}Z", **({"asks": ONE} | fields))


def agents_before(name: str, *claims: Claim, room: int = 1) -> int:
    return before(name, claims, [policy(limits(agents=room))]).agents


class TestOrder:
    def test_the_older_then_the_name(self) -> None:
        assert agents_before("a", claim("a", 1), claim("b", 0)) == 1
        assert agents_before("b", claim("a", 1), claim("b", 0)) == 0
        assert agents_before("a", claim("a"), claim("b")) == 0
        assert agents_before("b", claim("a"), claim("b")) == 1

    def test_who_was_accepted_is_first(self) -> None:
        assert agents_before("a", claim("a", 0), claim("b", 9, accepted=True)) == 1
        assert agents_before("b", claim("a", 0), claim("b", 9, accepted=True)) == 0

    def test_who_does_not_fit_takes_no_room(self) -> None:
        large = claim("a", 0, asks=asks_of({"replicas": 9}))
        room = [policy(limits(replicas=5))]
        assert before("b", [large, claim("b", 1)], room).replicas == 0
        assert before("a", [large, claim("b", 1)], room).replicas == 0

    def test_who_was_refused_takes_what_he_has(self) -> None:
        assert agents_before("b", claim("a", 0, refused=True), claim("b", 1)) == 0
        assert agents_before("b", claim("a", 0, refused=True, held=ONE), claim("b", 1)) == 1
        assert agents_before("b", claim("c", 2, held=ONE), claim("b", 1)) == 1, "it runs, whatever is decided"

    def test_one_that_is_new_is_last(self) -> None:
        assert agents_before("new", claim("a"), claim("b"), room=9) == 2


BIDS = st.builds(
    claim,
    st.sampled_from("abcdef"),
    st.integers(0, 3),
    asks=st.builds(lambda pods: asks_of({"replicas": pods}), st.integers(0, 5)),
    accepted=st.just(False),
    refused=st.just(False),
)


@given(st.lists(BIDS, unique_by=lambda one: one.name), st.integers(0, 12))
def test_however_many_come_at_once_the_limit_holds_and_all_see_the_same(claims: list[Claim], room: int) -> None:
    """Everybody decides for himself, by what is stored: those who find room fit together."""
    bound = policy(limits(replicas=room))
    fits = [
        one
        for one in claims
        if before(one.name, claims, [bound]).replicas + one.asks.replicas <= room or one.asks.replicas == 0
    ]
    assert sum(one.asks.replicas for one in fits) <= room
    # Once they are accepted, nobody else finds room that was not there before, and none of them loses his.
    later = [replace(one, accepted=one in fits, refused=one not in fits) for one in claims]
    for one in later:
        there = before(one.name, later, [bound]).replicas
        assert (there + one.asks.replicas <= room or one.asks.replicas == 0) == one.accepted
