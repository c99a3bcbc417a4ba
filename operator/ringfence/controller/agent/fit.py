"""What a stored child is, beside what is wanted. Pure."""

from enum import StrEnum

from ringfence.resources import Identity
from ringfence.resources.stored import Desired, StoredChild, content_fits, immutable_differs, metadata_fits
from ringfence.store.store import OwnershipRecord, is_ours


class Fit(StrEnum):
    """A child as it is stored, beside what is wanted."""

    RIGHT = "right"
    ABSENT = "absent"
    WRONG = "wrong"
    IMMUTABLE = "immutable"
    """Wrong, and no update can put it right."""
    DELETING = "deleting"
    """Being deleted, and not as wanted."""
    HELD = "held"
    """Being deleted, and kept by somebody's finalizer."""
    FOREIGN = "foreign"
    EARLIER = "earlier"
    """It belongs to an earlier agent of this name, whose end the cluster is still at."""


def judge(desired: Desired, live: StoredChild | None, agent: Identity, known: OwnershipRecord | None) -> Fit:
    """What a stored child is, beside what is wanted. `known`: what is remembered of it."""
    if live is None:
        return Fit.ABSENT
    if not is_ours(live, agent.uid, known):
        return Fit.EARLIER if live.belongs_to_earlier(agent.name, agent.uid, agent.namespace) else Fit.FOREIGN
    if live.deleting and live.held_by:
        return Fit.HELD
    if is_right(desired, live, known):
        return Fit.RIGHT
    if live.deleting:
        return Fit.DELETING
    return Fit.IMMUTABLE if immutable_differs(desired, live) else Fit.WRONG


def is_right(desired: Desired, live: StoredChild, known: OwnershipRecord | None) -> bool:
    """Whether a child is as wanted, or as this API server is known to complete what is wanted."""
    completed = known is not None and known.completed == (desired.digest, live.digest)
    return metadata_fits(desired, live) and (content_fits(desired, live) or completed)
