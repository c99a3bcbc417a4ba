"""Which pods an edited Deployment left behind: their template was never ours. Pure.

A repair puts the Deployment right, and its controller then deletes the pods of the edited template. How long they may
take to end, the edited template says, and a kubelet that has begun to end a pod listens to nobody any more. So they are
ended as soon as they are seen, before anybody else does it.
"""

from collections.abc import Mapping
from typing import Any

from ringfence.resources.stored import controlled_by

from .records import StoredPod
from .shapes import at

END_WITHIN = 1
"""Seconds that such a pod gets. Not 0: the object would go at once, and its processes when the kubelet thinks fit."""


def is_left_behind(pod: StoredPod, periods: frozenset[int]) -> bool:
    """Whether a pod looks as if it were of no template that Ringfence ever wrote, and is not about to end.

    `periods`: seconds that templates of ours gave the agent's pods to end. Whether the pod's template does, its
    ReplicaSet tells: something else may give the pods of our own templates another time.
    """
    foreign = pod.replica_set is not None and not (pod.grace is None or pod.grace in periods)
    ending = pod.ends if pod.ends_within is None else pod.ends_within <= END_WITHIN
    return foreign and not ending


def made_by_edit(replica_set: Mapping[str, Any], workload_uid: str, periods: frozenset[int]) -> bool:
    """Whether a ReplicaSet is of the Deployment with that uid, and of a template that was never ours."""
    grace = at(replica_set, "spec", "template", "spec", "terminationGracePeriodSeconds")
    return controlled_by(replica_set["metadata"], workload_uid) and not (grace is None or grace in periods)
