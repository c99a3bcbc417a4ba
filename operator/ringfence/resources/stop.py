"""How the pods of an agent end."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ringfence.api import AgentDeploymentSpec
from ringfence.api.stop import GRACE, Stop, seconds

from .kinds import Manifest

DEFAULT: Final = seconds(GRACE)
MOST: Final = 8
"""Numbers that a status holds. There are more only where a spec changes more often than its pods end."""


def grace_seconds(spec: AgentDeploymentSpec) -> int:
    """For how long its pods may take to end."""
    return seconds(spec.stop.grace_period) if spec.stop else DEFAULT


def lifecycle(spec: AgentDeploymentSpec) -> Manifest:
    """What its container runs before it ends."""
    if spec.stop is None or not spec.stop.command:
        return {}
    return {"lifecycle": {"preStop": {"exec": {"command": spec.stop.command}}}}


def known_periods(spec: Any, status: Mapping[str, Any]) -> frozenset[int]:
    """Seconds that pods of templates of ours were given to end: by the spec, and by those before it.

    `spec`: as it is stored, whatever that is.
    """
    told = status.get("gracePeriods") or [DEFAULT]
    return frozenset({_own(spec), *(one for one in told if isinstance(one, int))})


def remembered_periods(own: int, known: frozenset[int], pods: Iterable[int | None]) -> list[int]:
    """What the status is to say: the spec's own, and those of pods that are there still. Empty: as everybody's."""
    found = [own, *sorted({one for one in pods if one in known and one is not None} - {own})][:MOST]
    return [] if found == [DEFAULT] else found


def _own(spec: Any) -> int:
    asked = spec.get("stop") if isinstance(spec, Mapping) else None
    text = asked.get("gracePeriod", GRACE) if isinstance(asked, Mapping) else GRACE
    try:
        return seconds(Stop(grace_period=text).grace_period)
    except ValueError:
        return DEFAULT
