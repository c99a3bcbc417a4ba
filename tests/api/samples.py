"""The samples: whole manifests as people write them, and builders for objects that differ in one thing."""

import copy
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent / "samples"
IMAGE = "registry.example/acme/researcher@sha256:" + "a" * 64


def documents(verdict: str) -> Iterator[tuple[str, str]]:
    """(name, YAML text) of each document below samples/valid or samples/invalid."""
    for path in sorted((FOLDER / verdict).glob("*.yaml")):
        for number, text in enumerate(path.read_text(encoding="utf-8").split("\n---\n"), 1):
            yield f"{path.stem}-{number}", text


def read(text: str) -> Any:
    """YAML as the API server's reader takes it: on its way to JSON it writes 3.0 as 3."""
    return _whole(yaml.safe_load(text))


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _whole(below) for key, below in value.items()}
    if isinstance(value, list):
        return [_whole(below) for below in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@cache
def _full(kind: str) -> dict[str, Any]:
    path = FOLDER / "valid" / f"full-{kind.lower()}.yaml"
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def full(kind: str) -> dict[str, Any]:
    """A valid object with every field of its kind."""
    return copy.deepcopy(_full(kind))


def agent(name: Any = "agent", **spec: Any) -> dict[str, Any]:
    """The smallest AgentDeployment, with these fields of spec."""
    return {
        "apiVersion": "ringfence.dev/v1alpha1",
        "kind": "AgentDeployment",
        "metadata": {"name": name},
        "spec": {"image": IMAGE, **spec},
    }


def policy(name: Any = "policy", **spec: Any) -> dict[str, Any]:
    """The smallest AgentPolicy, with these fields of spec."""
    return {
        "apiVersion": "ringfence.dev/v1alpha1",
        "kind": "AgentPolicy",
        "metadata": {"name": name},
        "spec": spec,
    }
