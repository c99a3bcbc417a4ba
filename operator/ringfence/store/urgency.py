"""How soon a change has to be looked at: decided by what changed, where it is seen."""

from enum import IntEnum


class Urgency(IntEnum):
    """The lower, the sooner."""

    REPAIR = 0
    """A child is not as it was written, or is gone: a fence may be open."""
    CHANGE = 1
    """An agent is new or another, or something that its fence is made from: until the pass, the old fence stands."""
    LATER = 2
    """What shows in the status; second looks at what waits or failed."""
