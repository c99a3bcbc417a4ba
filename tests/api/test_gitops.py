"""The expressions that docs/how-to/gitops.md has for Flux, evaluated by an API server: the same language, CEL."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import Cluster, CommandFailed
from cluster.shell import wait_for

PAGE = (Path(__file__).parents[2] / "docs/how-to/gitops.md").read_text()
(TEXT,) = re.findall(r"^```yaml\n(apiVersion: kustomize\.toolkit.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
(CHECK,) = yaml.safe_load(TEXT)["spec"]["healthCheckExprs"]
NAME = "statuses.gitops.example.test"

Object = dict[str, Any]


def _crd() -> Object:
    """A kind with the status of an agent, whose objects are refused where the expression that they name is false."""
    condition = {
        "type": "object",
        "properties": {name: {"type": "string", "maxLength": 64} for name in ("type", "status", "reason")},
    }
    status = {"type": "object", "properties": {"conditions": {"type": "array", "maxItems": 16, "items": condition}}}
    here = {name: re.sub(r"(?<![\w.])status[.]", "self.status.", CHECK[name]) for name in ("current", "failed")}
    rules = [{"rule": f"self.asked != '{name}' || ({text})"} for name, text in here.items()]
    schema = {
        "type": "object",
        "properties": {"status": status, "asked": {"type": "string", "maxLength": 16}},
        "x-kubernetes-validations": rules,
    }
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "statuses", "singular": "status", "kind": "Status"}
    spec = {"group": "gitops.example.test", "scope": "Cluster", "names": names, "versions": [version]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": NAME},
        "spec": spec,
    }


@pytest.fixture(scope="module")
def kind(cluster: Cluster) -> Iterator[Cluster]:
    cluster.apply(_crd())
    wait_for("the kind", lambda: cluster.kubectl("get", NAME) == "")
    yield cluster
    cluster.kubectl("delete", "crd", NAME)


def holds(cluster: Cluster, expression: str, conditions: list[tuple[str, str, str]]) -> bool:
    listed = [{"type": kind, "status": status, "reason": reason} for kind, status, reason in conditions]
    body = {
        "apiVersion": "gitops.example.test/v1",
        "kind": "Status",
        "metadata": {"name": "a"},
        "asked": expression,
        "status": {"conditions": listed},
    }
    try:
        cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(body))
    except CommandFailed as refused:
        if "failed rule" in refused.output:
            return False
        raise
    return True


@pytest.mark.parametrize(
    ("conditions", "current", "failed"),
    [
        ([("Ready", "True", "Ready"), ("Stalled", "False", "Ready")], True, False),
        ([("Ready", "False", "Suspended"), ("Stalled", "False", "Suspended")], True, False),
        ([("Ready", "False", "Progressing"), ("Stalled", "False", "Progressing")], False, False),
        ([("Ready", "False", "Refused"), ("Stalled", "True", "Refused")], False, True),
        ([("Ready", "False", "SuspendedByPolicy"), ("Stalled", "True", "SuspendedByPolicy")], False, True),
    ],
)
def test_flux_is_told_right(kind: Cluster, conditions: list[tuple[str, str, str]], current: bool, failed: bool) -> None:
    assert CHECK["kind"] == "AgentDeployment"
    assert holds(kind, "current", conditions) is current
    assert holds(kind, "failed", conditions) is failed
