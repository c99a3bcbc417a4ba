"""Existing volumes that an agent asks for: none of another agent's, and none without policies that name it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ringfence.api.names import CHILD_PREFIX
from ringfence.api.volumes import Access, AllowedClaim, ExistingVolume

from .model import NamedPolicy, RuleName, Violation
from .pods import RESERVED_PATHS, SYSTEM_PATHS, overlap
from .text import quote

_AT: Final = "spec.volumes"
_MORE: Final[tuple[Access, ...]] = ("ReadOnly", "ReadWrite")
"""Each allows what stands before it."""


def check_volumes(
    volumes: Sequence[ExistingVolume], mounted: Sequence[str], policies: Sequence[NamedPolicy]
) -> Iterator[Violation]:
    """Every violation. `mounted`: paths of the agent's other volumes."""
    for index, one in enumerate(volumes):
        at = f"{_AT}[{index}]"
        if one.claim.startswith(CHILD_PREFIX):
            message = (
                f"{quote(one.claim)} is Ringfence's: claims whose names begin with {CHILD_PREFIX} are agents' storage; "
                "name one of yours, or write storage for a volume of the agent's own"
            )
            yield Violation(f"{at}.claim", RuleName.VOLUME_RESERVED, message)
        else:
            yield from _check_allowed(at, one, policies)
        before = (other.mount_path for other in volumes[:index])
        taken = (*RESERVED_PATHS, *SYSTEM_PATHS, *mounted, *before)
        if hidden := next((place for place in taken if overlap(one.mount_path, place)), None):
            message = f"would hide {hidden}, or a part of it: choose another path, such as /data"
            yield Violation(f"{at}.mountPath", RuleName.INVALID_FIELD, message)


def claims(named: Sequence[AllowedClaim]) -> dict[str, Access]:
    """What a policy allows, by name."""
    return {one.name: one.access for one in named}


def meet_claims(left: Mapping[str, Access], right: Mapping[str, Access]) -> dict[str, Access]:
    """What both allow."""
    return {name: min(left[name], right[name], key=_MORE.index) for name in sorted(left.keys() & right.keys())}


def _check_allowed(at: str, asked: ExistingVolume, policies: Sequence[NamedPolicy]) -> Iterator[Violation]:
    for policy in policies:
        allowed = claims(policy.spec.pods.claims).get(asked.claim)
        if allowed is None:
            message = (
                f"policy {quote(policy.name)} lets no agent mount {quote(asked.claim)}: leave it out, or have it added "
                "to the policy's pods.claims"
            )
            yield Violation(f"{at}.claim", RuleName.VOLUME_ABOVE_POLICY, message)
        elif _MORE.index(asked.access) > _MORE.index(allowed):
            message = (
                f"policy {quote(policy.name)} lets agents only read {quote(asked.claim)}: write access: ReadOnly, or "
                "have access: ReadWrite put into the policy's pods.claims"
            )
            yield Violation(f"{at}.access", RuleName.VOLUME_ABOVE_POLICY, message)
