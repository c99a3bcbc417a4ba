"""What the dashboards ask for and where their links lead; what Prometheus makes of it, in promtool's eyes."""

import json
import re
import urllib.parse
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.rendering import CHART
from monitoring.test_alerts import promtool

BOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text()) for path in (CHART / "files" / "dashboards").glob("*.json")
}
UIDS = {board["uid"]: name for name, board in BOARDS.items()}
METRIC = re.compile(r"\b((?:ringfence|process)_\w+)(\{[^}]*\})?")
TIMES = {"$__rate_interval": "2m", "$__range": "10m", "$namespace": ".*"}


def variables(board: str) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in BOARDS[board]["templating"]["list"]}


def queries(board: str) -> dict[tuple[str, str], str]:
    """Title of the panel and name of the query -> PromQL."""
    found = {
        (panel["title"], target["refId"]): target["expr"]
        for panel in BOARDS[board]["panels"]
        for target in panel.get("targets", [])
    }
    found |= {(name, "choice"): one["query"] for name, one in variables(board).items() if one["type"] == "query"}
    return found


def links(board: str) -> list[str]:
    """Addresses on values of panels."""
    configs = [panel["fieldConfig"] for panel in BOARDS[board]["panels"] if "fieldConfig" in panel]
    of_values = [link["url"] for config in configs for link in config["defaults"].get("links", [])]
    properties = [one for config in configs for override in config["overrides"] for one in override["properties"]]
    return of_values + [link["url"] for one in properties if one["id"] == "links" for link in one["value"]]


@pytest.mark.parametrize("board", BOARDS)
def test_every_metric_is_asked_for_in_the_chosen_clusters(board: str) -> None:
    for where, query in queries(board).items():
        if where != ("cluster", "choice"):
            assert METRIC.search(query), where
            assert all('cluster=~"$cluster"' in (found[2] or "") for found in METRIC.finditer(query)), where


@pytest.mark.parametrize("board", BOARDS)
def test_all_clusters_are_chosen_at_first_and_take_series_without_one(board: str) -> None:
    cluster = variables(board)["cluster"]
    assert cluster["includeAll"]
    assert cluster["allValue"] == ".*"
    assert cluster["current"]["value"] == ["$__all"]


@pytest.mark.parametrize("board", BOARDS)
def test_links_lead_to_a_dashboard_and_to_variables_that_it_has(board: str) -> None:
    for url in links(board):
        at = urllib.parse.urlsplit(url)
        there = UIDS[at.path.removeprefix("/d/")]
        named = set(re.findall(r"\bvar-(\w+)=", at.query)) | set(re.findall(r"\$\{(\w+):queryparam\}", at.query))
        assert {"cluster", "datasource"} <= named <= set(variables(there))
        assert set(re.findall(r"\$\{(\w+):queryparam\}", at.query)) <= set(variables(board))
        assert "${__url_time_range}" in at.query


def test_from_the_fleet_to_an_agent_and_back() -> None:
    assert any(url.startswith("/d/ringfence-agent?") and "var-name=" in url for url in links("fleet"))
    for board, other in (("fleet", "ringfence-agent"), ("agent", "ringfence-fleet")):
        (link,) = BOARDS[board]["links"]
        assert link["url"] == f"/d/{other}"
        assert link["includeVars"]
        assert link["keepTime"]


def test_a_row_has_what_its_links_name() -> None:
    for panel in BOARDS["fleet"]["panels"]:
        for field in set(re.findall(r"__(?:data\.fields|field\.labels)\.(\w+)", json.dumps(panel))):
            assert re.search(rf"by \([^)]*\b{field}\b", panel["targets"][0]["expr"]), panel["title"]


def asked(folder: Path, query: str, cluster: str, series: dict[str, str], expected: float) -> tuple[int, str]:
    """One query about some series, in promtool's eyes."""
    for name, value in (TIMES | {"$cluster": cluster}).items():
        query = query.replace(name, value)
    check = {"expr": query, "eval_time": "10m", "exp_samples": [{"labels": "{}", "value": expected}]}
    inputs = [{"series": key, "values": values} for key, values in series.items()]
    path = folder / "test.yaml"
    path.write_text(
        yaml.safe_dump({"tests": [{"interval": "1m", "input_series": inputs, "promql_expr_test": [check]}]})
    )
    return promtool("test", "rules", path)


READY = 'ringfence_agents{%scondition="Ready",status="True"}'
WITHOUT = {READY % "": "3x20"}
TWO = {READY % 'cluster="north",': "4x20", READY % 'cluster="south",': "5x20"}


@pytest.mark.parametrize(
    ("cluster", "series", "expected"),
    [(".*", WITHOUT, 3), (".*", TWO, 9), ("north", TWO, 4), ("(north|south)", TWO, 9)],
    ids=["no label", "all", "one", "two"],
)
def test_agents_of_the_chosen_clusters(tmp_path: Path, cluster: str, series: dict[str, str], expected: float) -> None:
    query = queries("fleet")["Agents ready", "A"]
    code, told = asked(tmp_path, query, cluster, series, expected)
    assert code == 0, told


def test_a_wrong_answer_is_seen(tmp_path: Path) -> None:
    code, told = asked(tmp_path, queries("fleet")["Agents ready", "A"], "north", TWO, 9)
    assert code == 1
    assert "FAILED" in told


@pytest.mark.parametrize("label", ["", 'cluster="north",'], ids=["no label", "with"])
def test_processes_are_joined_with_their_builds_within_a_cluster(tmp_path: Path, label: str) -> None:
    series = {
        f'process_resident_memory_bytes{{{label}pod="a"}}': "7x20",
        f'ringfence_build_info{{{label}pod="a",component="controller"}}': "1x20",
        'process_resident_memory_bytes{cluster="south",pod="a"}': "8x20",
        'ringfence_build_info{cluster="south",pod="a",component="controller"}': "1x20",
    }
    query = queries("fleet")["Memory", "A"]
    code, told = asked(tmp_path, f"sum({query})", ".*", series, 15)
    assert code == 0, told


OUT = 'ringfence_egress_requests_total{namespace="team",name="a",host="%s",verdict="%s"}'


@pytest.mark.parametrize(
    ("board", "panel", "expected"),
    [("fleet", "Requests by verdict", 12), ("fleet", "Refused by host", 7), ("agent", "Egress by host", 12)],
)
def test_what_went_out_and_was_refused_counts_from_the_first(
    tmp_path: Path, board: str, panel: str, expected: float
) -> None:
    series = {OUT % ("x.example", "allowed"): "_x5 5x20", OUT % ("undeclared", "refused"): "_x5 4x20"}
    series |= {OUT % ("x.example", "refused"): "_x5 3x20", OUT % ("y.example", "allowed"): "9x40"}
    query = queries(board)[panel, "A"].replace('namespace="$namespace",name="$name"', 'namespace="team",name="a"')
    code, told = asked(tmp_path, f"sum({query})", ".*", series, expected)
    assert code == 0, told
