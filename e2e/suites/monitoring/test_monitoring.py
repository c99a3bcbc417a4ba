"""What Prometheus makes of a real Ringfence: every query of every dashboard, the names, the number of series."""

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from harness.api import Api
from harness.install import NAMESPACE, ROOT
from harness.prometheus import Prometheus, programs

DASHBOARDS = ROOT / "charts" / "ringfence" / "files" / "dashboards"
VARIABLES = {
    "fleet": {"cluster": ".*", "namespace": ".*"},
    "agent": {"cluster": ".*", "namespace": "research", "name": "waiter"},
}
TIMES = {"__rate_interval": "30s", "__range": "10m", "__interval": "15s"}


def queries() -> Iterator[tuple[str, str, str]]:
    """(dashboard, panel, query)."""
    for path in sorted(DASHBOARDS.glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", []):
                yield path.stem, panel["title"], target["expr"]


def filled(dashboard: str, query: str) -> str:
    """The query as Grafana sends it."""
    for name, value in (TIMES | VARIABLES[dashboard]).items():
        query = re.sub(rf"\${name}\b", value, query)
    assert "$" not in query
    return query


@pytest.mark.parametrize(("dashboard", "panel", "query"), list(queries()))
def test_every_panel_shows_something(seen: Prometheus, dashboard: str, panel: str, query: str) -> None:
    assert seen.query(filled(dashboard, query)), f"{panel}: {filled(dashboard, query)}"


def test_the_choices_of_the_dashboards(seen: Prometheus) -> None:
    """Namespace and agent, above the panels."""
    for path in DASHBOARDS.glob("*.json"):
        for variable in json.loads(path.read_text())["templating"]["list"]:
            if variable["type"] == "query" and variable["name"] != "cluster":  # this one sets no such label
                selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]).groups()  # type: ignore[union-attr]
                values = {series[label] for series in seen.series(filled(path.stem, selector))}
                assert values, variable["query"]


def test_violations_by_source_and_rule(seen: Prometheus) -> None:
    found = {
        (sample.labels["source"], sample.labels["rule"])
        for sample in seen.query("sum by (source, rule, namespace) (ringfence_violations_total) > 0")
    }
    assert ("drift", "ChildDeleted") in found
    assert ("policy", "NamespaceNotOpened") in found
    assert ("admission", "EgressMetadata") in found


def test_agents_by_condition(seen: Prometheus) -> None:
    assert seen.value('ringfence_agents{condition="Ready",status="True"}') == 6
    assert seen.value("ringfence_agents_suspended") == 1
    assert seen.value('ringfence_agents_longest_wait_seconds{condition="WorkloadAvailable"}') > 0
    assert seen.value('ringfence_agents_longest_wait_seconds{condition="Accepted"}') > 0
    assert seen.value('ringfence_agent_repairs_total{name="researcher"}') == 2
    assert [s.labels["name"] for s in seen.query("ringfence_agent_suspended == 1")] == ["sleeper"]


def test_processes(seen: Prometheus) -> None:
    assert seen.value("sum(ringfence_leader)") == 1
    assert seen.value("min(ringfence_admission_webhook_in_force)") == 1
    assert seen.value("count by (component) (ringfence_build_info)") == 4
    assert seen.value("min(ringfence_ready)") == 1
    assert seen.value("min(ringfence_admission_certificate_expiry_timestamp_seconds) - time()") > 80 * 86400
    for metric in ("ringfence_watch_last_event_timestamp_seconds", "ringfence_resync_last_success_timestamp_seconds"):
        assert seen.value(f"time() - max({metric})") < 120


def test_a_standby_does_not_speak_of_what_it_does_not_know(seen: Prometheus) -> None:
    """Else an alert would take its 0 for the truth."""
    for metric in ("ringfence_admission_webhook_in_force", "ringfence_watch_last_event_timestamp_seconds"):
        assert len(seen.query(metric)) == 1


def test_no_alert_fires(seen: Prometheus) -> None:
    """Each alert's condition, asked right here: only what was provoked on purpose."""
    document: Any = yaml.safe_load((ROOT / "charts/ringfence/files/rules.yaml").read_text())
    rules = [rule for group in document["groups"] for rule in group["rules"] if "alert" in rule]
    met = {rule["alert"] for rule in rules if seen.query(rule["expr"])}
    provoked = {"RingfenceViolationsBurst", "RingfenceDriftRepeated"}
    on_a_kept_cluster = {"RingfenceAgentNotReady", "RingfenceAgentNotAccepted"}  # `waiter` and `stray`, a while later
    of_the_machine = {"RingfenceEventLoopLag"}  # the suites share two cores: one late start is a hundredth of all looks
    assert met <= provoked | on_a_kept_cluster | of_the_machine


def test_metrics_by_the_conventions(seen: Prometheus, api: Api) -> None:
    """Each process' own output, in promtool's eyes."""
    names = set()
    for target in seen.targets():
        text = api.text(target["scrapeUrl"][target["scrapeUrl"].index("/api/v1") :])
        names |= set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
        done = subprocess.run(
            [programs() / "promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout + done.stderr) == (0, "")
        assert NAMESPACE in target["scrapeUrl"]
    assert len([name for name in names if name.startswith("ringfence_")]) > 30
