"""Schedules and what else says when an agent works."""

from typing import Any

import pytest

from ringfence.policy.cron import ScheduleError, parse
from unit.policy.make import judge, places

NIGHTLY = {"mode": "Schedule", "schedule": "0 3 * * *"}


def run(**fields: Any) -> dict[str, Any]:
    return {"run": {**NIGHTLY, **fields}}


@pytest.mark.parametrize(
    ("text", "field", "values"),
    [
        ("5 * * * *", "minutes", {5}),
        ("*/20 * * * *", "minutes", {0, 20, 40}),
        ("40/5 * * * *", "minutes", {40, 45, 50, 55}),
        ("1-9/4,30 * * * *", "minutes", {1, 5, 9, 30}),
        ("0 22-23 * * *", "hours", {22, 23}),
        ("0 0 * JAN,dec *", "months", {1, 12}),
        ("0 0 ? * Mon-Fri", "weekdays", {1, 2, 3, 4, 5}),
        ("@weekly", "weekdays", {0}),
        ("@monthly", "days", {1}),
    ],
)
def test_what_a_schedule_says(text: str, field: str, values: set[int]) -> None:
    assert getattr(parse(text), field) == values


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("60 * * * *", "minute must be from 0 to 59"),
        ("* 24 * * *", "hour must be"),
        ("* * 0 * *", "day of the month must be"),
        ("* * * 13 *", "month must be"),
        ("* * * * 7", "Sunday is 0"),
        ("* * * * mon-", "day of the week must be"),
        ("*/0 * * * *", "step of minute"),
        ("*/x * * * *", "step of minute"),
        ("9-1 * * * *", "goes backwards"),
        ("*-5 * * * *", "minute must be"),
        ("\u0665 * * * *", "minute must be"),
        ("* * * *", "five fields"),
        ("0 0 30 2 *", "never comes"),
        ("0 0 31 2,4,6 *", "never comes"),
        ("0 0 31 APR ?", "never comes"),
    ],
)
def test_what_is_no_schedule_or_never_comes(text: str, says: str) -> None:
    with pytest.raises(ScheduleError, match=says):
        parse(text)


@pytest.mark.parametrize("text", ["0 0 29 2 *", "0 0 31 * *", "0 0 30 2 mon", "0 0 30 2 */2", "0 0 30-31 1-2 *"])
def test_what_comes_now_and_then(text: str) -> None:
    """Where both kinds of day are named, one of them is enough: as Kubernetes has it."""
    assert parse(text).comes


@pytest.mark.parametrize(
    "text",
    ["TZ=UTC 0 3 * * *", "CRON_TZ=UTC 0 3 * * *", "@every 5m", "@reboot", "0 3 * * * *", "0  3 * * *", " 0 3 * * *"],
)
def test_other_spellings_are_refused(text: str) -> None:
    found = judge(run(schedule=text))
    assert [(one.path, one.rule) for one in found] == [("spec.run.schedule", "InvalidField")]
    assert "0 3 * * *" in found[0].message


def test_a_schedule_is_judged() -> None:
    assert judge(run()) == []
    found = judge(run(schedule="0 0 30 2 *"))
    assert places(found) == {("InvalidField", "spec.run.schedule")}
    assert "never comes" in found[0].message


def test_time_zones() -> None:
    assert judge(run(timeZone="Europe/Paris")) == []
    assert judge(run(timeZone="America/Argentina/Ushuaia")) == []
    for name in ("Europe/Atlantis", "Local", "posix/Europe/Paris"):
        assert places(judge(run(timeZone=name))) == {("InvalidField", "spec.run.timeZone")}, name


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"run": {"mode": "Schedule"}}, "spec.run"),
        ({"run": {"mode": "Job", "schedule": "0 3 * * *"}}, "spec.run"),
        ({"run": {"mode": "Job", "timeZone": "Etc/UTC"}}, "spec.run"),
        ({"run": {"retries": 1}}, "spec.run"),
        ({"run": {"mode": "Service", "deadline": "1h"}}, "spec.run"),
        ({"run": {"mode": "Job", "deadline": "9s"}}, "spec.run.deadline"),
        ({"run": {"mode": "Job", "deadline": "169h"}}, "spec.run.deadline"),
        ({"run": {"mode": "Job"}, "replicas": 2}, "spec"),
        ({"run": {"mode": "Job"}, "replicas": 0}, "spec"),
        ({"run": {"mode": "Job"}, "ports": [{"name": "http", "port": 8080}]}, "spec"),
        (
            {
                "run": {"mode": "Schedule", "schedule": "@daily", "concurrency": "Allow"},
                "storage": {"mountPath": "/data", "size": "1Gi"},
            },
            "spec",
        ),
    ],
)
def test_what_does_not_go_together(spec: dict[str, Any], path: str) -> None:
    assert places(judge(spec)) == {("InvalidField", path)}


def test_a_run_has_a_shorter_name() -> None:
    assert judge({"run": {"mode": "Job"}}, name="a" * 42) == []
    assert places(judge({"run": {"mode": "Job"}}, name="a" * 43)) == {("InvalidField", "metadata.name")}
    assert judge({"run": {"mode": "Service"}}, name="a" * 43) == []


@pytest.mark.parametrize(
    "limits",
    [{"replicas": 9}, {"cpu": "9"}, {"memory": "9Gi"}, {"perAgent": {"replicas": 3}}, {"perAgent": {"cpu": "2"}}],
)
def test_runs_beside_each_other_are_not_bounded(limits: dict[str, Any]) -> None:
    """So where a policy bounds pods there are none; and nothing is said where none does."""
    assert judge(run(concurrency="Allow")) == []
    assert judge(run(concurrency="Forbid"), {"limits": limits}) == []
    found = judge(run(concurrency="Allow"), {"limits": limits})
    assert places(found) == {("ReplicasAbovePolicy", "spec.run.concurrency")}
    assert judge(run(concurrency="Allow"), {"limits": {"agents": 3, "storage": "1Gi"}}) == []
