"""What agents left behind in a namespace, and what is to be done about it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ringfence.policy.decide import binding
from ringfence.policy.model import Facts, NamedPolicy
from ringfence.resources import Ref
from ringfence.resources.model import ROTATION_LABEL, child_name, removal
from ringfence.resources.stored import StoredChild
from ringfence.store.records import Key, StoredPod

POD = "Pod"


class Remedy(StrEnum):
    """What takes away what an orphan can do."""

    STOP = "stop"
    """What makes pods: none."""
    REMOVE = "remove"
    """What allows something: it goes, and nothing that can be lost goes with it."""
    NONE = "none"
    """It gives nothing, or holds data: it stays for its owner to decide."""


@dataclass(frozen=True)
class Orphan:
    """One object whose agent is not there. `at_once`: seen to be an agent's before; else it waits a moment."""

    agent: Key
    ref: Ref
    remedy: Remedy
    at_once: bool = False
    child: StoredChild | None = None


def of_child(child: StoredChild, *, was_ours: bool) -> Orphan:
    """A child that no AgentDeployment owns."""
    agent = Key(child.ref.namespace, child.agent_label or "")
    return Orphan(agent, child.ref, remedy_for(child), was_ours, child)


def of_pods(agent: Key, pods: Iterable[StoredPod], workload: StoredChild | None, *, left: bool) -> list[Orphan]:
    """Pods with an agent's label that are not about to go.

    `workload`: what makes them. `left`: whether it is an orphan itself, and does not go with its agent.
    """
    if workload is not None and not left:
        return []  # the cluster takes it away with the agent, and its pods with it
    return [Orphan(agent, Ref(POD, *pod.key), Remedy.NONE) for pod in pods if not pod.ends]


def remedy_for(child: StoredChild) -> Remedy:
    """By its kind. What rotates a key touches that key alone, and is no part of what the agent can do."""
    if any(key == ROTATION_LABEL for key, _ in child.labels):
        return Remedy.NONE
    match child.ref.kind:
        case "Deployment" | "CronJob" | "Job":
            spec = (child.shown or {}).get("spec") or {}
            stopped = spec.get("suspend") or not spec.get("replicas", 1)
            return Remedy.NONE if stopped else Remedy.STOP
        case "NetworkPolicy":
            return Remedy.REMOVE if child.shown is not None else Remedy.NONE
        case "RoleBinding":
            return Remedy.REMOVE
    return Remedy.NONE


def stops(policies: Sequence[NamedPolicy], labels: Mapping[str, str]) -> bool:
    """Whether orphans of a namespace are to be stopped: unless all policies that bind it say otherwise."""
    bound = binding(policies, Facts(namespace_labels=labels))
    return not bound or any(policy.spec.on_orphans == "Stop" for policy in bound)


def sentence(orphans: Sequence[Orphan]) -> str:
    """For a person. `orphans`: of one agent, at least one."""
    agent = orphans[0].agent
    named = ", ".join(f"{one.ref.kind} {one.ref.name}" for one in orphans[:8])
    more = f" and {len(orphans) - 8} more" if len(orphans) > 8 else ""  # noqa: PLR2004 - enough to find the rest
    return (
        f"AgentDeployment {agent.name} is not there, but of it are left: {named}{more}. "
        f"Remove them before an agent of that name is made again: {removal(*agent)}"
    )


def workload_of_pod(pod: StoredPod) -> Ref:
    """What makes a pod of an agent: its Job, or the Deployment of the agent's name."""
    if pod.job is not None:
        return Ref("Job", pod.key.namespace, pod.job[0])
    return Ref("Deployment", pod.agent.namespace, child_name(pod.agent.name))
