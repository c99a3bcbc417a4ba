"""How soon a change has to be looked at: decided by what changed, where it is seen."""

from enum import IntEnum

from ringfence.resources.stored import StoredChild

from .records import StoredAgent, StoredPod


class Urgency(IntEnum):
    """The lower, the sooner."""

    REPAIR = 0
    """A child is not as it was written, or is gone: a fence may be open."""
    CHANGE = 1
    """An agent is new or another, or something that its fence is made from: until the pass, the old fence stands."""
    LATER = 2
    """What shows in the status; second looks at what waits or failed."""


def urgency_of(old: StoredChild | None, new: StoredChild | None) -> Urgency:
    """What shows in the status alone can wait; whatever else changed is somebody else's work."""
    if old is None or new is None or old.uid != new.uid:
        return Urgency.REPAIR
    return Urgency.LATER if telling(old)[:-1] == telling(new)[:-1] else Urgency.REPAIR


def telling(child: StoredChild) -> tuple[object, ...]:
    """What a pass looks at of a child; last what is for the status alone."""
    return (
        child.digest,
        child.mark,
        child.owners,
        child.labels,
        child.foreground,
        child.held_by,
        child.deleting,
        child.shown,
    )


def same_wish(old: StoredAgent | None, new: StoredAgent | None) -> bool:
    """Whether an agent asks for what it asked for before."""
    if old is None or new is None:
        return False
    return _wish(old) == _wish(new)


def _wish(agent: StoredAgent) -> tuple[object, ...]:
    return agent.uid, agent.generation, agent.deleting, agent.run_request, agent.verify_request, agent.requested_by


def pod_tells(pod: StoredPod) -> tuple[object, ...]:
    """What a pass looks at of a pod."""
    return pod.told, pod.labels, pod.uid, pod.ends_within, pod.unrestricted
