"""One agent and what a pass over it sees: each test says only what differs."""

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ringfence.api import AgentDeploymentSpec, parse
from ringfence.api.names import AGENT_LABEL
from ringfence.controller.agent.actions import (
    Action,
    AwaitEnd,
    DropGateway,
    DropPrevious,
    EndPods,
    EnsureChild,
    MakeSecret,
    PutGateway,
    PutReads,
    RemoveChild,
    RemoveLeft,
    RemoveRun,
    RemoveSecret,
    StopWorkload,
)
from ringfence.controller.agent.fit import Fit
from ringfence.controller.agent.observed import Observed
from ringfence.controller.agent.plan import Plan
from ringfence.policy.model import Facts
from ringfence.resources import Agent, JobImage, Manifest, Ref, build
from ringfence.resources.model import Gate
from ringfence.resources.secret_names import rotation_name
from ringfence.resources.stored import Desired, StoredChild, stored
from ringfence.store.records import Key, read_agent
from ringfence.store.store import OwnershipRecord

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
KEY = Key("team", "a")
UID, FENCE = "u", "uid-ringfence-a-deny"
IMAGE = "registry.example/acme/a@sha256:" + "a" * 64
OPEN = Facts(namespace_labels={"ringfence.dev/agents": "enabled"})
JOBS = JobImage("registry.example/ringfence")
RULES = {"permissions": {"level": "ReadOnly", "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}}
SIGNING = {
    "name": "signing",
    "source": {"generate": {"length": 32}},
    "rotation": {"every": "720h", "overlap": "1h"},
    "delivery": {"env": {"name": "KEY"}},
}
SECRETS = {"secrets": [SIGNING]}
EGRESS = {"network": {"egress": [{"cidr": "203.0.113.0/28", "ports": [443]}]}}
GATE = Gate(JOBS, "10.96.0.9", 7007)
Edit = Callable[[Any], Any]


def body(spec: Any = None, *, status: Any = None, **metadata: Any) -> dict[str, Any]:
    """An AgentDeployment as it is stored; `spec` beside its image, or whatever is no map."""
    full = {"image": IMAGE, **(spec or {})} if spec is None or isinstance(spec, dict) else spec
    about = {"namespace": KEY.namespace, "name": KEY.name, "uid": UID, "generation": 1, "resourceVersion": "1"}
    return {"metadata": about | metadata, "spec": full} | ({"status": status} if status else {})


def agent(spec: Any = None, **more: Any) -> Agent:
    """What children are built from."""
    parsed = parse(AgentDeploymentSpec, body(spec)["spec"]).value
    assert parsed is not None
    known: dict[str, Any] = {"fence_uid": FENCE, "gate": GATE} | more
    return Agent(name=KEY.name, namespace=KEY.namespace, uid=UID, spec=parsed, **known)


def as_stored(manifest: Manifest, edit: Edit | None = None, **metadata: Any) -> StoredChild:
    """A child as the API server has it, with somebody's edit."""
    live = copy.deepcopy(manifest)
    live["metadata"] |= {"uid": f"uid-{live['metadata']['name']}", "resourceVersion": "7", "generation": 1} | metadata
    if edit:
        edit(live)
    return stored(live)


def observed(
    spec: Any = None,
    *,
    children: Iterable[StoredChild] = (),
    accepted: int | None = None,
    agent_body: Mapping[str, Any] | None = None,
    **more: Any,
) -> Observed:
    """What a pass sees. `accepted`: the generation whose children were written."""
    status = {} if accepted is None else {"acceptedGeneration": accepted}
    found = read_agent(agent_body or body(spec, status=status))
    kept = {child.ref: child for child in children}
    given = {
        "spec": parse(AgentDeploymentSpec, found.spec).value,
        "raw": found.spec,
        "status": found.status,
        "facts": OPEN,
        "gate": GATE,
        "children": kept,
        "owned": [child for child in kept.values() if child.agent_uid == UID],
    }
    return Observed(key=KEY, agent=found, now=NOW, **(given | more))


def all_children(spec: Any = None, *, without: Iterable[Ref] = (), **more: Any) -> list[StoredChild]:
    """Everything as it should be."""
    return [child for one in build(agent(spec, **more)) if (child := as_stored(one)).ref not in set(without)]


def remembered(children: Iterable[StoredChild]) -> dict[Ref, OwnershipRecord]:
    """What is remembered of children that were found right."""
    return {child.ref: OwnershipRecord(UID, child.uid, child.mark, None, child.digest) for child in children}


def available(child: StoredChild) -> StoredChild:
    """A workload with all its pods."""
    shown = {
        "metadata": {"name": child.ref.name, "generation": 1},
        "spec": {"replicas": 1, "template": (child.shown or {})["spec"]["template"]},
        "status": {"observedGeneration": 1, **dict.fromkeys(NUMBERS, 1)},
    }
    return replace(child, shown=shown)


def left_pod(
    *, grace: int | None = 3600, ends: int | None = None, kind: str = "ReplicaSet", name: str = "left", version: int = 9
) -> dict[str, Any]:
    """A pod of an edited Deployment. `grace`: of its spec; `ends`: that it got when it was deleted."""
    metadata: dict[str, Any] = {"namespace": KEY.namespace, "name": name, "uid": f"{name}-uid"}
    metadata |= {"resourceVersion": str(version), "labels": {AGENT_LABEL: KEY.name}}
    metadata["ownerReferences"] = [{"kind": kind, "name": "ringfence-a-5d", "uid": "set-uid", "controller": True}]
    if ends is not None:
        metadata |= {"deletionTimestamp": "2026-01-31T13:00:00Z", "deletionGracePeriodSeconds": ends}
    spec = {} if grace is None else {"terminationGracePeriodSeconds": grace}
    return {"kind": "Pod", "metadata": metadata, "spec": spec}


NUMBERS = ("replicas", "readyReplicas", "updatedReplicas", "availableReplicas")


NAME = "ringfence-a"
POLICY_DENY, POLICY_ALLOW = Ref("NetworkPolicy", "team", f"{NAME}-deny"), Ref("NetworkPolicy", "team", f"{NAME}-allow")
ACCOUNT, ROLE, BINDING = (Ref(kind, "team", NAME) for kind in ("ServiceAccount", "Role", "RoleBinding"))
DEPLOYMENT = Ref("Deployment", "team", NAME)
SECRET = rotation_name("a", "signing")
HOUR = timedelta(hours=1)
METADATA = {"uid": "s", "ownerReferences": [{"controller": True, "uid": UID}]}
"""Of the Secret, where it is ours."""


def told(planned: Plan) -> list[str]:
    """The actions in short."""
    return [_told(action) for action in planned.actions]


def _told(action: Action) -> str:  # noqa: C901, PLR0911, PLR0912 - one for each kind of action
    match action:
        case EnsureChild():
            marks = "".join(f" {name}" for name in ("known", "keep") if getattr(action, name))
            behind = " behind" if action.behind_fence else ""
            return f"{action.fit} {_short(action.desired.ref)}{marks}{behind}"
        case RemoveChild():
            return f"remove {_short(action.child.ref)}"
        case RemoveSecret():
            return f"remove secret {action.name[len(NAME) :]}"
        case MakeSecret():
            return f"make {action.name}" + (" known" if action.known else "")
        case DropPrevious():
            return f"drop {action.secret.name}"
        case EndPods():
            return f"end {' '.join(pod.key[1] for pod in action.pods)}"
        case RemoveLeft():
            return f"remove {_short(action.child.ref)} left in {action.child.ref.namespace}"
        case PutReads():
            return f"reads {','.join(sorted(action.wanted)) or 'nothing'}" + (" known" if action.known else "")
        case RemoveRun():
            return f"remove run {_short(action.child.ref)}"
        case AwaitEnd():
            return action.what
        case PutGateway():
            return "put gateway" + (" known" if action.known else "")
        case DropGateway():
            return "drop gateway"
        case StopWorkload():
            return f"stop {action.ref.name} {action.why.message}"


def _short(ref: Ref) -> str:
    return f"{ref.kind}/{ref.name[len(NAME) :]}"


def fits(planned: Plan) -> dict[Ref, Fit]:
    """How each child that is acted on was judged."""
    return {one.desired.ref: one.fit for one in planned.actions if isinstance(one, EnsureChild)}


def edited(children: list[StoredChild], ref: Ref, **changes: Any) -> list[StoredChild]:
    """The same with one of them as `changes` say."""
    return [replace(child, **changes) if child.ref == ref else child for child in children]


def built(ref: Ref, spec: Any = None) -> Desired:
    """One child as it is wanted."""
    return next(Desired(one) for one in build(agent(spec)) if Ref.of(one) == ref)
