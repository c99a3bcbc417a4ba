"""`ringfence render` prints what the controller would write; `crds`, `policy` and `version` what they say."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from ringfence.api import AgentDeploymentSpec, parse
from ringfence.cli.main import COMMANDS, cli
from ringfence.cli.render import NO_UID
from ringfence.resources import Agent, build

EXAMPLES = Path(__file__).parents[3] / "examples"


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli, list(arguments), input=stdin)


def documents(result: Result) -> list[Any]:
    return list(yaml.safe_load_all(result.stdout))


def test_children_are_the_controllers_own() -> None:
    manifest = yaml.safe_load((EXAMPLES / "23-panel.yaml").read_text())
    result = run("render", "--policy", str(EXAMPLES / "01-policy.yaml"), "-", stdin=yaml.safe_dump(manifest))
    spec = parse(AgentDeploymentSpec, manifest["spec"]).value
    assert spec is not None
    metadata = manifest["metadata"]
    agent = Agent(name=metadata["name"], namespace=metadata["namespace"], uid=NO_UID, spec=spec)
    children = build(agent)
    for child in children:
        del child["metadata"]["ownerReferences"]  # an owner is known by its uid, and that in the cluster only
    assert documents(result) == children
    assert result.exit_code == 0


def test_who_says_the_ids_is_an_option() -> None:
    minimal = str(EXAMPLES / "20-minimal.yaml")
    assert "runAsUser: 65532" in run("render", minimal).stdout
    assert "runAsUser" not in run("render", "--user-ids", "assigned", minimal).stdout


def test_what_is_refused_becomes_nothing() -> None:
    result = run("render", str(EXAMPLES / "refused" / "wildcard.yaml"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "refused" in result.stderr


def test_what_only_the_cluster_knows_is_said() -> None:
    result = run("render", str(EXAMPLES / "22-librarian.yaml"))
    assert "known in the cluster only" in result.stderr


def test_crds_are_the_committed_ones() -> None:
    committed = [yaml.safe_load(file.read_text()) for file in sorted((EXAMPLES.parent / "crds").glob("*.yaml"))]
    assert documents(run("crds")) == committed


def test_the_built_in_policy_can_be_read_as_a_policy(tmp_path: Path) -> None:
    shown = tmp_path / "restricted.yaml"
    shown.write_text(run("policy", "show").stdout)
    assert run("policy", "check", str(shown)).exit_code == 0
    assert run("policy", "check", str(EXAMPLES / "20-minimal.yaml")).exit_code == 2


def test_a_policy_that_allows_nothing_is_warned_of(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    allow = [{"apiGroups": ["*"], "resources": ["pods"], "verbs": ["get"]}]
    manifest = {"kind": "AgentPolicy", "metadata": {"name": "p"}, "spec": {"permissions": {"allow": allow}}}
    file.write_text(yaml.safe_dump(manifest))
    result = run("policy", "check", str(file))
    assert result.exit_code == 0
    assert '"*" allows nothing: name each' in result.stderr


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself(name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.stdout


def test_version_names_the_api() -> None:
    assert "ringfence.dev/v1alpha1" in run("version").stdout
