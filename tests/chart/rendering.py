"""What helm makes of the chart."""

import functools
import json
from pathlib import Path
from typing import Any

import yaml

from cluster import programs
from cluster.shell import run

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "ringfence"
NAMESPACE = "ringfence-system"

Manifest = dict[str, Any]

IMAGE = ("-f", str(CHART / "ci" / "image-values.yaml"))
"""The chart names no image of its own: every rendering has to."""

VALUES = {
    "default": (),
    "dev": ("-f", str(CHART / "ci" / "dev-values.yaml")),
    "full": ("-f", str(CHART / "ci" / "full-values.yaml")),
    "small": ("-f", str(CHART / "ci" / "small-values.yaml")),
}
"""Sets of values that every check runs over: name -> arguments."""


def helm(*args: str) -> str:
    """Run helm. Raises CommandFailed."""
    return run([programs.tools() / "helm", *args])


@functools.cache
def text(*args: str) -> str:
    """The chart's manifests as YAML."""
    return helm("template", "ringfence", str(CHART), "--namespace", NAMESPACE, *IMAGE, *args)


def render(*args: str) -> list[Manifest]:
    """The chart's manifests."""
    return [document for document in yaml.safe_load_all(text(*args)) if document]


def of_kind(kind: str, *args: str) -> dict[str, Manifest]:
    """The manifests of one kind, by name."""
    return {item["metadata"]["name"]: item for item in render(*args) if item["kind"] == kind}


def pods(*args: str) -> dict[str, Manifest]:
    """The pods that would run, as Pod manifests, by the name of what makes them."""
    found = dict(of_kind("Pod", *args))
    for name, deployment in of_kind("Deployment", *args).items():
        template = json.loads(json.dumps(deployment["spec"]["template"]))
        metadata = template["metadata"] | {"name": name, "namespace": NAMESPACE}
        found[name] = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    return found
