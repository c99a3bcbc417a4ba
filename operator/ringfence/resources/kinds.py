"""The registry of child kinds: each is declared here, once, with all that differs between kinds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from ringfence.api.containers import GATE
from ringfence.api.names import RESTART_ANNOTATION

from . import openings
from .digests import digest

Manifest = dict[str, Any]
TABLE_VARIABLE: Final = "RINGFENCE_ATTEMPTS"
"""Of the pod that tries an agent's fence: what it tries."""
NAMES: Final = frozenset({"hostAliases", "dnsPolicy", "dnsConfig"})
"""Fields of a pod's spec that say which names it knows, and whom it asks for others."""
OF_GATE: Final = frozenset({"image", "imagePullPolicy", "args"})
"""Fields of a pod's gate that another version of Ringfence, or another address of its canary, changes."""


def _nothing(_: Manifest) -> Manifest | None:
    return None


@dataclass(frozen=True, kw_only=True)
class ChildKind:
    """One kind of object that an agent becomes.

    `loose`: the cluster itself completes its spec: what we wrote must be there, more may be. `completed`: a newer API
    server may add defaults to its spec that this code does not know. `immutable`: path of what the API server never
    lets anybody change: where it differs, only deleting the object helps. `kept`: that without what a
    stored object keeps, whatever is wanted by now. `shown`: what a pass needs of a stored object beside its content's
    digest (its status, for instance); None: nothing. `powerful`: it gives rights or makes
    pods with rights: it is followed by its owner too, so that it is seen where somebody took its labels off. `merged`:
    it has lists that server-side apply merges by a key (containers, variables): it is made by an apply too, which
    knows later what it does not say any more. All others are made by a plain create, which costs the API server a
    fifth less; what is left over there after an apply, a replacement takes away. `keeps_data`: finalizers on it protect
    somebody's data, and stay whatever happens. `whole`: all objects of the kind are followed, whoever made them: they
    add up, and a stranger's widens what ours allow. `optional`: a cluster may not serve it: then only those agents wait
    that need it. `assigned`: fields of its spec that the cluster assigns, and that are not compared.
    """

    name: str
    group_version: str
    plural: str
    loose: bool = False
    completed: bool = False
    immutable: tuple[str, ...] = ()
    kept: Callable[[Manifest], Manifest] | None = None
    shown: Callable[[Manifest], Manifest | None] = _nothing
    powerful: bool = False
    merged: bool = False
    keeps_data: bool = False
    whole: bool = False
    optional: bool = False
    assigned: tuple[str, ...] = ()


def _part(body: Any, *names: str) -> Manifest:
    found = body if isinstance(body, Mapping) else {}
    return {name: found[name] for name in names if name in found}


def _workload(body: Manifest) -> Manifest:
    """Its numbers, which rotations it was restarted by, and why it could not make pods."""
    spec, status = body.get("spec") or {}, body.get("status") or {}
    template = (spec.get("template") or {}).get("metadata") or {}
    annotations = template.get("annotations") or {}
    marks = {key: value for key, value in annotations.items() if key.startswith(RESTART_ANNOTATION)}
    numbers = "observedGeneration", "replicas", "readyReplicas", "updatedReplicas", "availableReplicas"
    failures = [
        _part(one, "type", "status", "reason", "message")
        for one in status.get("conditions") or []
        if one.get("type") == "ReplicaFailure" and one.get("status") == "True"
    ]
    return {
        "metadata": _part(body["metadata"], "name", "generation"),
        "spec": _part(spec, "replicas") | {"template": {"metadata": {"annotations": marks} if marks else {}}},
        "status": _part(status, *numbers) | ({"conditions": failures} if failures else {}),
    }


def _service(body: Manifest) -> Manifest:
    """Its address, which the cluster assigns."""
    return {"spec": _part(body.get("spec"), "clusterIP")}


def _schedule(body: Manifest) -> Manifest:
    spec = body.get("spec") or {}
    status = _part(body.get("status"), "lastScheduleTime", "lastSuccessfulTime", "active")
    template = pod_template("CronJob", body)
    shown = {"metadata": _part(body["metadata"], "name"), "spec": _part(spec, "suspend"), "status": status}
    return shown | {"template": template_digest(template)}


def _job(body: Manifest) -> Manifest:
    """Of a run: when it began and how it ended, and a digest of what its pods run. Of a trial: what is tried."""
    status = body.get("status") or {}
    containers = (pod_template("Job", body).get("spec") or {}).get("containers") or ()
    variables = [one for container in containers for one in container.get("env") or ()]
    table = next((one.get("value") for one in variables if one.get("name") == TABLE_VARIABLE), None)
    ends = [
        _part(one, "type", "status", "reason", "message", "lastTransitionTime")
        for one in status.get("conditions") or []
        if one.get("type") in {"Complete", "Failed"} and one.get("status") == "True"
    ]
    return {
        "metadata": _part(body["metadata"], "name", "creationTimestamp"),
        "spec": _part(body.get("spec") or {}, "suspend"),
        "status": _part(status, "startTime", "completionTime", "active", "ready", "failed") | {"conditions": ends},
        "template": template_digest(pod_template("Job", body)),
    } | ({} if table is None else {"table": table})


def pod_template(kind: str, body: Manifest) -> Manifest:
    """Of what makes pods."""
    spec = body.get("spec") or {}
    if kind == "CronJob":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    found: Manifest = spec.get("template") or {}
    return found


def template_digest(template: Manifest) -> str:
    """Of what pods run: their spec, and their annotations, which hold files. What makes them adds labels."""
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    return digest([without_names(template.get("spec") or {}), annotations])


def _first(pod: Mapping[str, Any]) -> Manifest:
    """The container that begins first; empty where none does before the agent."""
    return next(iter(pod.get("initContainers") or []), {})


def without_names(pod: Manifest) -> Manifest:
    """The spec of a pod but for the names that it knows, and for which image its gate has and what that looks for.

    A run keeps those that it began with: a Job's template never changes, and neither a Service of others that gets
    another address nor another version of Ringfence ends anybody's work. What it reaches by its names the NetworkPolicy
    says; its gate, through which it went, has no part in it any more.
    """
    found = {name: value for name, value in pod.items() if name not in NAMES}
    first = _first(found)
    if first.get("name") != GATE:
        return found
    gate = {name: value for name, value in first.items() if name not in OF_GATE}
    return found | {"initContainers": [gate, *found["initContainers"][1:]]}


def with_names(pod: Manifest, stored: Mapping[str, Any]) -> Manifest:
    """The same with what `without_names` leaves out as the `stored` spec of a pod has it."""
    found = without_names(pod) | {name: value for name, value in stored.items() if name in NAMES}
    gate, live = _first(found), _first(stored)
    if gate.get("name") != GATE or live.get("name") != GATE:
        return found | ({"initContainers": pod["initContainers"]} if "initContainers" in pod else {})
    gate = gate | {name: value for name, value in live.items() if name in OF_GATE}
    return found | {"initContainers": [gate, *found["initContainers"][1:]]}


_KINDS = (
    ChildKind(
        name="NetworkPolicy",
        group_version="networking.k8s.io/v1",
        plural="networkpolicies",
        shown=openings.network_policy,
        whole=True,
    ),
    ChildKind(name="ServiceAccount", group_version="v1", plural="serviceaccounts"),
    ChildKind(name="Role", group_version="rbac.authorization.k8s.io/v1", plural="roles", powerful=True),
    ChildKind(
        name="RoleBinding",
        group_version="rbac.authorization.k8s.io/v1",
        plural="rolebindings",
        immutable=("roleRef",),
        shown=openings.role_binding,
        powerful=True,
        whole=True,
    ),
    ChildKind(
        name="PersistentVolumeClaim", group_version="v1", plural="persistentvolumeclaims", loose=True, keeps_data=True
    ),
    ChildKind(
        name="CronJob",
        group_version="batch/v1",
        plural="cronjobs",
        completed=True,
        shown=_schedule,
        powerful=True,
        merged=True,
        optional=True,
    ),
    ChildKind(
        name="Job",
        group_version="batch/v1",
        plural="jobs",
        completed=True,
        immutable=("spec", "template", "spec"),
        kept=without_names,
        shown=_job,
        merged=True,
        optional=True,
    ),
    ChildKind(
        name="Service",
        group_version="v1",
        plural="services",
        shown=_service,
        assigned=("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"),
    ),
    ChildKind(
        name="Deployment",
        group_version="apps/v1",
        plural="deployments",
        completed=True,
        immutable=("spec", "selector"),
        shown=_workload,
        merged=True,
    ),
)
CHILD_KINDS: Final[Mapping[str, ChildKind]] = MappingProxyType({kind.name: kind for kind in _KINDS})
"""Kind of a child -> what is special about it."""
