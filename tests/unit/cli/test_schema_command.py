"""`ringfence schema`: what an editor accepts is what the API's types accept, as far as one object tells."""

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml
from click.testing import CliRunner

from ringfence.api.schema import walk
from ringfence.cli.main import cli

EXAMPLES = Path(__file__).parents[3] / "examples"


def schema(*arguments: str) -> Any:
    return json.loads(CliRunner().invoke(cli, ["schema", *arguments]).stdout)


def ours(file: Path) -> list[Any]:
    found = yaml.safe_load_all(file.read_text())
    return [one for one in found if one and one["kind"] in {"AgentDeployment", "AgentPolicy"}]


GOOD = [
    one for folder in (EXAMPLES, EXAMPLES / "agents") for file in sorted(folder.glob("*.yaml")) for one in ours(file)
]


@pytest.mark.parametrize("manifest", GOOD, ids=lambda one: one["metadata"]["name"])
def test_examples_fit(manifest: Any) -> None:
    jsonschema.Draft7Validator(schema()).validate(manifest)
    jsonschema.Draft7Validator(schema(manifest["kind"])).validate(manifest)


@pytest.mark.parametrize(
    "change",
    [{"kind": "Agent"}, {"apiVersion": "v1"}, {"spec": {}}, {"spec": {"image": "a b"}}, {"spec": None}]
    + [
        {"spec": GOOD[1]["spec"] | one} for one in ({"hostNetwork": True}, {"replicas": "1"}, {"env": [{"value": "x"}]})
    ],
)
def test_mistakes_are_marked(change: dict[str, Any]) -> None:
    agent = next(one for one in GOOD if one["kind"] == "AgentDeployment")
    assert not jsonschema.Draft7Validator(schema()).is_valid(agent | change)


def test_it_is_strict_described_and_without_what_only_kubernetes_reads() -> None:
    for kind in ("AgentDeployment", "AgentPolicy"):
        for path, node in walk(schema(kind)):
            assert not [keyword for keyword in node if keyword.startswith("x-kubernetes-")], path
            assert "properties" not in node or node["additionalProperties"] is False, path
    assert "pattern" in schema("AgentDeployment")["properties"]["spec"]["properties"]["image"]
    assert CliRunner().invoke(cli, ["schema", "Pod"]).exit_code == 2
