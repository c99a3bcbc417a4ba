"""Whether what is stored is what we meant."""

import hashlib
import json
from typing import Any

from ringfence.api.names import GROUP

from .model import Manifest

DESIRED_ANNOTATION = f"{GROUP}/desired"
"""On every child: a hash of the manifest it was written from. Tells an edit by somebody from an update of ours."""

CONTENT = ("spec", "rules", "roleRef", "subjects", "automountServiceAccountToken", "data")
"""The top-level fields that hold what a child means, over all kinds of children."""
LOOSE_KINDS = {"PersistentVolumeClaim"}
"""Kinds whose spec the cluster itself completes (volumeName): what we wrote must be there, more may be."""


def stamp(manifest: Manifest) -> Manifest:
    """The manifest with its hash as an annotation. Owners are left out of it: they come and go with the workload."""
    content = {key: manifest[key] for key in CONTENT if key in manifest} | {"labels": manifest["metadata"]["labels"]}
    return manifest | {"metadata": manifest["metadata"] | {"annotations": {DESIRED_ANNOTATION: _hash(content)}}}


def matches(desired: Manifest, live: Manifest) -> bool:
    """Whether `live` holds all of `desired`, and nothing in its content that `desired` does not say."""
    return metadata_matches(desired, live) and content_matches(desired, live)


def metadata_matches(desired: Manifest, live: Manifest) -> bool:
    """Whether our labels, annotations and finalizers are there, and exactly our owners."""
    wanted, found = desired["metadata"], live["metadata"]
    return (
        _within(wanted["labels"], found.get("labels"))
        and _within(wanted["annotations"], found.get("annotations"))
        and set(wanted.get("finalizers", [])) <= set(found.get("finalizers", []))
        and _owners(desired) == _owners(live)  # a forged owner would have the garbage collector take the child away
    )


def content_matches(desired: Manifest, live: Manifest) -> bool:
    """Whether what the two mean is the same, whatever their metadata."""
    compare = _within if desired["kind"] in LOOSE_KINDS else _same
    return all(compare(desired.get(key), live.get(key)) for key in CONTENT)


def content_hash(manifest: Manifest) -> str:
    """A hash of what a manifest means, whatever its metadata."""
    return _hash({key: manifest[key] for key in CONTENT if manifest.get(key) is not None})


def edited(desired: Manifest, live: Manifest) -> bool:
    """Whether somebody else changed it: it was written from this very manifest and differs all the same."""
    written_from = live["metadata"].get("annotations", {}).get(DESIRED_ANNOTATION)
    same_source = written_from == desired["metadata"]["annotations"][DESIRED_ANNOTATION]
    foreign_owner = any(kind not in {"AgentDeployment", "Deployment"} for kind, _ in _owners(live))
    labels_lost = not _within(desired["metadata"]["labels"], live["metadata"].get("labels"))
    return foreign_owner or labels_lost or (same_source and not content_matches(desired, live)) or written_from is None


def controller_uid(live: Manifest) -> str | None:
    """Uid of the object that controls `live`, or None."""
    for owner in live["metadata"].get("ownerReferences", []):
        if owner.get("controller"):
            return str(owner["uid"])
    return None


def _hash(content: Manifest) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _owners(manifest: Manifest) -> set[tuple[str, str]]:
    return {(owner["kind"], owner["uid"]) for owner in manifest["metadata"].get("ownerReferences", [])}


def _same(wanted: Any, found: Any) -> bool:
    """Equal, where absent and empty are one: the API server drops empty lists and maps."""
    if isinstance(wanted, dict) or isinstance(found, dict):
        left, right = wanted or {}, found or {}
        if not (isinstance(left, dict) and isinstance(right, dict)):
            return False
        return all(_same(left.get(key), right.get(key)) for key in left.keys() | right.keys())
    if isinstance(wanted, list) or isinstance(found, list):
        left, right = wanted or [], found or []
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(wanted == found)


def _within(wanted: Any, found: Any) -> bool:
    """Whether everything of `wanted` is in `found`."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(_within(value, found.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and len(wanted) == len(found) and all(map(_within, wanted, found))
    return wanted is None or bool(wanted == found)
