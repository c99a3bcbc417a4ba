"""Ids: never root, and within what all policies allow."""

from typing import Any

import pytest

from ringfence.api.users import IdRange
from ringfence.policy.users import both, ids, words
from unit.policy.make import judge, places

THOUSANDS = {"pods": {"users": [{"first": 1000, "last": 1999}, {"first": 5000, "last": 5000}]}}
LOW = {"pods": {"users": [{"first": 1, "last": 1000}]}}


@pytest.mark.parametrize("user", [0, -1, "0", "root", 0.0, 2**31, 2**32, 2**64, True, [0]])
@pytest.mark.parametrize("field", ["runAsUser", "runAsGroup"])
def test_nobody_is_root_by_any_spelling(field: str, user: Any) -> None:
    everybody = {"pods": {"users": [{"first": 1, "last": 2147483647}]}}
    assert places(judge({field: user}, everybody)) == {("InvalidField", f"spec.{field}")}


@pytest.mark.parametrize(
    ("user", "policies", "allowed"),
    [
        (None, [], True),
        (65532, [], True),
        (1000, [], False),
        (1000, [{}], False),
        (999, [THOUSANDS], False),
        (1000, [THOUSANDS], True),
        (1999, [THOUSANDS], True),
        (2000, [THOUSANDS], False),
        (5000, [THOUSANDS], True),
        (65532, [THOUSANDS], True),
        (1000, [THOUSANDS, LOW], True),
        (1001, [THOUSANDS, LOW], False),
        (1000, [THOUSANDS, {}], False),
    ],
)
@pytest.mark.parametrize("field", ["runAsUser", "runAsGroup"])
def test_an_id_is_in_a_range_of_every_policy(
    field: str, user: int | None, policies: list[dict[str, Any]], *, allowed: bool
) -> None:
    found = judge({} if user is None else {field: user}, *policies)
    assert places(found) == (set() if allowed else {("UserAbovePolicy", f"spec.{field}")})


def test_the_refusal_says_which_are_free() -> None:
    (found,) = judge({"runAsUser": 7}, THOUSANDS)
    assert "write one of 1000-1999, 5000, 65532" in found.message


def test_a_malformed_spec_is_judged_all_the_same() -> None:
    assert ("UserAbovePolicy", "spec.runAsUser") in places(judge({"runAsUser": 1000, "surprise": 1}))


def ranges(*pairs: tuple[int, int]) -> list[IdRange]:
    return [IdRange(first=first, last=last) for first, last in pairs]


def test_ranges_add_up_and_meet() -> None:
    left = ids(ranges((5, 9), (1, 3), (4, 4), (20, 30), (25, 40)))
    assert left == ((1, 9), (20, 40), (65532, 65532))
    right = ids(ranges((9, 21), (60000, 70000)))
    assert right == ((9, 21), (60000, 70000))
    assert both(left, right) == ((9, 9), (20, 21), (65532, 65532))
    assert words(both(left, right)) == "9, 20-21, 65532"
