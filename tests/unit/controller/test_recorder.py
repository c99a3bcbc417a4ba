"""What is news of an agent, and is told once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ringfence.controller.agent import ages
from ringfence.controller.agent.recorder import MOST_ABSENT, Recorder
from ringfence.policy.model import RuleName, Violation
from ringfence.policy.widening import Way, Widening
from ringfence.resources.field_manager import FieldManager
from ringfence.resources.secrets import ROTATED_AT, stamp
from ringfence.store.records import Key
from ringfence.telemetry.events import (
    AgentForgotten,
    AgentName,
    RotationFailed,
    RotationFollowed,
    SecretOverwritten,
    SecretRotated,
    SecretsObserved,
    SecretTooOld,
    ViolationFound,
)

ONE, TWO = Key("ns", "one"), Key("ns", "two")
NAMED = AgentName("ns", "one")
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MONTH = 720 * HOUR


class Told:
    """A recorder, and what it told since the last look."""

    def __init__(self) -> None:
        self._events: list[Any] = []
        self.recorder = Recorder(self._events.append)

    def take(self) -> list[Any]:
        found, self._events[:] = self._events[:], []
        return found


@pytest.fixture
def told() -> Told:
    return Told()


class TestOverwritten:
    def secret(self, *managers: str, generated: bool = True) -> ages.ObservedSecret:
        entries = [{"manager": one, "fieldsV1": {"f:data": {"f:value": {}}}} for one in managers]
        metadata = {"creationTimestamp": stamp(NOW), "managedFields": [*entries, {"manager": "x", "fieldsV1": {}}]}
        return ages.ObservedSecret("signing", "s", metadata, HOUR, generated)

    def names(self, told: Told, secret: ages.ObservedSecret) -> list[str]:
        told.recorder.secrets(ONE, [secret], max_age=MONTH, now=NOW, uid="u")
        return [one.manager for one in told.take() if isinstance(one, SecretOverwritten)]

    def test_who_else_wrote_the_value_is_told_once(self, told: Told) -> None:
        ours, theirs = self.secret("Python"), self.secret("Python", "kubectl-edit")
        assert self.names(told, ours) == []
        assert self.names(told, theirs) == ["kubectl-edit"]
        assert self.names(told, theirs) == []
        found = ages.finding([theirs], max_age=MONTH, now=NOW, rolled_out=True)
        assert (found.status, found.reason) == ("False", "SecretOverwritten")
        assert self.names(told, ours) == []
        assert self.names(told, theirs) == ["kubectl-edit"], "again, after a rotation"
        assert ages.finding([ours], max_age=MONTH, now=NOW, rolled_out=True).status == "True"

    def test_an_existing_secret_is_its_owners(self, told: Told) -> None:
        assert self.names(told, self.secret("kubectl-edit", generated=False)) == []


class TestServices:
    SEARCH, LEDGER = "tools/search:8443 -> app=search:8443", "tools/search:8443 -> app=ledger:9000"

    def moves(self, told: Told, egress: list[str], *, key: Key = ONE, stored: tuple[str, ...] = ()) -> list[str]:
        told.recorder.services(key, "u", stored=stored, found=egress)
        return [f"{one.service}: {one.previous} {one.leads_to}" for one in told.take()]

    def test_where_a_service_leads_is_news_when_it_is_another(self, told: Told) -> None:
        moved = ["tools/search:8443: app=search:8443 app=ledger:9000"]
        assert self.moves(told, [self.SEARCH, "203.0.113.0/28:443"]) == []
        assert self.moves(told, [self.SEARCH]) == []
        assert self.moves(told, [self.LEDGER]) == moved
        assert self.moves(told, [self.LEDGER], stored=(self.SEARCH,)) == [], "told already"
        assert self.moves(told, [self.SEARCH]) == ["tools/search:8443: app=ledger:9000 app=search:8443"]

    def test_one_that_was_away_is_compared_with_what_it_was(self, told: Told) -> None:
        self.moves(told, [self.SEARCH])
        assert self.moves(told, []) == []
        assert len(self.moves(told, [self.LEDGER])) == 1

    def test_after_a_restart_the_status_tells_where_it_led(self, told: Told) -> None:
        assert len(self.moves(told, [self.LEDGER], stored=(self.SEARCH,))) == 1
        assert self.moves(told, [self.LEDGER], stored=("tools/search:8443",), key=TWO) == [], "an older status"
        told.recorder.forget(ONE)
        told.take()
        assert self.moves(told, [self.SEARCH]) == []

    def test_memory_has_a_bound(self, told: Told) -> None:
        for number in range(MOST_ABSENT * 2):
            self.moves(told, [f"tools/s{number}:80 -> app=x:80"])
        assert len(told.recorder._leads[ONE]) == MOST_ABSENT + 1


class TestViolations:
    FIRST, SECOND = (Violation(f"spec.{n}", RuleName.RIGHTS_SECRETS, "x") for n in "ab")

    def paths(self, told: Told, key: Key, generation: int, *violations: Violation) -> list[str]:
        told.recorder.violations(key, "u", generation, violations, FieldManager("argocd", "then"))
        return [event.path for event in told.take()]

    def test_each_is_news_once_for_each_generation(self, told: Told) -> None:
        first, second = self.FIRST, self.SECOND
        assert self.paths(told, ONE, 1, first) == ["spec.a"]
        assert self.paths(told, ONE, 1, first) == []
        assert self.paths(told, ONE, 1, first, second) == ["spec.b"]
        assert self.paths(told, ONE, 1) == []
        assert self.paths(told, ONE, 1, first) == ["spec.a"]
        assert self.paths(told, ONE, 2, first) == ["spec.a"]
        assert self.paths(told, TWO, 2, first) == ["spec.a"]
        told.recorder.forget(ONE)
        assert told.take() == [AgentForgotten(agent=NAMED)]
        assert self.paths(told, ONE, 2, first) == ["spec.a"]

    def test_it_names_who_wrote_the_spec(self, told: Told) -> None:
        told.recorder.violations(ONE, "u", 3, [self.FIRST], FieldManager("argocd", "then"))
        assert told.take() == [
            ViolationFound(
                agent=NAMED,
                uid="u",
                generation=3,
                rule="RightsSecrets",
                path="spec.a",
                manager="argocd",
                changed_at="then",
            )
        ]

    def test_of_an_agent_without_any_nothing_is_kept(self, told: Told) -> None:
        assert self.paths(told, ONE, 1) == []
        assert told.recorder._violations == {}


class TestSecrets:
    def rotate(self, told: Told, hours: float, *, every: timedelta | None = MONTH) -> list[Any]:
        """Take a secret of that age; the events without those of its age."""
        changed = stamp(NOW - hours * HOUR)
        metadata = {"annotations": {ROTATED_AT: changed}, "creationTimestamp": changed}
        seen = [ages.ObservedSecret("signing", "x", metadata, every)]
        told.recorder.secrets(ONE, seen, max_age=MONTH, now=NOW)
        return [event for event in told.take() if not isinstance(event, SecretsObserved)]

    def test_a_new_value_is_told(self, told: Told) -> None:
        rotated = SecretRotated(agent=NAMED, secret="signing", rotated_at=stamp(NOW - HOUR))
        assert [self.rotate(told, hours) for hours in (5, 5, 1, 1)] == [[], [], [rotated], []]

    def test_a_secret_that_somebody_else_keeps_is_no_rotation(self, told: Told) -> None:
        assert [self.rotate(told, hours, every=None) for hours in (5, 1)] == [[], []]

    def test_too_old_is_told_once_and_once_more_after_a_new_value(self, told: Told) -> None:
        old = [SecretTooOld(agent=NAMED, secret="signing", rotated_at=stamp(NOW - 2000 * HOUR))]
        assert self.rotate(told, 2000) == old
        assert self.rotate(told, 2000) == []
        assert [type(event) for event in self.rotate(told, 1)] == [SecretRotated]
        assert self.rotate(told, 2000) == old

    def test_ages_are_told_at_each_look(self, told: Told) -> None:
        metadata = {"annotations": {ROTATED_AT: stamp(NOW)}}
        one = ages.ObservedSecret("signing", "x", metadata, MONTH)
        missing = ages.ObservedSecret("llm", "y", None)
        told.recorder.secrets(ONE, [one, missing], max_age=MONTH, now=NOW)
        (event,) = told.take()
        (age,) = event.secrets
        assert (age.name, age.since) == ("signing", NOW.timestamp())
        assert age.due == (NOW + MONTH + ages.grace(MONTH)).timestamp()
        assert age.expires == age.due
        told.recorder.secrets(ONE, [], max_age=MONTH, now=NOW)
        assert told.take() == [SecretsObserved(agent=NAMED, secrets=())], "that it has none any more is news"
        told.recorder.forget(ONE)
        told.take()
        told.recorder.secrets(ONE, [], max_age=MONTH, now=NOW)
        assert told.take() == []


class TestJobs:
    def tick(
        self, told: Told, started: str | None = None, succeeded: str | None = None, *, active: bool = False
    ) -> list[Any]:
        times = {"lastScheduleTime": started, "lastSuccessfulTime": succeeded}
        status: dict[str, Any] = {name: f"2026-01-31T{time}Z" for name, time in times.items() if time}
        status |= {"active": [{"name": "j"}]} if active else {}
        told.recorder.jobs(ONE, {"signing": {"metadata": {"name": "x"}, "status": status}})
        return told.take()

    def test_they_are_followed_from_the_first_look_on(self, told: Told) -> None:
        assert self.tick(told) == [RotationFollowed(agent=NAMED, secret="signing")]
        assert self.tick(told) == []

    def test_a_tick_that_ends_without_success_is_told_once(self, told: Told) -> None:
        self.tick(told)
        assert self.tick(told, "12:00:00", active=True) == []
        failed = RotationFailed(agent=NAMED, secret="signing", job=f"x-{int(NOW.timestamp()) // 60}")
        assert self.tick(told, "12:00:00") == [failed]
        assert self.tick(told, "12:00:00") == []
        assert self.tick(told, "12:15:00", active=True) == []
        assert self.tick(told, "12:15:00", "12:15:09") == []
        assert self.tick(told, "12:30:00", "12:15:09", active=True) == []
        assert [type(event) for event in self.tick(told, "12:30:00", "12:15:09")] == [RotationFailed]

    def test_one_that_had_failed_before_we_looked_is_not_told(self, told: Told) -> None:
        assert [type(event) for event in self.tick(told, "12:00:00")] == [RotationFollowed]
        assert self.tick(told, "12:00:00") == []
        assert [type(event) for event in self.tick(told, "12:15:00")] == [RotationFailed]

    def test_an_agent_that_is_gone_and_back_is_new(self, told: Told) -> None:
        self.tick(told)
        told.recorder.forget(ONE)
        told.take()
        assert [type(event) for event in self.tick(told, "12:00:00")] == [RotationFollowed]


def test_what_widens_a_fence_is_told_once() -> None:
    told: list[Any] = []
    recorder = Recorder(told.append)
    binding, policy = Widening(Way.BINDINGS, "RoleBinding b"), Widening(Way.POLICIES, "NetworkPolicy p")
    recorder.widened(ONE, "u", [binding])
    recorder.widened(ONE, "u", [policy, binding])
    recorder.widened(ONE, "u", [])
    recorder.widened(ONE, "u", [binding])
    assert [(one.rule, one.name) for one in told] == [
        ("ForeignBinding", "RoleBinding b"),
        ("ForeignPolicy", "NetworkPolicy p"),
        ("ForeignBinding", "RoleBinding b"),
    ]
