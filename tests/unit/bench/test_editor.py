"""What is told of an editor in a loop: the agent's own attempts, apart from those after its end."""

import pytest

from bench.editor import EVERY, outcome
from harness.stream import Attempt, Attempts

EDITS = [100.0 + number * 0.05 for number in range(400)]


def attempts(*open_periods: tuple[float, float], until: float = 125.0) -> Attempts:
    """At the bench's pace from a second before the first edit; those in the periods passed."""
    starts = [99.0 + number * EVERY for number in range(int((until - 99.0) / EVERY))]
    passed = [any(since <= at < end for since, end in open_periods) for at in starts]
    return Attempts(tuple(Attempt(at, "tcp://a", ok) for at, ok in zip(starts, passed, strict=True)))


def test_what_passes_after_the_agents_end_is_none_of_its_attempts() -> None:
    made = attempts((100.0, 100.1), (101.0, 101.5), (103.0, 113.0))
    told = outcome(made, EDITS, stopped=100.12, ended=102.0)
    assert told["seconds_it_ran"] == 2.0
    assert told["while_it_ran"]["share"] == pytest.approx(0.3, abs=0.01)
    assert told["open_share_of_all_edits_time"] == pytest.approx(0.03, abs=0.001)
    assert told["longest_open_seconds"] == pytest.approx(0.5, abs=0.01)
    assert told["edits_until_stopped"] == 3
    assert told["seconds_until_stopped"] == 0.12
    assert told["between_stop_and_end"]["answered"] == pytest.approx(100, abs=2)
    assert told["after_the_end"]["answered"] == pytest.approx(2000, abs=2)


def test_an_agent_that_ends_after_the_editor_ran_for_all_of_the_edits() -> None:
    made = attempts((110.0, 115.0), (119.0, 122.0))
    told = outcome(made, EDITS, stopped=100.12, ended=123.0)
    assert told["seconds_it_ran"] == 20.0
    assert told["while_it_ran"]["answered"] == pytest.approx(1200, abs=2)
    assert told["open_share_of_all_edits_time"] == pytest.approx(0.3, abs=0.001)
    assert told["between_stop_and_end"]["answered"] == pytest.approx(1600, abs=2)
    assert told["after_the_end"]["answered"] == 0


def test_an_agent_that_runs_on() -> None:
    told = outcome(attempts((105.0, 110.0)), EDITS)
    assert told["while_it_ran"] == {"probes": 4000, "answered": 1000, "share": 0.25}
    assert "after_the_end" not in told
