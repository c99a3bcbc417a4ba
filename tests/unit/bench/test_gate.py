"""The gate says what moved, in the direction that is good for each figure."""

import json
from pathlib import Path

import pytest

from bench import gate
from cluster.errors import ClusterError

LESS = "repair, times one write"
MORE = "scale, creation: of a bare client's rate (300 agents)"


def report(repair: float, rate: float, agents: int = 300) -> dict[str, object]:
    steps = [{"of_floor": 0.01}, {"of_floor": rate}]
    return {"repair": {"times_floor": repair}, "scale": {"agents": agents, "creation": {"steps": steps}}}


def test_the_limit_is_on_the_bad_side_of_the_mean() -> None:
    found = gate.limits([report(1.0, 0.4), report(3.0, 0.8)])
    assert found[LESS] == {"mean": 2.0, "limit": 2.4, "runs": 2}
    assert found[MORE] == {"mean": 0.6, "limit": 0.5, "runs": 2}


def test_the_last_five_runs_count() -> None:
    found = gate.limits([report(100.0, 0.1)] + [report(2.0, 0.6)] * 5)
    assert found[LESS] == {"mean": 2.0, "limit": 2.4, "runs": 5}


@pytest.mark.parametrize(
    ("repair", "rate", "word"),
    [(2.3, 0.55, None), (2.5, 0.6, "worse"), (2.0, 0.49, "worse"), (1.6, 0.6, "better"), (2.0, 0.73, "better")],
)
def test_what_moved(repair: float, rate: float, word: str | None) -> None:
    moved = gate.compare(report(repair, rate), gate.limits([report(2.0, 0.6)]))
    assert [name for name in ("worse", "better", "new") if moved[name]] == ([word] if word else [])


def test_another_number_of_agents_is_another_figure() -> None:
    moved = gate.compare(report(2.0, 0.1, agents=10000), gate.limits([report(2.0, 0.6)]))
    assert moved["worse"] == []
    assert moved["new"] == ["scale, creation: of a bare client's rate (10000 agents): 0.1"]


def test_a_trial_that_failed_has_no_figures() -> None:
    assert gate.values({"repair": {"error": "no"}, "scale": {"agents": 3, "creation": {"steps": []}}}) == {}


def test_what_the_reports_have_not_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, one = tmp_path / "gate.json", tmp_path / "one.json"
    monkeypatch.setattr(gate, "FILE", file)
    file.write_text(json.dumps({"other": {"mean": 1, "limit": 1.2, "runs": 5}}))
    one.write_text(json.dumps({"repair": {"times_floor": 2.0}}))
    gate.write([one])
    assert json.loads(file.read_text()) == {
        "other": {"mean": 1, "limit": 1.2, "runs": 5},
        LESS: {"mean": 2.0, "limit": 2.4, "runs": 1},
    }


def test_without_reports_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ClusterError, match="run `make bench` first"):
        gate.write([])


def test_the_gate_file_names_figures_that_exist() -> None:
    assert all(gate._figure(name) for name in json.loads(gate.FILE.read_text()))
