"""What a Job's template says, beside what the API server, and the moment at which it began, add to it."""

from collections.abc import Mapping
from typing import Any

from .kinds import Manifest, with_names, without_names

_OF_JOBS = frozenset(
    {"controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"}
)
"""Labels that the API server gives to the pods of a Job."""


def of_run(spec: Manifest) -> Manifest:
    """What a Job says, without the names that its pods know, and what the API server adds: a selector, labels."""
    template = spec.get("template") or {}
    metadata = template.get("metadata") or {}
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key not in _OF_JOBS}
    kept = {key: value for key, value in metadata.items() if value is not None} | {"labels": labels}
    pod = without_names(template.get("spec") or {})
    return {key: value for key, value in spec.items() if key != "selector"} | {
        "template": template | {"metadata": kept, "spec": pod}
    }


def with_immutable(spec: Manifest, live: Mapping[str, Any]) -> Manifest:
    """The spec of a Job with what the stored one has and nobody may change: selector, labels, names that pods know."""
    template, found = spec["template"], live["spec"]["template"]
    added = {key: value for key, value in found["metadata"]["labels"].items() if key in _OF_JOBS}
    metadata = template["metadata"] | {"labels": template["metadata"]["labels"] | added}
    pod = with_names(template["spec"], found["spec"])
    return spec | {"selector": live["spec"]["selector"], "template": template | {"metadata": metadata, "spec": pod}}
