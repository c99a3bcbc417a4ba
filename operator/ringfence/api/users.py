"""Ids of users and groups that pods run as. Root is none of them."""

from typing import Annotated, ClassVar, Final

from pydantic import Field

from .base import Model, Rule

NOBODY: Final = 65532
"""What every agent runs as, user and group, whatever its image says: the customary `nonroot` of minimal images."""

Id = Annotated[int, Field(ge=1, le=2147483647)]
"""The kernel's ids, as far as Kubernetes takes them; 0 is root."""


class IdRange(Model):
    """Ids from the first to the last, both included."""

    cel_rules: ClassVar = (
        Rule(
            cel="self.first <= self.last",
            message="first must not be more than last",
            check=lambda one: one.first <= one.last,
        ),
    )

    first: Id = Field(description="The lowest id.")
    last: Id = Field(description="The highest id.")
