"""How an agent ends: what runs before, and how long it may take."""

from typing import Annotated, Final

from pydantic import Field

from .base import ListType, Model
from .fields import Argument
from .secrets import Duration, between, duration

GRACE: Final = "30s"
"""Where a spec, or a policy, says nothing of it."""

GracePeriod = Annotated[Duration, between("1s", "10m", ": what does not end is ended then")]


class Stop(Model):
    """How its pods end: with an update, when it is suspended or deleted, when Ringfence stops it, with a node."""

    grace_period: GracePeriod = Field(
        default=GRACE,
        description="Time from the first word to its end by force; the command counts. The fence stands meanwhile. "
        "Policies: pods.maxGracePeriod.",
    )
    command: Annotated[list[Argument], Field(max_length=64), ListType("atomic")] = Field(
        default_factory=list,
        description="Runs first, in the agent's container, in its fence and without a shell; then the agent gets "
        "SIGTERM. Not for secrets.",
    )


def seconds(text: str) -> int:
    """A grace period as a number."""
    return int(duration(text).total_seconds())
