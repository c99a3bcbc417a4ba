"""All agents at a glance."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from ringfence.api.status import ConditionType
from ringfence.controller.agent import ages
from ringfence.controller.agent.recorder import Fleet
from ringfence.policy.model import RuleName, Violation
from ringfence.resources.secrets import ROTATED_AT, stamp
from ringfence.store.records import Key
from ringfence.telemetry.metrics import AGENTS, REGISTRY

ONE, TWO = Key("ns", "one"), Key("ns", "two")
READY = ConditionType.READY


def _counts() -> tuple[float, float]:
    return tuple(AGENTS.labels(str(READY), status)._value.get() for status in ("True", "False"))


def _set(fleet: Fleet, key: Key, status: str) -> None:
    state: Mapping[ConditionType, str] = {READY: status}
    fleet.set(key, state)


def test_every_agent_counts_once() -> None:
    fleet, before = Fleet(), _counts()

    def counts() -> tuple[float, float]:
        return _counts()[0] - before[0], _counts()[1] - before[1]

    _set(fleet, ONE, "False")
    _set(fleet, TWO, "False")
    assert counts() == (0, 2)
    _set(fleet, ONE, "True")
    _set(fleet, ONE, "True")
    assert counts() == (1, 1)
    fleet.forget(TWO)
    fleet.forget(TWO)
    assert counts() == (1, 0)
    fleet.forget(ONE)
    assert counts() == (0, 0)


def test_a_violation_is_news_once_for_each_generation() -> None:
    fleet = Fleet()
    first, second = (Violation(f"spec.{n}", RuleName.RIGHTS_SECRETS, "x") for n in "ab")
    assert fleet.news(ONE, 1, [first]) == [first]
    assert fleet.news(ONE, 1, [first]) == []
    assert fleet.news(ONE, 1, [first, second]) == [second]
    assert fleet.news(ONE, 1, []) == []
    assert fleet.news(ONE, 1, [first]) == [first]
    assert fleet.news(ONE, 2, [first]) == [first]
    assert fleet.news(TWO, 2, [first]) == [first]
    fleet.forget(ONE)
    assert fleet.news(ONE, 2, [first]) == [first]


class TestRotations:
    """What ringfence_secret_rotations_total shows, in a namespace of each test's own."""

    def setup_method(self) -> None:
        self.fleet, self.key = Fleet(), Key(f"team-{uuid4().hex[:8]}", "a")

    def count(self, result: str) -> float | None:
        labels = {"namespace": self.key.namespace, "result": result}
        return REGISTRY.get_sample_value("ringfence_secret_rotations_total", labels)

    def tick(self, started: str | None = None, succeeded: str | None = None, *, active: bool = False) -> None:
        times = {"lastScheduleTime": started, "lastSuccessfulTime": succeeded}
        status: dict[str, Any] = {name: f"2026-01-31T{time}Z" for name, time in times.items() if time}
        status |= {"active": [{"name": "j"}]} if active else {}
        self.fleet.jobs(self.key, {"signing": {"metadata": {"name": "x"}, "status": status}})

    def rotate(self, hours: int, *, every: timedelta | None = timedelta(hours=720)) -> None:
        changed = stamp(datetime.now(UTC) - timedelta(hours=hours))
        metadata = {"annotations": {ROTATED_AT: changed}, "creationTimestamp": changed}
        self.fleet.keys(self.key, [ages.Key("signing", "x", metadata, every)], timedelta(hours=720))

    def test_they_begin_with_0_when_a_key_is_first_seen(self) -> None:
        assert self.count("rotated") is None
        self.tick()
        assert (self.count("rotated"), self.count("failed")) == (0, 0)

    def test_a_new_value_counts(self) -> None:
        self.tick()
        for hours in (5, 5, 1, 1):
            self.rotate(hours)
        assert (self.count("rotated"), self.count("failed")) == (1, 0)

    def test_a_key_that_somebody_else_keeps_is_no_rotation(self) -> None:
        for hours in (5, 1):
            self.rotate(hours, every=None)
        assert self.count("rotated") is None

    def test_a_tick_that_ends_without_success_counts_once(self) -> None:
        self.tick()
        self.tick("12:00:00", active=True)
        assert self.count("failed") == 0
        self.tick("12:00:00")
        self.tick("12:00:00")
        assert self.count("failed") == 1
        self.tick("12:15:00", active=True)
        self.tick("12:15:00", "12:15:09")
        assert self.count("failed") == 1
        self.tick("12:30:00", "12:15:09", active=True)
        self.tick("12:30:00", "12:15:09")
        assert self.count("failed") == 2

    def test_one_that_had_failed_before_we_looked_does_not_count(self) -> None:
        self.tick("12:00:00")
        self.tick("12:00:00")
        assert self.count("failed") == 0
        self.tick("12:15:00")
        assert self.count("failed") == 1

    def test_an_agent_that_is_gone_and_back_is_new(self) -> None:
        self.tick()
        self.fleet.forget(self.key)
        self.tick("12:00:00")
        assert self.count("failed") == 0
