"""The samples: whole manifests as people write them, and builders for objects that differ in one thing."""

import copy
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ringfence.cli import manifests

FOLDER = Path(__file__).parent / "samples"
IMAGE = "registry.example/acme/researcher@sha256:" + "a" * 64


def documents(verdict: str) -> Iterator[tuple[str, str]]:
    """(name, YAML text) of each document below samples/valid or samples/invalid."""
    for path in sorted((FOLDER / verdict).glob("*.yaml")):
        for number, text in enumerate(path.read_text(encoding="utf-8").split("\n---\n"), 1):
            yield f"{path.stem}-{number}", text


def read(text: str) -> Any:
    """The one document of a YAML text, by the reader that `ringfence lint` uses. Raises manifests.Unreadable."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        (document,) = manifests.read(file.name)
    return document.content


@cache
def _full(name: str) -> dict[str, Any]:
    path = FOLDER / "valid" / f"full-{name}.yaml"
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def full(kind: str, path: str = "") -> dict[str, Any]:
    """A valid object with every field of its kind but `run`; with those of `run`, where `path` lies there."""
    return copy.deepcopy(_full("run" if path.split(".")[1:2] == ["run"] else kind.lower()))


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
