"""A child as it is stored: what is kept of it, and whether it is what we meant.

Of an object's content a digest is kept, not the content: ten thousand agents have forty thousand children.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

from ringfence.api.names import (
    AGENT_LABEL,
    AGENT_NAMESPACE_LABEL,
    AGENT_UID_LABEL,
    API_VERSION,
    CEILING_BINDING,
    CONNECTIONS_ANNOTATION,
    GROUP,
    LEVEL_LABEL,
    MANAGED_BY,
    MANAGED_BY_LABEL,
)

from .digests import digest
from .field_manager import UNKNOWN, FieldManager, last_editor
from .identity import identity_annotations
from .job_templates import of_run
from .kinds import CHILD_KINDS, ChildKind, Manifest, pod_template, template_digest
from .model import COLLECTOR, DENY, FOREGROUND, ROTATION_LABEL, Ref

DESIRED_ANNOTATION = f"{GROUP}/desired"
"""On every child: a hash of the manifest it was written from. Tells an edit by somebody from an update of ours."""
STOPPED = "stopped"
"""Its value in place of a hash, on a workload that Ringfence took the pods of: that number is no edit of somebody's."""
CONTENT = ("spec", "rules", "roleRef", "subjects", "automountServiceAccountToken", "data")
"""The top-level fields that hold what a child means, over all kinds of children."""
OUR_LABELS = (MANAGED_BY_LABEL, AGENT_LABEL, ROTATION_LABEL, AGENT_NAMESPACE_LABEL, AGENT_UID_LABEL, LEVEL_LABEL)
ELSEWHERE = frozenset({"Role", "RoleBinding"})
"""Kinds that an agent may have in another namespace than its own."""
_MANAGED = (MANAGED_BY_LABEL, MANAGED_BY)
FENCE = ("networking.k8s.io/v1", "NetworkPolicy")


AGENT_KIND = "AgentDeployment"


class Owner(NamedTuple):
    """One ownerReference, all of it: with a wrong name or kind the garbage collector finds no owner, and deletes."""

    api_version: str | None
    kind: str | None
    name: str | None
    uid: str | None
    controller: bool | None
    blocks: bool | None


@dataclass(frozen=True, slots=True)
class StoredChild:
    """What is kept of one child.

    `mark`: the hash of the manifest it was last written from; None where that mark is gone. `digest`: of what it means,
    where absent and empty are one. `immutable`: the same of the part that no update can change. `content`: what it
    means, of loose kinds only. `shown`: see ChildKind. `editor`: who wrote to it since we did.
    """

    ref: Ref
    uid: str
    version: int
    owners: tuple[Owner, ...]
    labels: tuple[tuple[str, str], ...]
    mark: str | None
    foreground: bool
    deleting: bool
    digest: str
    immutable: str
    content: Manifest | None
    shown: Manifest | None
    editor: FieldManager
    finalizers: tuple[str, ...] = ()

    @property
    def others_finalizers(self) -> tuple[str, ...]:
        """Those that would keep it when it is deleted, and that are not Kubernetes' own."""
        if CHILD_KINDS[self.ref.kind].keeps_data:
            return ()
        return tuple(one for one in self.finalizers if one not in COLLECTOR)

    @property
    def held_by(self) -> tuple[str, ...]:
        """The same, while they do keep it."""
        return self.others_finalizers if self.deleting else ()

    @property
    def controller_uid(self) -> str | None:
        """Uid of the object that controls it, or None."""
        return next((owner.uid for owner in self.owners if owner.controller), None)

    @property
    def agent_uid(self) -> str | None:
        """Uid of the agent whose child it is: of what controls it, or as its label says in another namespace."""
        return dict(self.labels).get(AGENT_UID_LABEL) if self.elsewhere else self.controller_uid

    @property
    def agent_label(self) -> str | None:
        """The agent that its label names."""
        return dict(self.labels).get(AGENT_LABEL)

    @property
    def agent_namespace(self) -> str:
        """Of the agent that its labels name."""
        named = dict(self.labels).get(AGENT_NAMESPACE_LABEL) if self.elsewhere else None
        return named or self.ref.namespace

    @property
    def level(self) -> str | None:
        """The lowest level that holds what it gives, as its label says; of children in other namespaces."""
        return dict(self.labels).get(LEVEL_LABEL)

    @property
    def elsewhere(self) -> bool:
        """Whether its labels say that it is the child of an agent of another namespace: no ownerReference can."""
        if self.ref.kind not in ELSEWHERE or self.controller_uid is not None:
            return False
        labels = dict(self.labels)
        home = labels.get(AGENT_NAMESPACE_LABEL)
        return labels.get(MANAGED_BY_LABEL) == MANAGED_BY and home not in {None, self.ref.namespace}

    def belongs_to_earlier(self, agent: str, uid: str, namespace: str) -> bool:
        """Whether it belongs to an AgentDeployment of that name that is not this one: it is removed soon."""
        if self.elsewhere:
            return (self.agent_namespace, self.agent_label) == (namespace, agent) and self.agent_uid != uid
        owner = next((one for one in self.owners if one.controller), None)
        named = (owner.api_version, owner.kind, owner.name) if owner else None
        return owner is not None and named == (API_VERSION, "AgentDeployment", agent) and owner.uid != uid


@dataclass(frozen=True)
class Desired:
    """A manifest with what comparing needs of it, made once."""

    manifest: Manifest = field(repr=False)

    @cached_property
    def ref(self) -> Ref:
        """Which child."""
        return Ref.of(self.manifest)

    @cached_property
    def digest(self) -> str:
        """Of what it means."""
        return content_digest(self.manifest)

    @cached_property
    def template(self) -> str:
        """Digest of what its pods run; of what makes pods."""
        return template_digest(pod_template(self.ref.kind, self.manifest))

    @cached_property
    def mark(self) -> str | None:
        """Its hash, which is written on it."""
        return written_from(self.manifest)

    @cached_property
    def owners(self) -> frozenset[Owner]:
        """Exactly these own it."""
        return frozenset(owners_of(self.manifest))

    @cached_property
    def labels(self) -> frozenset[tuple[str, str]]:
        """It has at least these."""
        return frozenset(self.manifest["metadata"]["labels"].items())

    @cached_property
    def foreground(self) -> bool:
        """Whether it outlives what it owns."""
        return FOREGROUND in self.manifest["metadata"].get("finalizers", [])


def stored(body: Mapping[str, Any], kind: str | None = None) -> StoredChild:
    """What is kept of an object. `kind`: where the body does not say it (items of a list do not)."""
    kind = kind or str(body["kind"])
    metadata, declared = body["metadata"], CHILD_KINDS[kind]
    labels = metadata.get("labels") or {}
    content = meaning(body, kind)
    finalizers = metadata.get("finalizers") or []
    return StoredChild(
        ref=Ref(sys.intern(kind), sys.intern(metadata["namespace"]), sys.intern(metadata["name"])),
        uid=str(metadata.get("uid", "")),
        version=resource_version(body),
        owners=owners_of(body),
        labels=_our_labels(labels),
        mark=written_from(body),
        foreground=FOREGROUND in finalizers,
        deleting=bool(metadata.get("deletionTimestamp")),
        digest=digest(content),
        immutable=_immutable(declared, body) if declared.immutable else "",
        content=content if declared.loose else None,
        shown=declared.shown(
            {"metadata": metadata} | {name: body.get(name) for name in ("spec", "status", "subjects")}
        ),
        editor=last_editor(metadata) if metadata.get("managedFields") else UNKNOWN,
        finalizers=tuple(sys.intern(one) for one in finalizers),
    )


def metadata_fits(desired: Desired, live: StoredChild) -> bool:
    """Whether our labels, our mark and our finalizer are there, and exactly our owners.

    The finalizer not where it is being deleted: nobody can add one then.
    """
    return (
        desired.labels <= frozenset(live.labels)
        and desired.mark == live.mark
        and (live.foreground or live.deleting or not desired.foreground)
        and desired.owners == frozenset(live.owners)  # a forged owner would have the child collected as garbage
    )


def content_fits(desired: Desired, live: StoredChild) -> bool:
    """Whether the two mean the same, whatever their metadata."""
    if live.content is None:
        return desired.digest == live.digest
    manifest, content = desired.manifest, live.content
    return all(_within(manifest.get(name), content.get(name)) for name in CONTENT)


def lacks_block(desired: Desired, live: StoredChild) -> bool:
    """Whether `live` is as wanted, but for `blockOwnerDeletion` of its agent: nothing that lets anybody do more.

    It makes an agent that is deleted in the foreground wait for the child, and can be refused for a while.
    """
    if desired.owners == frozenset(live.owners) or {*map(_not_blocking, live.owners)} != {
        *map(_not_blocking, desired.owners)
    }:
        return False
    blocking = replace(live, owners=tuple(desired.owners))
    return metadata_fits(desired, blocking) and content_fits(desired, blocking)


def without_block(manifest: Manifest) -> Manifest:
    """The manifest, its agent not told to wait for it."""
    metadata = manifest["metadata"]
    owners = [
        {key: value for key, value in owner.items() if key != "blockOwnerDeletion" or owner["kind"] != AGENT_KIND}
        for owner in metadata.get("ownerReferences", [])
    ]
    return manifest | {"metadata": metadata | {"ownerReferences": owners}}


def immutable_differs(desired: Desired, live: StoredChild) -> bool:
    """Whether no update can make `live` into `desired`."""
    declared = CHILD_KINDS[live.ref.kind]
    return bool(declared.immutable) and _immutable(declared, desired.manifest) != live.immutable


def _immutable(declared: ChildKind, body: Mapping[str, Any]) -> str:
    found = _at(body, declared.immutable)
    return digest(declared.kept(found) if declared.kept and found else found)


def edited(desired: Desired, live: StoredChild, last_written: str | None = None) -> bool:
    """Whether somebody else changed `live`: its marks are not ours, or it differs from what we last wrote there.

    `last_written`: the hash that we remember to have written, where we do.
    """
    if live.mark is None or (last_written is not None and live.mark != last_written):
        return True
    if not desired.labels <= frozenset(live.labels) or _owners_edited(desired, live):
        return True
    return live.mark == desired.mark and not content_fits(desired, live)


def content_digest(manifest: Mapping[str, Any]) -> str:
    """A digest of what a manifest means, whatever its metadata."""
    return digest(meaning(manifest))


def meaning(manifest: Mapping[str, Any], kind: str | None = None) -> Manifest:
    """What a manifest means, whatever its metadata; but for annotations that a guard, or a cloud, goes by.

    `kind`: where the manifest does not say it. What the cluster assigns to objects of it means nothing.
    """
    found = {name: manifest[name] for name in CONTENT if manifest.get(name) is not None}
    kind = kind or manifest.get("kind", "")
    declared = CHILD_KINDS.get(kind)
    if declared and declared.assigned:
        spec = found.get("spec") or {}
        found["spec"] = {name: value for name, value in spec.items() if name not in declared.assigned}
    metadata = manifest.get("metadata") or {}
    if kind == "Job" and "spec" in found:
        found["spec"] = of_run(found["spec"])
    if clouds := identity_annotations(metadata.get("annotations") or {}):
        found["identity"] = clouds
    if metadata.get("name") == CEILING_BINDING:
        found[CONNECTIONS_ANNOTATION] = (metadata.get("annotations") or {}).get(CONNECTIONS_ANNOTATION)
    return found


def without_pods(child: StoredChild) -> Manifest:
    """A merge patch of one very workload. By the mark the number is ours: to put it back repairs nobody's edit."""
    spec: Manifest = {"replicas": 0} if child.ref.kind == "Deployment" else {"suspend": True}
    return {"metadata": {"uid": child.uid, "annotations": {DESIRED_ANNOTATION: STOPPED}}, "spec": spec}


def written_from(manifest: Mapping[str, Any]) -> str | None:
    """The hash of the manifest that an object was last written from, or None where that mark is gone."""
    found: str | None = (manifest["metadata"].get("annotations") or {}).get(DESIRED_ANNOTATION)
    return found


def owners_of(manifest: Mapping[str, Any]) -> tuple[Owner, ...]:
    """All its owners."""
    owners = manifest["metadata"].get("ownerReferences") or []
    return tuple(
        Owner(
            _shared(one.get("apiVersion")),
            _shared(one.get("kind")),
            _shared(one.get("name")),
            _shared(one.get("uid")),
            one.get("controller") or None,
            one.get("blockOwnerDeletion") or None,
        )
        for one in owners
    )


def controlled_by(metadata: Mapping[str, Any] | None, uid: str) -> bool:
    """Whether the object with that uid controls the one with this metadata; None: there is none."""
    owners = (metadata or {}).get("ownerReferences") or []
    return any(owner.get("controller") and owner.get("uid") == uid for owner in owners)


def resource_version(body: Mapping[str, Any]) -> int:
    """As a number; 0 for none. Kubernetes promises that they can be compared so (KEP-5504)."""
    text = str(body["metadata"].get("resourceVersion", ""))
    return int(text) if text.isdigit() else 0


def _our_labels(labels: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    pairs = ((key, sys.intern(str(labels[key]))) for key in OUR_LABELS if key in labels)
    return tuple(_MANAGED if pair == _MANAGED else pair for pair in pairs)


def _shared(text: str | None) -> str | None:
    """One text for all that say the same. None for none."""
    return sys.intern(text) if text else None


def _not_blocking(owner: Owner) -> Owner:
    return owner._replace(blocks=None) if owner.kind == AGENT_KIND else owner


def _owners_edited(desired: Desired, live: StoredChild) -> bool:
    """Whether the owners are not ours. That the fence among them is missing, or another one, is no edit of this."""
    fence = (*FENCE, f"{live.ref.name}-{DENY}")
    wanted = {owner for owner in desired.owners if owner[:3] != fence}
    return {owner for owner in live.owners if owner[:3] != fence} != wanted


def _at(manifest: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = manifest
    for step in path:
        value = (value or {}).get(step)
    return value


def _within(wanted: Any, found: Any) -> bool:
    """Whether everything of `wanted` is in `found`."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(_within(value, found.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and len(wanted) == len(found) and all(map(_within, wanted, found))
    return wanted is None or bool(wanted == found)
