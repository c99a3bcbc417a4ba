"""How old keys are, by what the API server's own book says, and what is said about it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ringfence.api.secrets import AgentSecret
from ringfence.api.status import Reason
from ringfence.controller.agent import ages, conditions
from ringfence.resources.secret_names import rotation_name
from ringfence.resources.secrets import PREVIOUS_UNTIL, ROTATED_AT, stamp

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MONTH = 720 * HOUR


def wrote(age: timedelta, *fields: str, top: str = "f:data") -> dict[str, Any]:
    """One entry of managedFields."""
    content: dict[str, Any] = {top: {".": {}} | {f"f:{field}": {} for field in fields}}
    return {"manager": "x", "operation": "Update", "time": stamp(NOW - age), "fieldsV1": content}


def theirs(
    *entries: dict[str, Any], born: timedelta = 5000 * HOUR, may_be: timedelta | None = None
) -> ages.ObservedSecret:
    metadata = {"creationTimestamp": stamp(NOW - born), "managedFields": list(entries)}
    return ages.ObservedSecret("llm", "llm", metadata, max_age=may_be)


def hidden(name: str) -> ages.ObservedSecret:
    return ages.ObservedSecret(name, f"{name}-bundle", ages.HIDDEN)


def ours(age: timedelta, *, every: timedelta = MONTH, marks: dict[str, str] | None = None) -> ages.ObservedSecret:
    annotations = {ROTATED_AT: stamp(NOW - age)} | (marks or {})
    metadata = {"creationTimestamp": stamp(NOW - 5000 * HOUR), "annotations": annotations}
    return ages.ObservedSecret("signing", "ringfence-a.x", metadata, every)


@pytest.mark.parametrize(
    ("key", "age"),
    [
        pytest.param(theirs(wrote(3 * HOUR, "value")), 3 * HOUR, id="the last write of data"),
        pytest.param(theirs(wrote(9 * HOUR, "a"), wrote(2 * HOUR, "b")), 2 * HOUR, id="by several"),
        pytest.param(
            theirs(wrote(9 * HOUR, "a"), wrote(HOUR, "f:labels", top="f:metadata")), 9 * HOUR, id="labels are no value"
        ),
        pytest.param(theirs(wrote(HOUR, "a", top="f:stringData")), HOUR, id="stringData"),
        pytest.param(theirs(), 5000 * HOUR, id="without a book, since it was made"),
        pytest.param(ours(7 * HOUR), 7 * HOUR, id="ours, by our mark"),
    ],
)
def test_the_age_is_the_values(key: ages.ObservedSecret, age: timedelta) -> None:
    assert key.changed == NOW - age


def test_a_mark_on_somebody_elses_secret_says_nothing() -> None:
    metadata = {"annotations": {ROTATED_AT: stamp(NOW)}, "managedFields": [wrote(800 * HOUR, "a")]}
    assert ages.ObservedSecret("llm", "llm", metadata).changed == NOW - 800 * HOUR


def test_a_marred_mark_of_ours_falls_back_to_the_book() -> None:
    metadata = {"annotations": {ROTATED_AT: "never"}, "managedFields": [wrote(3 * HOUR, "value")]}
    assert ages.ObservedSecret("a", "a", metadata, MONTH).changed == NOW - 3 * HOUR


@pytest.mark.parametrize(
    ("keys", "status", "reason", "says"),
    [
        pytest.param([], "True", Reason.NO_SECRETS, "no secrets", id="none"),
        pytest.param([ours(DAY), theirs(wrote(DAY, "a"))], "True", Reason.FRESH, "2 keys", id="fresh"),
        pytest.param(
            [ages.ObservedSecret("llm", "llm-account", None)],
            "False",
            Reason.SECRET_NOT_FOUND,
            "llm-account",
            id="missing",
        ),
        pytest.param(
            [ages.ObservedSecret("b", "c", None), theirs(wrote(MONTH * 2, "a"))],
            "False",
            Reason.SECRET_NOT_FOUND,
            "Secret c",
            id="a missing one comes first",
        ),
        pytest.param([theirs(wrote(MONTH, "a"))], "True", Reason.FRESH, "", id="as old as may be"),
        pytest.param(
            [theirs(wrote(MONTH + timedelta(seconds=1), "a"))],
            "False",
            Reason.EXISTING_SECRET_TOO_OLD,
            "llm (720h); give the Secret a new value",
            id="theirs too old",
        ),
        pytest.param(
            [theirs(wrote(3 * HOUR, "a"), may_be=2 * HOUR)],
            "False",
            Reason.EXISTING_SECRET_TOO_OLD,
            "llm (2h)",
            id="older than the agent itself allows",
        ),
        pytest.param([theirs(wrote(9000 * HOUR, "a"), may_be=timedelta.max)], "True", Reason.FRESH, "", id="never"),
        pytest.param(
            [theirs(wrote(MONTH * 2, "a")), ours(MONTH + 2 * DAY)],
            "False",
            Reason.SECRET_TOO_OLD,
            "allow: signing; rotate",
            id="ours comes first",
        ),
        pytest.param(
            [theirs(wrote(DAY, "a")), hidden("ca")],
            "Unknown",
            Reason.AGE_UNKNOWN,
            "ca (Secret ca-bundle): it is delivered all the same",
            id="may not be looked at",
        ),
        pytest.param(
            [theirs(wrote(MONTH * 2, "a")), hidden("ca")],
            "False",
            Reason.EXISTING_SECRET_TOO_OLD,
            "llm",
            id="what is known comes before what is not",
        ),
        pytest.param([ours(MONTH + HOUR)], "True", Reason.FRESH, "", id="a job may be one tick late"),
        pytest.param([ours(MONTH + 2 * DAY)], "False", Reason.SECRET_TOO_OLD, "ringfence rotate", id="ours too old"),
        pytest.param(
            [ours(DAY + 3 * HOUR, every=DAY)], "False", Reason.ROTATION_OVERDUE, "signing", id="young, but overdue"
        ),
    ],
)
def test_what_is_said_about_keys(keys: list[ages.ObservedSecret], status: str, reason: Reason, says: str) -> None:
    found = ages.finding(keys, max_age=MONTH, now=NOW, rolled_out=True)
    assert (found.status, found.reason) == (status, reason)
    assert says in found.message


def test_only_a_secret_that_others_own_leaves_the_agent_ready() -> None:
    def is_ready(*keys: ages.ObservedSecret) -> bool:
        found = ages.finding(keys, max_age=MONTH, now=NOW, rolled_out=True)
        return conditions.ready([found]).status == "True"

    assert is_ready(theirs(wrote(MONTH * 2, "a")), hidden("ca"))
    assert is_ready(hidden("ca"))
    assert not is_ready(ours(MONTH + 2 * DAY))
    assert not is_ready(ages.ObservedSecret("llm", "llm", None)), "its pods wait"


def test_pods_that_are_not_there_keep_the_value_before_and_it_is_said() -> None:
    kept = ours(HOUR, marks={PREVIOUS_UNTIL: stamp(NOW + HOUR)})
    assert "stays valid" in ages.finding([kept], max_age=MONTH, now=NOW, rolled_out=False).message
    assert "stays valid" not in ages.finding([kept], max_age=MONTH, now=NOW, rolled_out=True).message


def test_it_is_said_as_long_as_the_value_before_is_there() -> None:
    """Not only until the end of the overlap: it stays until the restarted pods are there."""
    assert "stays valid" in ages.finding([with_previous(-HOUR)], max_age=MONTH, now=NOW, rolled_out=False).message


def with_previous(left: timedelta) -> ages.ObservedSecret:
    found = ours(HOUR, marks={PREVIOUS_UNTIL: stamp(NOW + left)})
    return ages.ObservedSecret(
        found.name, found.object_name, {**(found.metadata or {}), "managedFields": [wrote(HOUR, "previous")]}, MONTH
    )


def test_an_overlap_ends_by_its_time_and_once() -> None:
    assert with_previous(-HOUR).overlap_is_over(NOW)
    assert not with_previous(HOUR).overlap_is_over(NOW)
    assert not ours(HOUR, marks={PREVIOUS_UNTIL: stamp(NOW - HOUR)}).overlap_is_over(NOW), "it is gone already"


def test_the_status_names_times_alone() -> None:
    found = ages.status([ours(DAY), theirs(wrote(2 * DAY, "a")), ages.ObservedSecret("gone", "gone", None)])
    assert found == {
        "secrets": [
            {"name": "signing", "lastRotated": stamp(NOW - DAY), "nextRotation": stamp(NOW - DAY + MONTH)},
            {"name": "llm", "lastRotated": stamp(NOW - 2 * DAY)},
            {"name": "gone"},
        ],
        "oldestSecret": stamp(NOW - 2 * DAY),
    }
    assert ages.status([])["oldestSecret"] is None


def test_the_secret_of_the_spec_is_found() -> None:
    secret = AgentSecret.model_validate(
        {
            "name": "signing",
            "source": {"generate": {}},
            "rotation": {"every": "24h"},
            "delivery": {"env": {"name": "A"}},
        }
    )
    found = ages.observed("a", secret, None)
    assert (found.object_name, found.every) == (rotation_name("a", "signing"), DAY)


@pytest.mark.parametrize(("says", "kept"), [(None, None), ("2h", 2 * HOUR), ("Never", timedelta.max)])
def test_the_age_that_an_agent_names_is_read(says: str | None, kept: timedelta | None) -> None:
    secret = AgentSecret.model_validate(
        {
            "name": "ca",
            "source": {"existing": {"secretName": "ca", "key": "ca.crt"}},
            "delivery": {"env": {"name": "A"}},
            "maxAge": says,
        }
    )
    assert ages.observed("a", secret, ages.HIDDEN).max_age == kept
