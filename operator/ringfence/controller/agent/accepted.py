"""What becomes of an agent that was accepted, and is not accepted now. Pure.

While a newer generation is not accepted, the spec that the fence was made from is not stored any more: an edit of it
can be seen, and not be put right.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ringfence.api.status import Reason
from ringfence.policy.decide import suspending
from ringfence.policy.model import NamedPolicy, Violation
from ringfence.resources import Ref
from ringfence.resources.phases import DECIDES_REACH
from ringfence.resources.stored import STOPPED, StoredChild
from ringfence.store.store import OwnershipRecord

from .fence import Stop

STAYS_STOPPED = "stopped: no pods until the agent is accepted again"


def with_digests(
    listed: Sequence[Mapping[str, Any]], namespace: str, ownership: Mapping[Ref, OwnershipRecord]
) -> list[dict[str, Any]]:
    """`status.managedResources` with the digest of each part of the fence, as it was last found right."""
    found = []
    for one in listed:
        known = ownership.get(_ref(one, namespace))
        digest = known.right if known and known.right and one["kind"] in DECIDES_REACH else one.get("digest")
        kept = {name: one[name] for name in ("kind", "name", "namespace") if one.get(name)}
        found.append(kept | ({"digest": digest} if digest else {}))
    return found


def listed_in(status: Mapping[str, Any], namespace: str) -> frozenset[Ref]:
    """The children that a status names, of an agent of that namespace."""
    return frozenset(_ref(one, namespace) for one in status.get("managedResources") or [])


def _ref(one: Mapping[str, Any], namespace: str) -> Ref:
    return Ref(one["kind"], one.get("namespace") or namespace, one["name"])


def edited_since(
    status: Mapping[str, Any],
    owned: Sequence[StoredChild],
    children: Mapping[Ref, StoredChild],
    ownership: Mapping[Ref, OwnershipRecord],
    *,
    restored: Ref,
) -> list[StoredChild]:
    """The parts of an agent's fence that are not as it was accepted with them. What is missing lets nobody do more.

    `owned`: its children. `children`: all there are. `restored`: the policy that is put right in any case.
    """
    digests = {_ref(one, restored.namespace): one.get("digest") for one in status.get("managedResources") or []}
    found = []
    for ref in sorted({*digests, *(child.ref for child in owned)} - {restored}):
        child, known = children.get(ref), ownership.get(ref)
        if child is None or ref.kind not in DECIDES_REACH:
            continue
        right = known.right if known is not None and known.right else digests.get(ref)
        if child.digest != right:
            found.append(child)
    return found


def stop_for(edited: Sequence[StoredChild], workloads: Sequence[StoredChild]) -> Stop | None:
    """Why an agent that is not accepted now, and was before, gets no pods; None where its fence is as it was."""
    if edited:
        ref = edited[0].ref
        why = f"{ref.kind} {ref.name} is not as it was accepted, and the spec of then is not known any more"
        return Stop(Reason.UNFENCED, f"{STAYS_STOPPED}: {why}")
    if any(one.mark == STOPPED for one in workloads):
        return Stop(Reason.UNFENCED, f"{STAYS_STOPPED}: it was stopped while its fence was not right, or by a policy")
    return None


def suspended(violations: Sequence[Violation], bound: Sequence[NamedPolicy]) -> Stop | None:
    """Whether one that was accepted gets no pods because it does not fit any more. `bound`: the strictest decides."""
    strict = suspending(bound)
    if strict is None or not violations:
        return None
    first, more = violations[0], f" and {len(violations) - 1} more" if violations[1:] else ""
    what = f"{first.path}: {first.rule}{more}"
    return Stop(
        Reason.SUSPENDED_BY_POLICY,
        f"stopped: no pods until it fits its policies again ({what}), as AgentPolicy {strict.name} says",
    )
