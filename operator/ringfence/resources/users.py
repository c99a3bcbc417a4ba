"""Ids that pods run as: ours, the spec's, or those that the platform's admission fills in."""

from enum import StrEnum
from typing import Final

from ringfence.api.users import NOBODY

from .kinds import Manifest


class UserIds(StrEnum):
    """Who says which user and group pods run as, where the agent's spec does not."""

    FIXED = "fixed"
    """We do: 65532."""
    ASSIGNED = "assigned"
    """The platform's admission, of the namespace's range: OpenShift's SecurityContextConstraints. Pods say nothing."""


USUAL_IDS: Final = UserIds.FIXED


def ids_of(whose: UserIds, user: int | None = None, group: int | None = None) -> Manifest:
    """Fields of a pod's securityContext. `user`, `group`: what the spec asks for, which is written in any case."""
    if whose is UserIds.FIXED:
        user, group = user or NOBODY, group or NOBODY
    given = {"runAsUser": user, "runAsGroup": group}
    return {field: number for field, number in given.items() if number is not None}


def security_context(whose: UserIds, user: int | None = None, group: int | None = None) -> Manifest:
    """Of a pod with volumes, which its group may read."""
    ids = ids_of(whose, user, group)
    volumes = {"fsGroup": ids["runAsGroup"]} if "runAsGroup" in ids else {}
    return {"runAsNonRoot": True, **ids, **volumes, "seccompProfile": {"type": "RuntimeDefault"}}
