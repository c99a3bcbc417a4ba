"""`ringfence lint --cluster`: policies, namespaces, networks and agents of the cluster, changed by the files."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ringfence.api.names import AGENTS_ENABLED, AGENTS_LABEL, API_VERSION
from unit.cli.fake import NAMESPACE, Cluster
from unit.cli.test_lint import A, B, namespace, policy, reaching, write


def rules(kube: Cluster, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> set[str]:
    shown = kube.run(monkeypatch, "lint", "--cluster", "-o", "json", *arguments)
    assert shown.exit_code in {0, 1}, shown.stderr
    found = json.loads(shown.stdout)["results"]
    return {violation["rule"] for one in found for violation in one["violations"]}


@pytest.fixture
def team(kube: Cluster) -> Cluster:
    kube.put_namespace({AGENTS_LABEL: AGENTS_ENABLED, "team": "a"})
    for name, team, cidr in (("a", "a", A), ("b", "b", B)):
        kube.put(API_VERSION, "agentpolicies", policy(name, {"matchLabels": {"team": team}}, cidr))
    return kube


def test_the_clusters_policies_bind_by_its_labels(
    team: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fits = write(tmp_path / "a.yaml", reaching(A, NAMESPACE))
    assert rules(team, monkeypatch, fits) == set()
    assert rules(team, monkeypatch, write(tmp_path / "b.yaml", reaching(B, NAMESPACE))) == {"EgressAbovePolicy"}
    closed = write(tmp_path / "closed.yaml", reaching(A, "nowhere"))
    assert "NamespaceNotOpened" in rules(team, monkeypatch, closed)


def test_what_the_files_have_takes_the_place_of_what_is_there(
    team: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    agent = reaching(A, NAMESPACE)
    changed = write(tmp_path / "p.yaml", policy("a", {"matchLabels": {"team": "a"}}, B))
    file = write(tmp_path / "a.yaml", agent)
    assert rules(team, monkeypatch, "--policy", changed, file) == {"EgressAbovePolicy"}
    moved = write(tmp_path / "moved.yaml", agent, namespace(NAMESPACE, team="b", **{AGENTS_LABEL: AGENTS_ENABLED}))
    assert rules(team, monkeypatch, moved) == {"EgressAbovePolicy"}


def test_networks_of_the_cluster_and_agents_that_are_there_count(
    team: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    node = {"metadata": {"name": "n"}, "status": {"addresses": [{"address": "203.0.113.1"}]}}
    team.put("v1", "nodes", node)
    file = write(tmp_path / "a.yaml", reaching(A, NAMESPACE))
    assert rules(team, monkeypatch, file) == {"EgressClusterAddress"}
    limited = policy("a", {"matchLabels": {"team": "a"}}, A)
    limited["spec"]["limits"] = {"agents": 1}
    team.put(API_VERSION, "agentpolicies", limited)
    team.put_agent("other")
    assert "AgentsAbovePolicy" in rules(team, monkeypatch, file)


def test_rights_that_are_missing_are_named(kube: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kube.put_namespace()
    kube.answer(403, path=f"/apis/{API_VERSION}/agentpolicies")
    shown = kube.run(monkeypatch, "lint", "--cluster", write(tmp_path / "a.yaml", reaching(A, NAMESPACE)))
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert "ask for this right" in shown.stderr


def test_options_of_a_cluster_need_one(kube: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file: Any = tmp_path / "a.yaml"
    file.write_text(yaml.safe_dump(reaching(A)))
    assert kube.run(monkeypatch, "lint", "--context", "x", str(file)).exit_code == 2
