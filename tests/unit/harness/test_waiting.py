"""How often somebody who waits asks."""

import time

import pytest

from cluster.errors import ClusterError
from cluster.shell import wait_for


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What was slept so far; sleeping takes no time, and asking takes none either."""
    slept: list[float] = []
    monkeypatch.setattr(time, "monotonic", lambda: sum(slept))
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


def give_up(timeout: float, every: float | None = None) -> None:
    with pytest.raises(ClusterError, match="waiting for godot"):
        wait_for("godot", lambda: False, timeout=timeout, every=every)


def test_at_first_often_then_ever_more_rarely(pauses: list[float]) -> None:
    give_up(150)
    assert pauses[:20] == [0.05] * 20
    assert pauses == sorted(pauses)
    assert pauses[-1] == 0.5
    assert 300 < len(pauses) < 400, "twenty times a second would be 3000"
    assert all(pause <= max(0.05, sum(pauses[:number]) / 20) for number, pause in enumerate(pauses))


def test_as_often_as_it_was_told(pauses: list[float]) -> None:
    give_up(10, every=0.1)
    assert set(pauses) == {0.1}
