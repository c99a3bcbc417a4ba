"""What is recorded is what is drawn, and a picture of something else is stale."""

import json
import shutil
from pathlib import Path

import pytest
from tools.generate import ROOT
from tools.panel_pictures import stale
from tools.panel_pictures.panels import DASHBOARDS, rows
from tools.panel_pictures.samples import Samples, openmetrics, parse, text_of
from tools.panel_pictures.words import color, cut, name, number
from tools.pictures import PictureError

SAMPLES = Samples(
    1_700_000_000,
    10,
    (
        ({"__name__": "up", "pod": 'a "b"'}, (None, 1.0, 1.0, 0.25)),
        ({"__name__": "down"}, (0.0, 0.0, 0.0, None)),
    ),
)


def test_what_is_stored_is_what_was_recorded() -> None:
    found = parse(text_of(SAMPLES))
    assert (found.start, found.step, found.end) == (1_700_000_000, 10, 1_700_000_030)
    assert sorted(found.series, key=str) == sorted(SAMPLES.series, key=str)


def test_equal_values_are_counted() -> None:
    assert '{"__name__": "down"} 0x3 _\n' in text_of(SAMPLES)


def test_samples_that_are_not_there_are_not_written() -> None:
    assert openmetrics(SAMPLES).splitlines() == [
        'up{pod="a \\"b\\""} 1.0 1700000010',
        'up{pod="a \\"b\\""} 1.0 1700000020',
        'up{pod="a \\"b\\""} 0.25 1700000030',
        "down{} 0.0 1700000000",
        "down{} 0.0 1700000010",
        "down{} 0.0 1700000020",
        "# EOF",
    ]


@pytest.mark.parametrize(
    ("value", "unit", "told"),
    [
        (0, "s", "0"),
        (0.0042, "s", "4.2 ms"),
        (30, "s", "30 s"),
        (240, "s", "4 min"),
        (7200, "s", "2 h"),
        (86400 * 89, "s", "89 d"),
        (50 * 2**20, "bytes", "50 MiB"),
        (0.5, "reqps", "0.5/s"),
        (12345, "short", "12,345"),
        (3, "short", "3"),
    ],
)
def test_numbers_have_units(value: float, unit: str, told: str) -> None:
    assert number(value, unit) == told


def test_series_are_called_by_their_legend() -> None:
    labels = {"verb": "create", "kind": "Role"}
    assert name("{{verb}} {{kind}}", labels) == "create Role"
    assert name("__auto", labels) == "Role, create"
    assert name("{{namespace}}", labels) == "none"


def test_colours_go_by_the_highest_threshold_that_is_reached() -> None:
    steps: list[dict[str, object]] = [
        {"color": "green", "value": None},
        {"color": "orange", "value": 1},
        {"color": "red", "value": 50},
    ]
    assert [color(value, steps) for value in (0, 1, 50)] == ["green", "orange", "red"]


def test_pods_are_still_told_apart_when_their_names_are_cut() -> None:
    assert cut("ringfence-controller-6f7c9d8b5-abcde", 16) == "ringfence-…abcde"
    assert cut("short", 16) == "short"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Dashboards, samples, and a picture of each row."""
    shutil.copytree(ROOT / DASHBOARDS, tmp_path / DASHBOARDS)
    (tmp_path / stale.SAMPLES).parent.mkdir(parents=True)
    (tmp_path / stale.SAMPLES).write_text(text_of(SAMPLES))
    for row in rows(tmp_path):
        (tmp_path / row.path).write_text(f"<svg/>\n{stale.mark(tmp_path, row)}\n")
    return tmp_path


def test_pictures_of_what_is_there_are_taken(copy: Path) -> None:
    assert set(stale.files(copy)) == {row.path for row in rows(copy)}


@pytest.mark.parametrize("change", ["query", "samples", "missing"])
def test_a_picture_of_something_else_is_stale(copy: Path, change: str) -> None:
    board = copy / DASHBOARDS / "agent.json"
    if change == "query":
        board.write_text(board.read_text().replace("ringfence_agent_pods", "ringfence_agent_pod"))
    elif change == "samples":
        (copy / stale.SAMPLES).write_text(text_of(Samples(1_700_000_000, 5, SAMPLES.series)))
    else:
        (copy / rows(copy)[0].path).unlink()
    with pytest.raises(PictureError, match="run `make pictures`"):
        stale.files(copy)


def test_what_a_picture_does_not_show_may_change(copy: Path) -> None:
    board = copy / DASHBOARDS / "agent.json"
    changed = json.loads(board.read_text())
    changed["panels"][1]["description"] = "other words"
    board.write_text(json.dumps(changed))
    assert stale.files(copy)


def test_without_samples_there_are_no_pictures_to_be_stale(tmp_path: Path) -> None:
    assert stale.files(tmp_path) == {}
