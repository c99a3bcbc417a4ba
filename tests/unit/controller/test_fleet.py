"""All agents at a glance."""

from collections.abc import Mapping

from ringfence.api.status import ConditionType
from ringfence.controller.cache import Key
from ringfence.controller.fleet import Fleet
from ringfence.metrics import AGENTS
from ringfence.policy.model import RuleName, Violation

ONE, TWO = Key("ns", "one"), Key("ns", "two")
READY = ConditionType.READY


def _counts() -> tuple[float, float]:
    return tuple(AGENTS.labels(str(READY), status)._value.get() for status in ("True", "False"))  # type: ignore[return-value]


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
