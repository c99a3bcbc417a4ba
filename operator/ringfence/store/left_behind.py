"""Which pods an edited Deployment left behind: their template was never ours. Pure.

A repair puts the Deployment right, and its controller then deletes the pods of the edited template. How long they may
take to end, the edited template says.
"""

from ringfence.resources.model import child_name
from ringfence.resources.workload import GRACE_SECONDS

from .records import StoredPod

END_WITHIN = 1
"""Seconds that such a pod gets from now on. Not 0: the object would go at once, and its processes when the
kubelet thinks fit."""


def is_left_behind(pod: StoredPod) -> bool:
    """Whether a pod of an agent's Deployment is being deleted, and is of no template that Ringfence ever wrote.

    Whatever the spec says, or said before it: each template of ours gives its pods the same time to end. A pod of an
    earlier spec, which is being replaced, keeps that time.
    """
    foreign = pod.grace not in {None, GRACE_SECONDS} and _of_its_deployment(pod)
    return foreign and pod.ends_within is not None and pod.ends_within > END_WITHIN


def _of_its_deployment(pod: StoredPod) -> bool:
    """By the name of its ReplicaSet, which is the Deployment's with a hash: a hash has no dash in it."""
    return pod.replica_set.rpartition("-")[0] == child_name(pod.agent.name)
