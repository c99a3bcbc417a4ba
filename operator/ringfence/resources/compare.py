"""Manifests beside what is stored, as whole objects: stamping, replacing, and what the API server may complete."""

import hashlib
import json
from typing import Any

from ringfence.api.names import RESTART_ANNOTATION
from ringfence.policy.pod_security import unrestricted

from .identity import identity_annotations
from .job_templates import with_immutable
from .kinds import CHILD_KINDS, Manifest, pod_template
from .stored import (
    CONTENT,
    DESIRED_ANNOTATION,
    Desired,
    StoredChild,
    content_fits,
    meaning,
    metadata_fits,
    stored,
)


def stamp(manifest: Manifest) -> Manifest:
    """The manifest with its hash as an annotation. Owners are left out of it: their uids come and go."""
    metadata = manifest["metadata"]
    content = meaning(manifest) | {"labels": metadata["labels"]}
    if manifest["kind"] == "Deployment":  # by which rotation it was restarted is read from what is stored
        template = content["spec"]["template"]
        of_pods = template["metadata"]
        bare = template | {"metadata": {"labels": of_pods["labels"]} | _written(of_pods)}
        content["spec"] = content["spec"] | {"template": bare}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    annotations = metadata.get("annotations", {}) | {DESIRED_ANNOTATION: digest}
    return manifest | {"metadata": metadata | {"annotations": annotations}}


def _written(metadata: Manifest) -> Manifest:
    """The annotations of a template that the spec asks for; nothing where there are none."""
    annotations = metadata.get("annotations", {})
    found = {key: text for key, text in annotations.items() if not key.startswith(RESTART_ANNOTATION)}
    return {"annotations": found} if found else {}


def matches(desired: Manifest, live: Manifest) -> bool:
    """Whether `live` holds all of `desired`, and nothing in its content that `desired` does not say."""
    return fits(Desired(desired), stored(live, desired["kind"]))


def fits(desired: Desired, live: StoredChild) -> bool:
    """The same of what is kept."""
    return metadata_fits(desired, live) and content_fits(desired, live)


def completed_only(desired: Manifest, live: Manifest) -> bool:
    """Whether all that `live` says beyond `desired` looks like defaults of the API server.

    To be asked of what was stored from the whole of `desired`: what differs then was put in on the way. A default is a
    plain value that switches nothing on; a container, a volume, `hostNetwork: true` is somebody's addition. So is what
    takes the pod out of the Pod Security Standard `restricted`, plain as it may be: `runAsUser: 0`.
    """
    if not CHILD_KINDS[desired["kind"]].completed:
        return content_fits(Desired(desired), stored(live, desired["kind"]))
    template = pod_template(desired["kind"], live)
    if unrestricted(template["spec"], template["metadata"].get("annotations"), closed=False):
        return False
    wanted, found = meaning(desired), meaning({**live, "kind": desired["kind"]})
    return all(_only_defaults(wanted.get(key), found.get(key)) for key in CONTENT)


def whole(desired: Manifest, live: Manifest) -> Manifest:
    """`desired` as the whole object, to replace `live`: others' labels and finalizers stay, their content goes.

    So do annotations by which a cloud would know it.
    """
    desired = acceptable(desired, stored(live, desired["kind"]))
    mine, found = desired["metadata"], live["metadata"]
    others = found.get("annotations") or {}
    kept = {key: text for key, text in others.items() if key not in identity_annotations(others)}
    metadata = mine | {
        "uid": found["uid"],
        "resourceVersion": found["resourceVersion"],
        "labels": (found.get("labels") or {}) | mine["labels"],
        "annotations": kept | mine["annotations"],
        "finalizers": sorted({*(found.get("finalizers") or []), *mine.get("finalizers", [])}),
    }
    if CHILD_KINDS[desired["kind"]].loose:  # what the cluster filled in may not be taken away again
        desired = desired | {"spec": live["spec"] | desired["spec"]}
    if desired["kind"] == "Job":
        desired = desired | {"spec": with_immutable(desired["spec"], live)}
    if assigned := CHILD_KINDS[desired["kind"]].assigned:
        kept = {name: live["spec"][name] for name in assigned if live.get("spec", {}).get(name)}
        desired = desired | {"spec": kept | desired["spec"]}
    return desired | {"metadata": metadata}


def acceptable(desired: Manifest, live: StoredChild) -> Manifest:
    """`desired` as it can be written over `live`: to an object that is being deleted nobody can add a finalizer."""
    if not live.deleting or live.foreground:
        return desired
    kept = {name: value for name, value in desired["metadata"].items() if name != "finalizers"}
    return desired | {"metadata": kept}


def _only_defaults(wanted: Any, found: Any) -> bool:
    """Whether `found` is `wanted` and, beside it, nothing but plain values none of which is True."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return all(_only_defaults(wanted.get(key), found.get(key)) for key in wanted.keys() | found.keys())
    if isinstance(wanted, list) and isinstance(found, list):
        return len(wanted) == len(found) and all(map(_only_defaults, wanted, found))
    if wanted is None and isinstance(found, dict):
        return all(_only_defaults(None, value) for value in found.values())
    if wanted is None and isinstance(found, str | int | float | bool):
        return found is not True
    if not wanted and not found and not isinstance(wanted, bool | int | float | str):
        return not isinstance(found, bool | int | float | str)  # absent and empty are one
    return type(wanted) is type(found) and bool(wanted == found)
