"""Every field of the API, and valid objects in which exactly one field is changed."""

import re
from typing import Any

from api.parity import KINDS
from api.samples import full
from ringfence.api.schema import custom_resource_definition, walk

DELETE = object()
"""Stands for "take the field away"."""

TIED = ("storage", "health", "probes")
"""Fields of the full sample that a rule ties to others: they would stand in the way of changing those."""


def schema_of(kind: str) -> dict[str, Any]:
    """The schema of `spec`."""
    crd = custom_resource_definition(KINDS[kind][0])
    found: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


def all_fields() -> list[tuple[str, str, dict[str, Any]]]:
    """(kind, path below spec, schema); entries of lists are `[]`, values of maps `{}`."""
    return [(kind, path, node) for kind in KINDS for path, node in walk(schema_of(kind)) if path]


def with_field(kind: str, path: str, value: Any) -> dict[str, Any]:
    """A valid object but for `value` at the path, in the first entry of each list that has the field."""
    manifest = _around(kind, path)
    target, last = _find(manifest["spec"], path)
    if value is not DELETE:
        target[last] = value
    elif last in target:
        del target[last]
    return manifest


def sample_of(kind: str, path: str) -> Any:
    """What the full sample has at the path."""
    target, last = _find(full(kind, path)["spec"], path)
    return target[last]


def _around(kind: str, path: str) -> dict[str, Any]:
    manifest = full(kind, path)
    spec = manifest["spec"]
    for field in TIED:
        if not path.startswith(f".{field}"):
            spec.pop(field, None)
    if kind == "AgentDeployment":
        _untie(spec, path)
    if path == ".probes[].type":
        del spec["probes"][1:]
    if path.endswith(".port") and path.startswith((".health", ".network.ingress", ".probes", ".sidecars[].probes")):
        # The port that is named must exist: one for each length that is tried.
        spec["ports"] = [{"name": "a" * size, "port": 1} for size in (1, 15)]
        spec["network"]["ingress"] = spec["network"]["ingress"][:1]
        spec["network"]["ingress"][0]["port"] = "a"
        for probe in [
            *spec.get("probes", []),
            *(one for car in spec.get("sidecars", []) for one in car.get("probes", [])),
        ]:
            for way in ("http", "tcp"):
                if way in probe:
                    probe[way]["port"] = "a"
    return manifest


def _untie(spec: dict[str, Any], path: str) -> None:
    """Take away what names other entries: ports in rules and in a sidecar's probes, containers in secrets."""
    if path.startswith(".ports"):
        del spec["network"]["ingress"]
    if path == ".sidecars[].probes[].type":
        del spec["sidecars"][0]["probes"][1:]
    for sidecar in spec.get("sidecars", []):
        if not path.startswith(".sidecars[].probes"):
            sidecar.pop("probes", None)
    for secret in spec.get("secrets", []):
        if not path.startswith(".secrets"):
            secret.pop("containers", None)


def _has(entry: Any, words: list[str]) -> bool:
    """Whether an entry has the field, or at least all above it but a list's entries."""
    for word in words:
        if word in {"[]", "{}"}:
            return True
        if not isinstance(entry, dict) or word not in entry:
            return False
        entry = entry[word]
    return isinstance(entry, (dict, list)) or bool(words)


def _find(spec: dict[str, Any], path: str) -> tuple[Any, Any]:
    """The object or list that holds the field, and the key or index that it has there."""
    target: Any = spec
    words = re.findall(r"\[\]|\{\}|[^.\[\]{}]+", path)
    for number, word in enumerate(words):
        key, below = word, "".join(words[number + 1 : number + 2])
        if word == "{}":
            key = next(iter(target))
        elif word == "[]":
            key = next((i for i, entry in enumerate(target) if _has(entry, words[number + 1 :])), 0)
        if not below:
            return target, key
        target = target[key]
    raise AssertionError(path)
