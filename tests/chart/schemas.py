"""JSON schemas for kubeconform, from what a real API server says of itself (/openapi/v3): nothing is downloaded."""

import json
from pathlib import Path
from typing import Any

from cluster import Cluster

LOCATION = "{{.ResourceKind}}-{{.Group}}-{{.ResourceAPIVersion}}.json"
"""kubeconform's pattern for the files that `write` makes."""


def write(cluster: Cluster, folder: Path) -> int:
    """Write a schema for every kind that the API server knows; returns how many."""
    written = 0
    for described in json.loads(cluster.kubectl("get", "--raw", "/openapi/v3"))["paths"].values():
        document = json.loads(cluster.kubectl("get", "--raw", described["serverRelativeURL"]))
        components = document.get("components", {})
        for schema in components.get("schemas", {}).values():
            _close(schema)
        for name, schema in components.get("schemas", {}).items():
            for gvk in schema.get("x-kubernetes-group-version-kind", []):
                group = gvk["group"] or gvk["version"]  # kubeconform's name for the core group
                file = folder / f"{gvk['kind'].lower()}-{group}-{gvk['version']}.json"
                content = {"$ref": f"#/components/schemas/{name}", "components": components}
                file.write_text(json.dumps(content))
                written += 1
    return written


def _close(schema: Any) -> None:
    """Refuse unknown fields, as the API server does with strict field validation."""
    if isinstance(schema, list):
        for item in schema:
            _close(item)
    if not isinstance(schema, dict):
        return
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        schema.setdefault("additionalProperties", False)
    for key, value in schema.items():
        if key == "properties":
            for inner in value.values():
                _close(inner)
        elif key not in {"default", "example", "enum"}:
            _close(value)
