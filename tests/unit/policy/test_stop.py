"""How long an agent may take to end, and what runs before."""

from typing import Any

import pytest

from ringfence.policy.handover import runs_the_same
from unit.policy.make import judge, places

LONGER = {"pods": {"maxGracePeriod": "2m"}}
SHORTER = {"pods": {"maxGracePeriod": "5s"}}
TOO_LONG = {("GracePeriodAbovePolicy", "spec.stop.gracePeriod")}


@pytest.mark.parametrize(
    ("period", "policies", "allowed"),
    [
        (None, [], True),
        ("5s", [], True),
        ("30s", [SHORTER], True),
        ("31s", [], False),
        ("31s", [{}], False),
        ("31s", [LONGER], True),
        ("120s", [LONGER], True),
        ("121s", [LONGER], False),
        ("1m", [LONGER, {}], False),
        ("1m", [LONGER, SHORTER], False),
    ],
)
def test_every_policy_must_allow_a_longer_period(
    period: str | None, policies: list[dict[str, Any]], *, allowed: bool
) -> None:
    found = judge({"stop": {"gracePeriod": period}} if period else {}, *policies)
    assert places(found) == (set() if allowed else TOO_LONG)


def test_the_refusal_says_how_long() -> None:
    (found,) = judge({"stop": {"gracePeriod": "10m"}}, LONGER)
    assert "gives agents 2m to end at the most" in found.message


@pytest.mark.parametrize("period", ["0s", "10m1s", "11m", "1h", "-1s", "30", 30, "", "1d", "1.5s"])
def test_it_is_never_without_an_end(period: Any) -> None:
    everything = {"pods": {"maxGracePeriod": "10m"}}
    assert {rule for rule, _ in places(judge({"stop": {"gracePeriod": period}}, everything))} == {"InvalidField"}


def test_another_command_is_another_program() -> None:
    assert not runs_the_same({"stop": {"command": ["/a"]}}, {})
    assert runs_the_same({"stop": None}, {})


def test_a_secret_in_the_command_is_refused() -> None:
    token = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    assert ("SecretInPlainText", "spec.stop.command[1]") in places(judge({"stop": {"command": ["/bye", token]}}))
