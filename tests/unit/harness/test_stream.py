"""What a stream of attempts tells: how many passed, when, and for how long on end."""

import json

import pytest

from cluster.errors import ClusterError
from harness.stream import Attempts, parse

WEB, ECHO = "tcp://203.0.113.20:443", "udp://203.0.113.10:7"


def line(at: float, verdict: str, address: str = WEB) -> str:
    return json.dumps({"start": at, "target": address, "verdict": verdict, "reason": "", "ms": 1}) + "\n"


def stream(verdicts: str, address: str = WEB, began: float = 1000.0) -> str:
    """One attempt a second: + passed, - did not, R was refused, ! could not be made."""
    names = {"+": "reachable", "-": "blocked", "R": "refused", "!": "error"}
    return "".join(line(began + second, names[one], address) for second, one in enumerate(verdicts))


@pytest.mark.parametrize(
    ("verdicts", "stretches"),
    [
        ("----", []),
        ("++++", [3.0]),
        ("-++-", [2.0]),
        ("-+-+++--", [3.0, 1.0]),
        ("--+", [0.0]),
        ("-R+-", [2.0]),
        ("-+!+-", [3.0]),
        ("", []),
    ],
)
def test_stretches(verdicts: str, stretches: list[float]) -> None:
    assert parse(stream(verdicts)).stretches() == stretches


def test_stretches_of_two_addresses_do_not_mix() -> None:
    both = parse(stream("-+-+-") + stream("+-+++", ECHO))
    assert both.stretches() == [2.0, 1.0, 1.0, 1.0]
    assert both.stretches(ECHO) == [2.0, 1.0]


def test_attempts_are_told_as_they_end_and_kept_by_their_start() -> None:
    late = line(1000.0, "blocked") + line(1002.0, "reachable")
    assert [one.at for one in parse(line(1001.0, "reachable") + late).all] == [1000.0, 1001.0, 1002.0]


def test_counts_of_a_period_hold_its_beginning_and_not_its_end() -> None:
    found = parse(stream("-++-+") + stream("+++++", ECHO))
    assert found.count() == 10
    assert found.count(1001.0, 1003.0) == 4
    assert found.count(1001.0, 1003.0, address=WEB) == 2
    assert found.reached() == 8
    assert found.reached(WEB, 1003.0) == 1
    assert found.reached(WEB, until=1002.0) == 1
    assert found.share_reached(WEB) == pytest.approx(0.6)
    assert found.share_reached(WEB, 1003.0, 1004.0) == 0


def test_a_refusal_has_passed_and_what_could_not_be_tried_is_no_attempt() -> None:
    found = parse(stream("R!-!"))
    assert (found.count(), found.reached()) == (2, 1)


def test_the_last_that_passed() -> None:
    found = parse(stream("-+-+--") + stream("------", ECHO))
    assert found.last_reached() == found.last_reached(WEB) == 1003.0
    assert found.last_reached(ECHO) is None


def test_a_line_that_was_cut_off_is_left_out() -> None:
    whole = stream("-+")
    assert parse(whole + line(1002.0, "reachable")[:-1]) == parse(whole)
    assert parse("{") == Attempts()


def test_no_share_of_nothing() -> None:
    with pytest.raises(ClusterError, match="no attempt at any address"):
        parse(stream("+")).share_reached(since=2000.0)
