"""Whether the fence of an agent still is what it was accepted with. Pure.

While a newer generation is not accepted, the spec that the fence was made from is not stored any more: an edit of it
can be seen, and not be put right.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ringfence.api.status import Reason
from ringfence.resources import Ref
from ringfence.resources.stored import STOPPED, StoredChild
from ringfence.store.store import OwnershipRecord

from .fence import Stop

DECIDES_REACH = frozenset({"NetworkPolicy", "Role", "RoleBinding"})
"""Kinds of children of which an edit may let an agent or its jobs do more."""
STAYS_STOPPED = "stopped: no pods until the agent is accepted again"


def with_digests(
    listed: Sequence[Mapping[str, Any]], namespace: str, ownership: Mapping[Ref, OwnershipRecord]
) -> list[dict[str, Any]]:
    """`status.managedResources` with the digest of each part of the fence, as it was last found right."""
    found = []
    for one in listed:
        known = ownership.get(Ref(one["kind"], namespace, one["name"]))
        digest = known.right if known and known.right and one["kind"] in DECIDES_REACH else one.get("digest")
        found.append({"kind": one["kind"], "name": one["name"]} | ({"digest": digest} if digest else {}))
    return found


def stop_where_edited(
    status: Mapping[str, Any],
    owned: Sequence[StoredChild],
    children: Mapping[Ref, StoredChild],
    ownership: Mapping[Ref, OwnershipRecord],
    *,
    workload: Ref,
    restored: Ref,
) -> Stop | None:
    """Why an agent that is not accepted now, and was before, gets no pods; None where its fence is as it was.

    `owned`: its children. `children`: all there are. `workload`: its Deployment. `restored`: the policy that is put
    right in any case. What is missing lets nobody do more.
    """
    digests = {
        Ref(one["kind"], workload.namespace, one["name"]): one.get("digest")
        for one in status.get("managedResources") or []
    }
    refs = {*digests, *(child.ref for child in owned)} - {restored}
    for ref in sorted(ref for ref in refs if ref.kind in DECIDES_REACH):
        child, known = children.get(ref), ownership.get(ref)
        if child is None:
            continue
        right = known.right if known is not None and known.right else digests.get(ref)
        if child.digest != right:
            why = f"{ref.kind} {ref.name} is not as it was accepted, and the spec of then is not known any more"
            return Stop(Reason.UNFENCED, f"{STAYS_STOPPED}: {why}")
    live = children.get(workload)
    if live is not None and live.mark == STOPPED:
        return Stop(Reason.UNFENCED, f"{STAYS_STOPPED}: it was stopped while its fence was not right")
    return None
