"""Writable directories of an agent: each in a place of its own, and not larger than what the agent may use."""

from collections.abc import Iterator, Sequence
from typing import Final

from ringfence.api.agentdeployment import Storage
from ringfence.api.container import Resources
from ringfence.api.scratch import SHM, TMP, Scratch

from .limits import DEFAULT_LIMITS
from .model import RuleName, Violation
from .pods import RESERVED_PATHS, SYSTEM_PATHS, overlap
from .quantities import amount

_AT: Final = "spec.scratch"
_LIMITS: Final = {"Disk": ("ephemeral_storage", "ephemeral-storage"), "Memory": ("memory", "memory")}


def check_scratch(
    scratch: Sequence[Scratch], storage: Storage | None, resources: Resources | None
) -> Iterator[Violation]:
    """Every violation. `resources`: None where they cannot be read."""
    mounted = (storage.mount_path,) if storage else ()
    for index, one in enumerate(scratch):
        taken = (*RESERVED_PATHS, *SYSTEM_PATHS, *mounted, *(other.path for other in scratch[:index]))
        hidden = next((place for place in taken if overlap(one.path, place)), None)
        if hidden and one.path not in {TMP, SHM}:
            message = f"would hide {hidden}, or a part of it: choose another path, such as /home/agent"
            yield Violation(f"{_AT}[{index}].path", RuleName.INVALID_FIELD, message)
        if amount(one.size) <= 0:
            yield Violation(f"{_AT}[{index}].size", RuleName.INVALID_FIELD, "must be more than 0, such as 1Gi")
    if resources is not None and scratch:
        yield from _check_sizes(scratch, resources)


def _check_sizes(scratch: Sequence[Scratch], resources: Resources) -> Iterator[Violation]:
    """What does not fit would never be full: the pod is evicted, or the agent killed, before that."""
    for medium, (field, name) in _LIMITS.items():
        asked = [getattr(amounts, field) for amounts in (resources.limits, resources.requests)]
        limit = next((one for one in asked if one is not None), DEFAULT_LIMITS[name])
        if sum(amount(one.size) for one in scratch if one.medium == medium) > amount(limit):
            message = (
                f"entries with medium {medium} hold more together than resources.limits.{name} ({limit}): lower their "
                "sizes, or raise the limit"
            )
            yield Violation(_AT, RuleName.INVALID_FIELD, message)
