"""Where an agent may write, and what ends with its pod."""

from typing import Literal

from pydantic import Field

from .base import Model
from .fields import AbsolutePath, Quantity

TMP, SHM = "/tmp", "/dev/shm"  # noqa: S108 - inside the agent's own pod


class Scratch(Model):
    """One writable directory that begins empty with each pod and ends with it."""

    path: AbsolutePath = Field(
        description=f"Full path of the directory. {TMP} and {SHM} are there anyway, and get another size by an entry. "
        f"The first entry but {SHM} is HOME, unless the spec sets that variable; without any, HOME is {TMP}."
    )
    size: Quantity = Field(
        description="The most that it holds, such as 1Gi. All of one medium together must fit into "
        "resources.limits.ephemeral-storage, or memory."
    )
    medium: Literal["Disk", "Memory"] = Field(
        default="Disk", description="Disk: the node's. Memory: what is in it counts as the agent's memory."
    )
