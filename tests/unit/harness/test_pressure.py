"""A promise of seconds is held on a machine at rest; a busy one is no excuse for more than what it took away."""

import time
from pathlib import Path

import pytest

from harness import pressure
from harness.pressure import stalled, within


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the kernel says of processors that were waited for."""
    found = tmp_path / "cpu"
    monkeypatch.setattr(pressure, "PRESSURE", found)
    return found


def say(file: Path, seconds: float) -> None:
    file.write_text(f"some avg10=0.00 avg60=0.00 avg300=0.00 total={seconds * 1e6:.0f}\nfull avg10=0.00 total=7\n")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(
    ("took", "waited", "held"), [(4.9, 0.0, True), (5.1, 0.0, False), (30.0, 26.0, True), (30.0, 24.0, False)]
)
def test_what_was_waited_for_a_processor_does_not_count(
    kernel: Path, clock: list[float], took: float, waited: float, held: bool
) -> None:
    def act() -> None:
        say(kernel, 1000)
        with within(5):
            clock[0] += took
            say(kernel, 1000 + waited)

    if held:
        act()
    else:
        with pytest.raises(AssertionError, match=rf"{took} s, of which {waited} s"):
            act()


@pytest.mark.parametrize("text", [None, "", "nonsense"])
def test_where_the_kernel_does_not_say_all_of_it_counts(kernel: Path, text: str | None) -> None:
    if text is not None:
        kernel.write_text(text)
    assert stalled() == 0
