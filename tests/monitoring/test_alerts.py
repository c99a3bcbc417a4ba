"""Every alert: one case that fires it, one that does not, judged by promtool; and a page that says what to do."""

import functools
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.rendering import ROOT, of_kind
from harness import prometheus

CASES: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("cases.yaml").read_text())
RUNBOOKS = ROOT / "docs" / "runbooks"
SECTIONS = ["What it means", "What to look at", "What to do"]
LEAST = 12
ON = ("--set", "monitoring.prometheusRule.enabled=true")


@functools.cache
def groups() -> list[dict[str, Any]]:
    """The groups that the chart renders: with what it adds."""
    (rule,) = of_kind("PrometheusRule", *ON).values()
    found: list[dict[str, Any]] = rule["spec"]["groups"]
    return found


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for group in groups() for rule in group["rules"] if "alert" in rule}


def promtool(*args: str | Path) -> tuple[int, str]:
    program = prometheus.programs() / "promtool"
    done = subprocess.run([program, *args], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": groups()}))
    return path


def _expected(name: str, case: dict[str, Any]) -> dict[str, Any]:
    alert = alerts()[name]
    labels = case.get("labels", {})
    summary = re.sub(r"{{ \$labels\.(\w+) }}", lambda found: labels[found[1]], alert["annotations"]["summary"])
    return {
        "exp_labels": labels | alert["labels"],
        "exp_annotations": {
            "summary": summary,
            "description": case["says"],
            "runbook": alert["annotations"]["runbook"],
        },
    }


def unit(rules: Path, name: str, kind: str) -> Path:
    """promtool's file for one case."""
    case = CASES[name][kind]
    check = {"eval_time": case["at"], "alertname": name}
    check["exp_alerts"] = [_expected(name, case)] if kind == "fires" else []
    series = [{"series": key, "values": str(values)} for key, values in case["series"].items()]
    path = rules.with_name(f"{name}-{kind}.yaml")
    document = {
        "rule_files": [rules.name],
        "tests": [{"interval": "1m", "input_series": series, "alert_rule_test": [check]}],
    }
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("kind", ["fires", "quiet"])
def test_alert(rules: Path, name: str, kind: str) -> None:
    code, told = promtool("test", "rules", unit(rules, name, kind))
    assert code == 0, told


def test_a_case_can_fail(rules: Path) -> None:
    """The alert of one case, asked about the series of the other."""
    path = unit(rules, "RingfenceNoLeader", "fires")
    path.write_text(path.read_text().replace("1 0+0x10", "1 1x10"))
    code, told = promtool("test", "rules", path)
    assert code == 1
    assert "FAILED" in told


def test_every_alert_has_its_cases() -> None:
    assert set(CASES) == set(alerts())
    assert len(CASES) >= LEAST


def test_no_series_is_read_as_hexadecimal() -> None:
    values = [str(text) for case in CASES.values() for kind in case.values() for text in kind["series"].values()]
    assert not [text for text in values if re.search(r"(^| )0x", text)]


def test_the_rules_are_right_in_promtools_eyes(rules: Path) -> None:
    code, told = promtool("check", "rules", rules)
    assert code == 0, told
    assert f"SUCCESS: {len(alerts()) + 1} rules found" in told


@pytest.mark.parametrize("name", CASES)
def test_every_alert_says_what_a_person_needs(name: str) -> None:
    alert = alerts()[name]
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook"}
    assert alert["annotations"]["runbook"] == f"docs/runbooks/{name}.md"


@pytest.mark.parametrize("name", CASES)
def test_every_alert_has_a_page(name: str) -> None:
    text = (RUNBOOKS / f"{name}.md").read_text()
    assert text.startswith(f"# {name}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    assert f"({name}.md)" in (RUNBOOKS / "README.md").read_text()


def test_no_page_without_an_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == set(CASES) | {"README"}
