"""What is told of the gateway's cost."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.gateway.load import Load, command, told
from bench.gateway.trials import beside_direct, streamed
from bench.gateway.way import SITES, TERMINATED, Way
from cluster.errors import ClusterError

GOOD = Load({"200": 100}, connections=4, per_second=50.0, seconds=8.0, least=900, most=900, received=90_000)
REPORT = {
    "RetCodes": {"200": 99, "503": 1},
    "SocketCount": 4,
    "ActualQPS": 50.5,
    "DurationHistogram": {"Count": 100, "Sum": 8.25},
    "Sizes": {"Count": 100, "Min": 12, "Max": 900, "Sum": 89112},
}


def test_what_fortio_tells() -> None:
    assert told(json.dumps(REPORT)) == Load({"200": 99, "503": 1}, 4, 50.5, 8.25, 12, 900, 89112)


def test_what_fortio_is_asked() -> None:
    way = Way(SITES[TERMINATED], "10.96.0.10", Path("/trust.pem"))
    words = command(Path("/fortio"), way, "/fast", "-c", "8")
    assert words[:2] == [Path("/fortio"), "load"]
    assert words[words.index("-resolve") + 1] == "10.96.0.10"
    assert words[words.index("-cacert") + 1] == Path("/trust.pem")
    assert words[words.index("-qps") + 1] == "0", "fortio is slow unless it is told to be as fast as it can"
    assert words[-3:] == ["-c", "8", "https://a.bench.test/fast"]


def test_a_run_counts_when_all_was_answered_over_kept_connections() -> None:
    assert GOOD.whole(4) == GOOD


@pytest.mark.parametrize(
    "bad",
    [
        replace(GOOD, statuses={"200": 99, "503": 1}),
        replace(GOOD, statuses={"200": 99, "-1": 1}),
        replace(GOOD, statuses={"403": 100}),
        replace(GOOD, statuses={}),
        replace(GOOD, connections=5),
    ],
)
def test_a_run_with_failures_does_not(bad: Load) -> None:
    with pytest.raises(ClusterError, match="4 connections: "):
        bad.whole(4)


def test_shares_are_of_the_direct_figure() -> None:
    found = beside_direct("speed", {"direct": 400.0, "terminated": 100.0, "tunnelled": 300.0})
    assert found == {
        "speed": {"direct": 400.0, "terminated": 100.0, "tunnelled": 300.0},
        "of_direct": {"terminated": 0.25, "tunnelled": 0.75},
    }


def test_streams_that_had_all_their_bytes() -> None:
    assert streamed(GOOD, GOOD, [1, 2, 100, 99, 0]) == {
        "answered": 100,
        "whole": 100,
        "open_at_once": 100,
        "bytes": 90_000,
    }


@pytest.mark.parametrize("short", [replace(GOOD, least=12), replace(GOOD, most=901), replace(GOOD, least=12, most=12)])
def test_streams_of_which_some_had_not(short: Load) -> None:
    assert streamed(short, GOOD, [])["whole"] == 0


def test_streams_that_were_refused() -> None:
    found = streamed(replace(GOOD, statuses={"200": 60, "503": 40}, least=12), GOOD, [60])
    assert (found["answered"], found["whole"], found["open_at_once"]) == (60, 0, 60)
