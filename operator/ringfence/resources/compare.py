"""Whether what is stored is what we meant."""

import hashlib
import json
from typing import Any

from ringfence.api.names import API_VERSION, GROUP

from .model import DENY, Manifest

DESIRED_ANNOTATION = f"{GROUP}/desired"
"""On every child: a hash of the manifest it was written from. Tells an edit by somebody from an update of ours."""

CONTENT = ("spec", "rules", "roleRef", "subjects", "automountServiceAccountToken", "data")
"""The top-level fields that hold what a child means, over all kinds of children."""
LOOSE_KINDS = {"PersistentVolumeClaim"}
"""Kinds whose spec the cluster itself completes (volumeName): what we wrote must be there, more may be."""
COMPLETED_KINDS = {"Deployment"}
"""Kinds to whose spec a newer API server may add defaults that this code does not know."""
IMMUTABLE = {"RoleBinding": ("roleRef",), "Deployment": ("spec", "selector")}
"""What the API server never lets anybody change: where it differs, only deleting the object helps."""


def stamp(manifest: Manifest) -> Manifest:
    """The manifest with its hash as an annotation. Owners are left out of it: their uids come and go."""
    content = {key: manifest[key] for key in CONTENT if key in manifest} | {"labels": manifest["metadata"]["labels"]}
    if manifest["kind"] == "Deployment":  # by which rotation it was restarted is read from what is stored
        template = content["spec"]["template"]
        bare = template | {"metadata": {"labels": template["metadata"]["labels"]}}
        content["spec"] = content["spec"] | {"template": bare}
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


def completed_only(desired: Manifest, stored: Manifest) -> bool:
    """Whether all that `stored` says beyond `desired` looks like defaults of the API server.

    To be asked of what was stored from the whole of `desired`: what differs then was put in on the way. A default is a
    plain value that switches nothing on; a container, a volume, `hostNetwork: true` is somebody's addition.
    """
    if desired["kind"] not in COMPLETED_KINDS:
        return content_matches(desired, stored)
    return all(_only_defaults(desired.get(key), stored.get(key)) for key in CONTENT)


def immutable_differs(desired: Manifest, live: Manifest) -> bool:
    """Whether no update can make `live` into `desired`."""
    path = IMMUTABLE.get(desired["kind"], ())
    return bool(path) and not _same(_at(desired, path), _at(live, path))


def content_hash(manifest: Manifest) -> str:
    """A hash of what a manifest means, whatever its metadata."""
    return _hash({key: manifest[key] for key in CONTENT if manifest.get(key) is not None})


def written_from(manifest: Manifest) -> str | None:
    """The hash of the manifest that an object was last written from, or None where that mark is gone."""
    found: str | None = (manifest["metadata"].get("annotations") or {}).get(DESIRED_ANNOTATION)
    return found


def edited(desired: Manifest, live: Manifest, last_written: str | None = None) -> bool:
    """Whether somebody else changed `live`: its marks are not ours, or it differs from what we last wrote there.

    `last_written`: the hash that we remember to have written, where we do.
    """
    mark = written_from(live)
    if mark is None or (last_written is not None and mark != last_written):
        return True
    if not _within(desired["metadata"]["labels"], live["metadata"].get("labels")) or _owners_edited(desired, live):
        return True
    return mark == written_from(desired) and not content_matches(desired, live)


def controller_uid(live: Manifest) -> str | None:
    """Uid of the object that controls `live`, or None."""
    controller = _controller(live)
    return str(controller["uid"]) if controller else None


def controlled_by_earlier(live: Manifest, agent: str, uid: str) -> bool:
    """Whether `live` belongs to an AgentDeployment of that name that is not this one: the cluster removes it soon."""
    owner = _controller(live)
    kind = (owner.get("apiVersion"), owner.get("kind"), owner.get("name")) if owner else None
    return owner is not None and kind == (API_VERSION, "AgentDeployment", agent) and owner["uid"] != uid


def whole(desired: Manifest, live: Manifest) -> Manifest:
    """`desired` as the whole object, to replace `live`: others' labels and finalizers stay, their content goes."""
    mine, found = desired["metadata"], live["metadata"]
    metadata = mine | {
        "uid": found["uid"],
        "resourceVersion": found["resourceVersion"],
        "labels": (found.get("labels") or {}) | mine["labels"],
        "annotations": (found.get("annotations") or {}) | mine["annotations"],
        "finalizers": sorted({*(found.get("finalizers") or []), *mine.get("finalizers", [])}),
    }
    if desired["kind"] in LOOSE_KINDS:  # what the cluster filled in may not be taken away again
        desired = desired | {"spec": live["spec"] | desired["spec"]}
    return desired | {"metadata": metadata}


def _controller(live: Manifest) -> Manifest | None:
    owners: list[Manifest] = live["metadata"].get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), None)


def _hash(content: Manifest) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _owners(manifest: Manifest) -> set[tuple[Any, ...]]:
    """All of each reference: with a wrong name or kind the garbage collector finds no owner, and deletes the child."""
    names = ("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion")
    owners = manifest["metadata"].get("ownerReferences") or []
    return {tuple(owner.get(name) or None for name in names) for owner in owners}


def _owners_edited(desired: Manifest, live: Manifest) -> bool:
    """Whether the owners are not ours. That the fence among them is missing, or another one, is no edit of this."""
    wanted, found = _owners(desired), _owners(live)
    fence = ("networking.k8s.io/v1", "NetworkPolicy", f"{desired['metadata']['name']}-{DENY}")
    agents = {owner for owner in wanted if owner[:3] != fence}
    return {owner for owner in found if owner[:3] != fence} != agents


def _at(manifest: Manifest, path: tuple[str, ...]) -> Any:
    value: Any = manifest
    for step in path:
        value = (value or {}).get(step)
    return value


def _same(wanted: Any, found: Any) -> bool:
    """Equal, where absent and empty are one: the API server drops empty lists and maps."""
    if isinstance(wanted, dict) or isinstance(found, dict):
        left, right = {} if wanted is None else wanted, {} if found is None else found
        if not (isinstance(left, dict) and isinstance(right, dict)):
            return False
        return all(_same(left.get(key), right.get(key)) for key in left.keys() | right.keys())
    if isinstance(wanted, list) or isinstance(found, list):
        left, right = [] if wanted is None else wanted, [] if found is None else found
        if not (isinstance(left, list) and isinstance(right, list)):
            return False
        return len(left) == len(right) and all(map(_same, left, right))
    return type(wanted) is type(found) and bool(wanted == found)


def _within(wanted: Any, found: Any) -> bool:
    """Whether everything of `wanted` is in `found`."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(_within(value, found.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and len(wanted) == len(found) and all(map(_within, wanted, found))
    return wanted is None or bool(wanted == found)


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
    return _same(wanted, found)
