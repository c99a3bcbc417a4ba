"""Agents as people write them, in `manifests/`: each is accepted under a policy that knows them, and only so."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from ringfence.api import AgentDeploymentSpec
from ringfence.cli.lint import command

ROOT = Path(__file__).parents[3]
FOLDER = Path(__file__).parent / "manifests"
PLATFORM = FOLDER / "platform.yaml"
EXAMPLES = ROOT / "examples" / "agents"
LEAST = 40


def lint(*arguments: Path) -> dict[str, list[Any]]:
    """Names -> violations."""
    result = CliRunner().invoke(command, ["-o", "json", *map(str, arguments)])
    assert result.exit_code in (0, 1), result.output
    return {one["name"]: one["violations"] for one in json.loads(result.stdout)["results"]}


def agents(folder: Path) -> list[dict[str, Any]]:
    found = [one for file in sorted(folder.glob("*.yaml")) for one in yaml.safe_load_all(file.read_text())]
    return [one for one in found if one["kind"] == "AgentDeployment"]


@pytest.mark.parametrize("folder", [FOLDER, EXAMPLES], ids=["manifests", "examples"])
def test_each_is_accepted(folder: Path) -> None:
    found = lint(Path("--policy"), folder, folder)
    assert {name: violations for name, violations in found.items() if violations} == {}
    assert sorted(found) == sorted(one["metadata"]["name"] for one in agents(folder)), "no name is there twice"


def test_there_are_enough_of_them_and_they_use_what_there_is() -> None:
    manifests = [*agents(FOLDER), *agents(EXAMPLES)]
    assert len(agents(FOLDER)) >= LEAST
    used = Counter(field for one in manifests for field in one["spec"])
    known = {field.alias or name for name, field in AgentDeploymentSpec.model_fields.items()}
    assert known - set(used) <= {"imageSignatures", "imagePullSecrets", "suspended"}, "what none of them shows"


def test_a_policy_that_does_not_know_them_refuses_them(tmp_path: Path) -> None:
    """So what is accepted above is what its policy says."""
    policy = next(one for one in yaml.safe_load_all(PLATFORM.read_text()) if one["kind"] == "AgentPolicy")
    for part in ("pods", "identity", "egress", "ingress", "permissions", "secrets", "images"):
        spec = {key: value for key, value in policy["spec"].items() if key != part}
        if part == "images":
            spec["images"] = {"registries": []}
        (tmp_path / "policy.yaml").write_text(yaml.safe_dump(policy | {"spec": spec}))
        found = lint(Path("--policy"), tmp_path, *(file for file in FOLDER.glob("*.yaml") if file != PLATFORM))
        assert any(found.values()), part
