"""Keeps the status of an AgentPolicy: how many agents it binds, how many of these it does not allow, since when.

The passes over agents decide, and note in the store what they found; here it is only counted. A policy's status
follows within seconds, not at once: while ten thousand agents are decided anew it is written a few times.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from ringfence.api.names import API_VERSION
from ringfence.controller.runtime.lease import NotLeading
from ringfence.controller.runtime.loop import Look
from ringfence.kube import ApiError, Kube, NotFound, Object, path_of
from ringfence.resources.secrets import stamp
from ringfence.store.records import StoredPolicy, packed, read_policy
from ringfence.store.store import Store

SECONDS: Final = 5.0
"""From a change to the write of a policy's status: what else changes meanwhile is in the same write."""


@dataclass(frozen=True)
class Counted:
    """What is known of one policy's agents."""

    bound: int
    violating: int


def status_of(policy: StoredPolicy, counted: Counted, now: datetime) -> Object:
    """The status to store. `violatingSince` moves only when the first agent stops fitting, and goes with the last."""
    before = policy.status
    status: Object = {
        "observedGeneration": policy.generation,
        "boundAgents": counted.bound,
        "violatingAgents": counted.violating,
    }
    if counted.violating:
        status["violatingSince"] = before.get("violatingSince") or stamp(now)
    return status


@dataclass
class PolicyReconciler:
    """Works on one policy at a time."""

    kube: Kube
    store: Store
    leading: Callable[[], bool]
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    kind: str = field(default="AgentPolicy", init=False)
    _due: dict[str, datetime] = field(default_factory=dict)
    """When the status of a policy is to be written, where it changed."""

    def about(self, key: str) -> Mapping[str, str]:
        """As fields of a log line."""
        return {"policy": key}

    async def reconcile(self, key: str) -> Look:
        """One pass. Raises ApiError, Unreachable, NotLeading: the caller tries again later."""
        policy = self.store.policies.get(key)
        if policy is None:
            self._due.pop(key, None)
            return Look()
        now, pause = self.clock(), timedelta(seconds=SECONDS)
        noticed = self._due.get(key, now + pause) - pause
        status = status_of(policy, Counted(*self.store.agents_of_policy(key)), noticed)
        if packed(status) == policy.status_json:
            self._due.pop(key, None)
            return Look()
        left = (self._due.setdefault(key, now + pause) - now).total_seconds()
        if left > 0:
            return Look(after=left)
        if not self.leading():
            raise NotLeading("the lease is not held any more")
        await self._write(policy, status)
        return Look()

    async def failed(self, key: str, failure: Exception) -> None:
        """A mistake of ours: the log has it."""

    async def _write(self, policy: StoredPolicy, status: Object) -> None:
        self._due.pop(policy.name, None)
        path = path_of(API_VERSION, "agentpolicies", name=policy.name) + "/status"
        operations: list[dict[str, Any]] = [
            {"op": "test", "path": "/metadata/uid", "value": policy.uid},
            {"op": "add", "path": "/status", "value": status},
        ]
        try:
            answer = await self.kube.json_patch(path, operations)
        except NotFound:
            return  # its end will be told
        except ApiError as failure:
            if failure.status == HTTPStatus.UNPROCESSABLE_ENTITY:
                return  # another one of that name: it will be told
            raise
        self.store.policies.take(read_policy(answer))
