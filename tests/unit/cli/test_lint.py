"""`ringfence lint`: the verdicts of admission, the documented JSON, and an exit code for each case."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from ringfence.api import AgentDeploymentSpec, parse
from ringfence.cli.lint import command
from ringfence.policy.decide import decide
from ringfence.policy.model import AgentObject, Facts, RuleName

DIGEST = "sha256:" + "0" * 64
GOOD: dict[str, Any] = {
    "apiVersion": "ringfence.dev/v1alpha1",
    "kind": "AgentDeployment",
    "metadata": {"name": "good", "namespace": "team"},
    "spec": {"image": f"registry.example/a@{DIGEST}"},
}
BAD: dict[str, Any] = GOOD | {"metadata": {"name": "bad"}, "spec": {"image": "a:1", "hostNetwork": True}}
OTHER: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}


def lint(*arguments: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(command, list(arguments), input=stdin)


def write(path: Path, *documents: Any) -> str:
    path.write_text("---\n".join(yaml.safe_dump(document) for document in documents))
    return str(path)


def test_accepted_is_0_refused_is_1_unreadable_is_2(tmp_path: Path) -> None:
    good, bad = write(tmp_path / "good.yaml", GOOD), write(tmp_path / "bad.yaml", BAD)
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [")
    assert lint(good).exit_code == 0
    assert lint(good, bad).exit_code == 1
    assert lint(good, bad, str(broken)).exit_code == 2
    assert lint(str(tmp_path / "absent.yaml")).exit_code == 2


def test_one_result_for_each_agent_with_the_index_of_its_document(tmp_path: Path) -> None:
    file = write(tmp_path / "many.yaml", OTHER, GOOD, None, BAD)
    found = json.loads(lint("-o", "json", file).output)["results"]
    assert [(one["document"], one["name"], one["accepted"]) for one in found] == [(1, "good", True), (3, "bad", False)]
    assert set(found[0]) == {
        "file", "document", "apiVersion", "kind", "namespace", "name", "accepted", "violations"
    }  # fmt: skip
    assert found[0]["file"] == file
    assert found[0]["violations"] == []
    assert [one["namespace"] for one in found] == ["team", "default"]
    assert {(one["rule"], one["path"]) for one in found[1]["violations"]} == {
        ("ImageNoDigest", "spec.image"),
        ("InvalidField", "spec.hostNetwork"),
    }


def test_the_verdict_is_that_of_the_one_decision(tmp_path: Path) -> None:
    (found,) = json.loads(lint("-o", "json", write(tmp_path / "x.yaml", BAD)).output)["results"]
    expected = decide(AgentObject(name="bad", namespace="default", spec=BAD["spec"]), [], Facts())
    assert [(v["rule"], v["path"], v["message"]) for v in found["violations"]] == [
        (v.rule, v.path, v.message) for v in expected
    ]


def test_text_names_file_line_path_rule_and_fix(tmp_path: Path) -> None:
    file = write(tmp_path / "bad.yaml", BAD)
    result = lint(file)
    line = next(n for n, text in enumerate(Path(file).read_text().splitlines(), 1) if "hostNetwork" in text)
    assert f"{file}:{line}: spec.hostNetwork: InvalidField: unknown field" in result.output
    assert "\x1b[" not in result.output


def test_a_list_is_looked_into(tmp_path: Path) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": [OTHER, BAD]}
    file = write(tmp_path / "list.yaml", listed)
    (found,) = json.loads(lint("-o", "json", file).output)["results"]
    assert (found["document"], found["name"]) == (0, "bad")


def test_sarif_points_at_file_and_line(tmp_path: Path) -> None:
    file = write(tmp_path / "bad.yaml", BAD)
    run = json.loads(lint("-o", "sarif", file).output)["runs"][0]
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == set(map(str, RuleName))
    for result in run["results"]:
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == file
        assert place["region"]["startLine"] > 1


def test_standard_input_may_be_read_and_may_not_be_empty() -> None:
    assert lint("-", stdin=yaml.safe_dump(GOOD)).exit_code == 0
    empty = lint("-", stdin="")
    assert empty.exit_code == 2
    assert "is empty" in empty.output


def test_policies_of_ones_own_take_the_place_of_the_built_in_one(tmp_path: Path) -> None:
    policy = {
        "apiVersion": "ringfence.dev/v1alpha1",
        "kind": "AgentPolicy",
        "metadata": {"name": "open"},
        "spec": {"egress": {"cidrs": ["203.0.113.0/24"]}},
    }
    agent = GOOD | {"spec": GOOD["spec"] | {"network": {"egress": [{"cidr": "203.0.113.0/28", "ports": [443]}]}}}
    file = write(tmp_path / "agent.yaml", agent)
    assert lint(file).exit_code == 1
    assert lint("--policy", write(tmp_path / "policy.yaml", policy), file).exit_code == 0
    broken = write(tmp_path / "broken.yaml", policy | {"spec": {"egress": {"cidrs": ["1.2.3.4/0"]}}})
    result = lint("--policy", broken, file)
    assert result.exit_code == 2
    assert "spec.egress.cidrs[0]" in result.output
    assert lint("--policy", file, file).exit_code == 2


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"apiVersion": "ringfence.dev/v9"}, "apiVersion"),
        ({"extra": 1}, "extra"),
        ({"metadata": {}}, "metadata.name"),
        ({"metadata": None}, "metadata.name"),
        ({"spec": None}, "spec"),
        ({"spec": []}, "spec"),
        ({"metadata": {"name": "a" * 64}}, "metadata.name"),
    ],
)
def test_the_envelope_is_judged_too(tmp_path: Path, change: dict[str, Any], path: str) -> None:
    (found,) = json.loads(lint("-o", "json", write(tmp_path / "x.yaml", GOOD | change)).output)["results"]
    assert path in {one["path"] for one in found["violations"]}


def test_nothing_to_judge_is_said_and_is_no_failure(tmp_path: Path) -> None:
    result = lint(write(tmp_path / "x.yaml", OTHER))
    assert result.exit_code == 0
    assert "no AgentDeployment found" in result.output


def test_a_thousand_documents_each_get_their_result(tmp_path: Path) -> None:
    file = write(tmp_path / "many.yaml", *[GOOD] * 1000)
    found = json.loads(lint("-o", "json", file).output)["results"]
    assert [one["document"] for one in found] == list(range(1000))
    assert parse(AgentDeploymentSpec, GOOD["spec"]).value is not None
