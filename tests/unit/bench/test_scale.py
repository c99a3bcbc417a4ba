"""What the scale trial reads from the API server's record."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from api.controller.process import USER
from bench.scale.latency import _deletion, _edit, _latencies
from bench.scale.objects import Key
from bench.scale.record import Entry, Record, counted
from bench.scale.table import table
from bench.scale.trials import cliff

A = Key("ns", "a")
Line = dict[str, Any]


def line(user: str, verb: str, resource: str, name: str, second: int, *, code: int = 200, sub: str = "") -> Line:
    moment = f"2026-01-01T00:00:{second:02}.000000Z"
    target = {"resource": resource, "namespace": "ns", "name": name, "apiVersion": "v1"}
    return {
        "stage": "ResponseComplete",
        "verb": verb,
        "user": {"username": user},
        "objectRef": target | ({"subresource": sub} if sub else {}),
        "responseStatus": {"code": code},
        "requestReceivedTimestamp": moment,
        "stageTimestamp": moment,
    }


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., list[Entry]]:
    def reading(*lines: Line) -> list[Entry]:
        file = tmp_path / "audit.log"
        file.touch()
        record = Record(file)
        mark = record.mark()
        with file.open("a") as out:
            out.writelines(json.dumps(one, separators=(",", ":")) + "\n" for one in lines)
        return list(record.since(mark))

    return reading


def test_watches_and_the_lease_are_told_apart(read: Callable[..., list[Entry]]) -> None:
    told = counted(
        read(
            line(USER, "patch", "networkpolicies", "x", 1),
            line(USER, "patch", "agentdeployments", "a", 1, sub="status"),
            line(USER, "get", "roles", "x", 1),
            line(USER, "watch", "roles", "", 1),
            line(USER, "update", "leases", "l", 1),
            line(USER, "get", "leases", "l", 1),
        )
    )
    assert told["writes_by_kind"] == {"patch networkpolicies": 1, "patch agentdeployments/status": 1}
    assert (told["writes"], told["reads"], told["watches"], told["lease_writes"]) == (2, 1, 1, 1)


def test_the_first_answer_after_the_last_cause_counts(read: Callable[..., list[Entry]]) -> None:
    entries = read(
        line(USER, "patch", "networkpolicies", "ringfence-a-allow", 1),  # of before
        line("bench", "patch", "agentdeployments", "a", 2),
        line(USER, "patch", "networkpolicies", "ringfence-a-allow", 3),
        line("bench", "patch", "agentdeployments", "a", 5),
        line(USER, "patch", "networkpolicies", "ringfence-a-allow", 6, code=409),
        line(USER, "patch", "networkpolicies", "ringfence-b-allow", 7),
        line(USER, "patch", "networkpolicies", "ringfence-a-allow", 9),
        line(USER, "patch", "networkpolicies", "ringfence-a-allow", 20),
    )
    assert _latencies(entries, {A, Key("ns", "b")}, _edit, "-allow") == {A: 4.0}


def test_an_answer_that_is_through_before_its_cause_is_none_the_less_one(read: Callable[..., list[Entry]]) -> None:
    first, second = read(
        line("bench", "patch", "agentdeployments", "a", 1),
        line(USER, "patch", "networkpolicies", "ringfence-a-allow", 3),
    )
    late = replace(first, answered=second.answered + timedelta(seconds=1))
    assert _latencies([late, second], {A}, _edit, "-allow") == {A: 0.0}


def test_a_deletion_without_an_answer_is_missing(read: Callable[..., list[Entry]]) -> None:
    entries = read(
        line("bench", "delete", "networkpolicies", "ringfence-a-deny", 2),
        line(USER, "patch", "networkpolicies", "ringfence-a-allow", 3, code=201),
    )
    assert _latencies(entries, {A}, _deletion, "-deny") == {}


def test_a_record_that_was_put_aside_is_read_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "audit.log"
    file.touch()
    record = Record(file)
    mark = record.mark()
    with file.open("a") as out:
        out.write(json.dumps(line(USER, "patch", "roles", "one", 1)) + "\n")
    file.rename(tmp_path / "audit-2026.log")
    file.write_text(json.dumps(line(USER, "patch", "roles", "two", 2)) + "\n" + '{"half')
    assert [entry.name for entry in record.since(mark)] == ["one", "two"]


@pytest.mark.parametrize(
    ("p99", "missing", "found"),
    [((1.0, 5.0), (0, 1), "more than 2000"), ((1.0, 5.1), (0, 0), 2000), ((1.0, 1.0), (2, 0), 1000)],
    ids=["none", "too late", "never"],
)
def test_the_cliff_is_where_more_than_one_repair_in_a_hundred_is_late(
    p99: tuple[float, float], missing: tuple[int, int], found: int | str
) -> None:
    steps = [
        {"agents": agents, "repair": {"seconds": {"p99": seconds, "count": 100 - absent}, "missing": absent}}
        for agents, seconds, absent in zip((1000, 2000), p99, missing, strict=True)
    ]
    assert cliff(steps) == found


def test_the_table_has_what_a_report_has() -> None:
    steps = [{"of_floor": 0.1}, {"of_floor": 0.614, "writes_per_agent": 8.2, "reads_per_agent": 0.0}]
    rest = {"requests": {"writes": 0}, "percent_of_a_core": {"controller": 0.4}, "requests_per_second": 0.2}
    report = {"scale": {"agents": 1000, "creation": {"steps": steps}, "rest": rest, "edits": {"error": "no"}}}
    report["scale"]["crowd"] = {"beside_them": {"seconds": {"p50": 0.0214, "p99": 0.153}, "missing": 0}}
    lines = table([report]).splitlines()
    assert lines[0] == "| what | 1,000 agents | bar |"
    assert lines[2] == "| creation: child writes, share of the bare client's rate | 61% | 60 % (1,000), 50 % (10,000) |"
    assert "| rest: share of a core, requests a second | 0.4 %, 0.2 | under 2 %, 1 |" in lines
    assert any(line.startswith("| one agent's edit") and line.endswith("|  | 0.5 s |") for line in lines)
    crowd = "| the same beside 1,000 un-ready agents of another namespace | 21, 153 ms | 50, 200 ms |"
    assert crowd in lines
