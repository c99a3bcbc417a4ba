"""Which rotations run at this moment: by the pods of their jobs.

The CronJob tells of a job's end seconds after the job has written the new value, and no Secret is watched.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ringfence.resources.model import ROTATION_LABEL, Ref
from ringfence.resources.rotation import JOB_SECONDS
from ringfence.resources.secrets import when
from ringfence.resources.stored import resource_version

from .indexes import index_few
from .records import Key, PodKey
from .tables import Table


@dataclass(frozen=True, slots=True)
class RotationPod:
    """One pod. `job`: the CronJob of its rotation, by its namespace and name. `begun`: None while it does not run."""

    key: PodKey
    version: int
    job: Key
    begun: datetime | None


def read_rotation_pod(body: Mapping[str, Any]) -> RotationPod:
    """What is kept of a pod with the label of rotations."""
    metadata, status = body["metadata"], body.get("status") or {}
    return RotationPod(
        key=PodKey(metadata["namespace"], metadata["name"]),
        version=resource_version(body),
        job=Key(metadata["namespace"], (metadata.get("labels") or {}).get(ROTATION_LABEL, "")),
        begun=when(status.get("startTime")) if status.get("phase") == "Running" else None,
    )


class Rotations:
    """Them, by CronJob. `owner`: the agent of such a child. `wake`: told of agents whose job begins to run, or ends."""

    def __init__(self, owner: Callable[[Ref], Key | None], wake: Callable[[Key], None]) -> None:
        self._owner, self._wake = owner, wake
        self._running: dict[Key, tuple[RotationPod, ...]] = {}
        self.pods: Table[PodKey, RotationPod] = Table(read_rotation_pod, lambda pod: pod.key, self._changed)

    def run(self, job: Key, now: datetime) -> bool:
        """Whether one of its jobs does. No job takes longer than JOB_SECONDS, whatever the pods say."""
        found = self._running.get(job, ())
        return any(pod.begun and now < pod.begun + timedelta(seconds=JOB_SECONDS) for pod in found)

    def _changed(self, old: RotationPod | None, new: RotationPod | None) -> None:
        ran, runs = ([one] if one is not None and one.begun else [] for one in (old, new))
        for one in ran:
            index_few(self._running, one, [one.job], ())
        for one in runs:
            index_few(self._running, one, (), [one.job])
        for job in {one.job for one in ran} ^ {one.job for one in runs}:
            if (key := self._owner(Ref("CronJob", *job))) is not None:
                self._wake(key)
