"""Which failures of a key are told: the first, second, fourth, eighth in a row, and once that it works again."""

import pytest

from ringfence.controller.runtime.failures import QUIET, Failures

SOON, LATE = 0.1, QUIET


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ("f", "f1"),
        ("w", ""),
        ("ffffffffff", "f1 f2 f4 f8"),
        ("fw", "f1 w1"),
        ("fffww", "f1 f2 w3"),
        ("f" * 9 + "w", "f1 f2 f4 f8 w9"),
        ("fwfwfwfwfw", "f1 w1 f2 w2 f4 w4"),
        ("fw-fw", "f1 w1 f1 w1"),
        ("f-f-f-f-f-w", "f1 f2 f4 w5"),
        ("fwfwf-wf", "f1 w1 f2 w2 f1"),
        ("fffnf", "f1 f2 n4"),
        ("fffffnw", "f1 f2 f4 n6 w6"),
        ("fwfwfwnw", "f1 w1 f2 w2 n4 w4"),
    ],
)
def test_what_is_told(steps: str, told: str) -> None:
    """f: it fails. n: by something new. w: it works. -: a pause."""
    failures, now, found = Failures[str](), 1000.0, list[str]()
    for step in steps:
        now += LATE if step == "-" else SOON
        if step in "fn":
            count, tell = failures.failed("a", now, news=step == "n")
            found += [f"{step}{count}"] if tell else []
        elif step == "w" and (count := failures.worked("a")):
            found.append(f"w{count}")
    assert " ".join(found) == told


def test_keys_are_counted_apart_and_forgotten() -> None:
    failures = Failures[str]()
    assert failures.failed("a", 1000.0) == failures.failed("b", 1000.0) == (1, True)
    assert failures.worked("b") == 1
    failures.failed("c", 1000.0 + QUIET)
    assert set(failures._rows) == {"a", "c"}, "what fails is remembered, and what works for long is not"
