"""`ringfence policy check --against-cluster`: whom policies would hit before they are applied."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from ringfence.api.names import API_VERSION
from ringfence.cli import against_cluster
from ringfence.cli.main import cli
from ringfence.kube import path_of
from unit.cli.fake import NAMESPACE, Cluster

ELSEWHERE: dict[str, Any] = {"images": {"registries": ["nowhere.example"]}}
AGENTS = path_of(API_VERSION, "agentdeployments")


def policy(name: str = "team", **spec: Any) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": "AgentPolicy", "metadata": {"name": name}, "spec": spec}


class Check:
    """The command with one policy of that spec, against a cluster with an agent."""

    def __init__(self, kube: Cluster, monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
        self.kube, self._monkeypatch, self._file = kube, monkeypatch, file
        kube.put_namespace()
        kube.put_agent()

    def stored(self, name: str = "team", **spec: Any) -> None:
        self.kube.put(API_VERSION, "agentpolicies", policy(name, **spec))

    def __call__(self, *arguments: str, name: str = "team", **spec: Any) -> Result:
        self._file.write_text(yaml.safe_dump(policy(name, **spec)))
        return self.kube.run(self._monkeypatch, "policy", "check", "--against-cluster", *arguments, str(self._file))

    def agents(self, *arguments: str, **spec: Any) -> tuple[int, list[dict[str, Any]]]:
        result = self("-o", "json", *arguments, **spec)
        return result.exit_code, json.loads(result.stdout)["agents"]


@pytest.fixture
def check(kube: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Check:
    return Check(kube, monkeypatch, tmp_path / "policy.yaml")


@pytest.mark.parametrize(
    ("stored", "changed", "becomes", "code"),
    [
        pytest.param(None, {}, ("Runs", "Runs"), 0, id="a new one that it fits"),
        pytest.param(None, ELSEWHERE, ("Runs", "RunsOn"), 1, id="a new one that it does not fit"),
        pytest.param({}, ELSEWHERE | {"existing": "Suspend"}, ("Runs", "Suspended"), 1, id="suspended"),
        pytest.param(ELSEWHERE, ELSEWHERE, ("RunsOn", "RunsOn"), 0, id="it did not fit before, and nothing changes"),
        pytest.param(ELSEWHERE, ELSEWHERE | {"existing": "Suspend"}, ("RunsOn", "Suspended"), 1, id="suspended for it"),
        pytest.param(ELSEWHERE | {"existing": "Suspend"}, ELSEWHERE, ("Suspended", "RunsOn"), 0, id="runs again"),
        pytest.param(ELSEWHERE, {}, ("RunsOn", "Runs"), 0, id="fits again"),
        pytest.param({"surprise": 1}, {}, ("RunsOn", "Runs"), 0, id="in the place of one that cannot be read"),
    ],
)
def test_what_becomes_of_an_agent(
    check: Check, stored: dict[str, Any] | None, changed: dict[str, Any], becomes: tuple[str, str], code: int
) -> None:
    if stored is not None:
        check.stored(**stored)
    exit_code, (agent,) = check.agents(**changed)
    assert (agent["now"], agent["then"]) == becomes
    assert exit_code == code
    assert agent["hit"] is (code == 1)
    assert [one["rule"] for one in agent["violations"]] == ([] if becomes[1] == "Runs" else ["ImageRegistry"])
    assert agent["policies"] == ["team"]
    assert check.kube.writes == []


def test_one_that_never_was_accepted_is_not_called_running(check: Check) -> None:
    check.kube.put_agent(status={"acceptedGeneration": None})
    assert [one["then"] for one in check.agents(**ELSEWHERE)[1]] == ["NotStarted"]


def test_another_policy_counts_too(check: Check) -> None:
    """The strictest that binds decides what becomes of whom the new one does not allow."""
    check.stored("other", existing="Suspend")
    assert [one["then"] for one in check.agents(**ELSEWHERE)[1]] == ["Suspended"]


def test_whom_it_does_not_bind_is_left_out_unless_it_did_before(check: Check) -> None:
    away = {"namespaceSelector": {"matchLabels": {"team": "x"}}}
    assert check.agents(**away) == (0, [])
    check.stored(images={"requireDigest": False})
    check.kube.put_agent(spec={"image": "registry.example/a:1"})
    code, (agent,) = check.agents(**away)
    assert (code, agent["now"], agent["then"]) == (1, "Runs", "RunsOn")
    assert agent["policies"] == ["restricted (built-in)"]


def test_a_stored_policy_that_cannot_be_read_is_told_and_allows_nothing(check: Check) -> None:
    check.stored("broken", surprise=1)
    result = check("-o", "json")
    assert "AgentPolicy broken of the cluster cannot be read by this version" in result.stderr
    (agent,) = json.loads(result.stdout)["agents"]
    assert (agent["now"], agent["then"]) == ("RunsOn", "RunsOn")


def test_limits_count_the_others(check: Check) -> None:
    check.kube.put_agent("second")
    code, agents = check.agents(limits={"agents": 1})
    assert code == 1
    assert [(one["name"], one["hit"]) for one in agents] == [("researcher", False), ("second", True)]


def test_the_table_names_who_is_hit_and_why(check: Check) -> None:
    check.kube.put_agent("second", spec={"image": "nowhere.example/a@sha256:" + "0" * 64})
    result = check(**ELSEWHERE, existing="Suspend")
    lines = result.stdout.splitlines()
    assert lines[1].split("   ")[0] == "NAMESPACE"
    assert lines[2].split() == [NAMESPACE, "researcher", "fits", "suspended,", "no", "pods"]
    assert lines[3].startswith("  spec.image: ImageRegistry: ")
    assert lines[4:] == ["2 agents bound, 1 would be hit, 1 of them suspended"]
    assert result.exit_code == 1


def test_one_namespace_alone(check: Check) -> None:
    check.kube.answer(403, path="/api/v1/namespaces")
    check.kube.answer(403, path=AGENTS)
    assert check("-o", "json", **ELSEWHERE).exit_code == 2
    code, (agent,) = check.agents("-n", NAMESPACE, **ELSEWHERE)
    assert (code, agent["namespace"]) == (1, NAMESPACE)


def test_every_right_that_is_missing_is_said(check: Check) -> None:
    paths = [path_of(API_VERSION, "agentpolicies"), "/api/v1/namespaces", AGENTS]
    for path in paths:
        check.kube.answer(403, path=path)
    result = check()
    assert result.exit_code == 2
    said = result.stderr.splitlines()
    assert [f"cannot read {path};" in line for path, line in zip(paths, said, strict=True)] == [True] * 3
    assert all(line.endswith("ask for this right, or use a context that has it") for line in said)


def test_what_may_be_left_out_is_said(check: Check) -> None:
    check.kube.answer(403, path="/api/v1/nodes")
    result = check("-o", "json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["notLookedAt"] == ["nodes"]
    assert "not looked at: nodes" in result.stderr


def test_addresses_of_the_cluster_are_no_change_by_a_policy(check: Check) -> None:
    check.kube.put("v1", "nodes", {"metadata": {"name": "n"}, "status": {"addresses": [{"address": "203.0.113.7"}]}})
    check.kube.put_agent(spec={"network": {"egress": [{"cidr": "203.0.113.0/28", "ports": [443]}]}})
    open_to: dict[str, Any] = {"egress": {"cidrs": ["203.0.113.0/28"]}}
    check.stored(**open_to)
    code, (agent,) = check.agents(**open_to)
    assert (code, agent["now"], agent["then"]) == (0, "RunsOn", "RunsOn")
    code, (agent,) = check.agents(**open_to, existing="Suspend")
    assert (code, agent["then"]) == (1, "Suspended")


@pytest.mark.parametrize(("status", "said"), [(0, "does not answer"), (404, "is Ringfence installed?")])
def test_a_cluster_that_cannot_be_asked(check: Check, status: int, said: str) -> None:
    check.kube.answer(status, path=AGENTS)
    result = check()
    assert (result.exit_code, said in result.stderr) == (2, True)


def test_a_policy_that_cannot_be_read_asks_no_cluster(check: Check) -> None:
    result = check(surprise=1)
    assert result.exit_code == 2
    assert check.kube.requests == []


@pytest.mark.parametrize("arguments", [["-n", "x"], ["-o", "json"], ["--context", "x"]])
def test_options_of_the_cluster_need_it(arguments: list[str], tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(yaml.safe_dump(policy()))
    result = CliRunner().invoke(cli, ["policy", "check", *arguments, str(file)])
    assert (result.exit_code, "--against-cluster" in result.stderr) == (2, True)


def test_progress_is_said_every_two_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    progress = against_cluster.Progress(clock=lambda: now)
    for now in (0.5, 2.0, 3.9, 4.1):
        progress(f"at {now}")
    assert capsys.readouterr().err.splitlines() == ["at 2.0", "at 4.1"]
