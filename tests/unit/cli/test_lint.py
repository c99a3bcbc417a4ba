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


def policy(name: str, selector: Any, cidr: str) -> dict[str, Any]:
    """One that allows a network to the namespaces that it selects."""
    return {
        "apiVersion": "ringfence.dev/v1alpha1",
        "kind": "AgentPolicy",
        "metadata": {"name": name, "uid": "1", "managedFields": []},
        "spec": {"namespaceSelector": selector, "egress": {"cidrs": [cidr]}},
        "status": {"boundAgents": 1},
    }


def namespace(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def reaching(cidr: str, place: str = "team-a") -> dict[str, Any]:
    """An agent that reaches a network."""
    egress = [{"cidr": cidr, "ports": [443]}]
    return GOOD | {
        "metadata": {"name": "a", "namespace": place},
        "spec": GOOD["spec"] | {"network": {"egress": egress}},
    }


A, B = "203.0.113.0/28", "198.51.100.0/28"
TWO = [
    policy("a", {"matchLabels": {"team": "a"}}, A),
    policy("b", {"matchExpressions": [{"key": "team", "operator": "In", "values": ["b"]}]}, B),
]
OPEN = {"ringfence.dev/agents": "enabled"}


def test_a_policy_binds_the_namespaces_that_it_selects(tmp_path: Path) -> None:
    policies = write(tmp_path / "policies.yaml", *TWO, namespace("team-a", team="a", **OPEN))
    assert lint("--policy", policies, write(tmp_path / "a.yaml", reaching(A))).exit_code == 0
    assert lint("--policy", policies, write(tmp_path / "b.yaml", reaching(B))).exit_code == 1
    # Beside the agent the Namespace says as much.
    policies = write(tmp_path / "policies.yaml", *TWO)
    place = namespace("team-a", team="a", **OPEN)
    assert lint("--policy", policies, write(tmp_path / "a.yaml", reaching(A), place)).exit_code == 0
    closed = lint("--policy", policies, write(tmp_path / "a.yaml", reaching(A), namespace("team-a", team="a")))
    assert "NamespaceNotOpened" in closed.output


def test_where_labels_are_not_known_a_policy_binds_and_that_is_said(tmp_path: Path) -> None:
    result = lint("--policy", write(tmp_path / "p.yaml", *TWO), write(tmp_path / "a.yaml", reaching(A)))
    assert result.exit_code == 1
    assert "the labels of namespace team-a are not known, so these are taken to bind it: a, b;" in result.stderr
    alone = lint("--policy", write(tmp_path / "p.yaml", TWO[0]), write(tmp_path / "a.yaml", reaching(A)))
    assert (alone.exit_code, alone.stderr) == (0, "1 AgentDeployments, 0 refused\n")


def test_by_its_name_a_namespace_is_always_known(tmp_path: Path) -> None:
    named = [
        policy(team, {"matchLabels": {"kubernetes.io/metadata.name": f"team-{team}"}}, cidr)
        for team, cidr in (("a", A), ("b", B))
    ]
    result = lint("--policy", write(tmp_path / "p.yaml", *named), write(tmp_path / "a.yaml", reaching(A)))
    assert (result.exit_code, result.stderr) == (0, "1 AgentDeployments, 0 refused\n")


@pytest.mark.parametrize("kind", ["List", "AgentPolicyList"])
def test_policies_inside_of_lists_and_of_directories_count(tmp_path: Path, kind: str) -> None:
    """A list is what `kubectl get agp -o yaml` prints, with all that the cluster has put into it."""
    folder = tmp_path / "platform" / "deep"
    folder.mkdir(parents=True)
    write(folder / "other.yaml", OTHER)
    write(folder / "all.yaml", {"apiVersion": "v1", "kind": kind, "items": [policy("a", {}, A)]})
    agent = write(tmp_path / "a.yaml", reaching(A))
    assert lint(agent).exit_code == 1
    assert lint("--policy", str(tmp_path / "platform"), agent).exit_code == 0
    assert lint("--policy", str(tmp_path / "platform"), "--exclude", "all.yaml", agent).exit_code == 2


@pytest.mark.parametrize(
    "listed",
    [
        {"apiVersion": "example.com/v1", "kind": "ThingList", "items": [BAD]},
        {"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "List", "items": [BAD]}]},
        {"apiVersion": BAD["apiVersion"], "kind": "AgentDeploymentList",
         "items": [{key: BAD[key] for key in ("metadata", "spec")}]},
    ],
)  # fmt: skip
def test_a_list_of_any_kind_is_looked_into(tmp_path: Path, listed: dict[str, Any]) -> None:
    (found,) = json.loads(lint("-o", "json", write(tmp_path / "list.yaml", listed)).output)["results"]
    assert found["accepted"] is False
    assert found["name"] == "bad"


def test_each_violation_has_its_line_in_yaml_and_in_json(tmp_path: Path) -> None:
    for text in (yaml.safe_dump(BAD), json.dumps(BAD, indent=2)):
        file = tmp_path / "x"
        file.write_text(text)
        (found,) = json.loads(lint("-o", "json", str(file)).output)["results"]
        lines = text.splitlines()
        assert {one["path"].rpartition(".")[2] for one in found["violations"]} == {"image", "hostNetwork"}
        for one in found["violations"]:
            assert one["path"].rpartition(".")[2] in lines[one["line"] - 1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "AgentDeploymnet"}, "did you mean AgentDeployment?"),
        ({"kind": "agentdeployment"}, "did you mean AgentDeployment?"),
        ({"kind": "Thing"}, "write AgentDeployment or AgentPolicy"),
        ({"apiVersion": "ringfence.io/v1alpha1"}, "write ringfence.dev/v1alpha1"),
        ({"apiVersion": "Ringfence.dev/v1alpha1"}, "write ringfence.dev/v1alpha1"),
        ({"apiVersion": "v1alpha1"}, None),
        ({"apiVersion": "agents.example/v1"}, None),
    ],
)
def test_what_was_perhaps_meant_to_be_an_agent_is_not_passed_over(
    tmp_path: Path, change: dict[str, str], said: str | None
) -> None:
    result = lint(write(tmp_path / "x.yaml", GOOD | change))
    assert result.exit_code == (1 if said else 0)
    assert (said or "no AgentDeployment found") in result.output
