"""Kubernetes Events: what a person would want to know, said once."""

from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic
from typing import Literal
from uuid import uuid4

import structlog

from ringfence.api.names import API_VERSION, MANAGED_BY
from ringfence.api.status import Reason
from ringfence.kube import ApiError, Kube, Object, Unreachable, path_of

log = structlog.get_logger()

QUIET_SECONDS = 300.0
"""The same sentence about the same agent is not said again for so long."""
REMEMBERED = 4096
"""Sentences remembered; more agents than that repeat themselves a little."""
MAX_NOTE = 1000
"""The API server's bound on an Event's message is 1,024 bytes."""


class Events:
    """Writes Events about agents. A failure to write one is logged and nothing else."""

    def __init__(
        self,
        kube: Kube,
        *,
        instance: str,
        leading: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._kube = kube
        self._instance = instance
        self._leading = leading
        self._clock = clock
        self._said: OrderedDict[tuple[str, str, str], float] = OrderedDict()

    async def say(self, agent: Object, kind: Literal["Normal", "Warning"], reason: Reason, note: str) -> None:
        """One Event, unless it was said lately, or is another replica's to say."""
        if not self._leading():
            return
        metadata = agent["metadata"]
        sentence = (metadata["uid"], str(reason), note)
        now = self._clock()
        if now - self._said.get(sentence, float("-inf")) < QUIET_SECONDS:
            return
        self._said[sentence] = now
        self._said.move_to_end(sentence)
        if len(self._said) > REMEMBERED:
            self._said.popitem(last=False)
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        body: Object = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                "name": f"{metadata['name'][:200]}.{uuid4().hex[:16]}",
                "namespace": metadata["namespace"],
            },
            "eventTime": stamp,
            "reportingController": f"ringfence.dev/{MANAGED_BY}",
            "reportingInstance": self._instance[:128],
            "action": "Reconcile",
            "reason": str(reason),
            "type": kind,
            "note": note.encode()[:MAX_NOTE].decode(errors="ignore"),
            "regarding": {
                "apiVersion": API_VERSION,
                "kind": "AgentDeployment",
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
            },
        }
        try:
            await self._kube.create(path_of("events.k8s.io/v1", "events", metadata["namespace"]), body)
        except (ApiError, Unreachable) as failure:
            if isinstance(failure, ApiError) and failure.terminating:
                return
            log.warning(
                "could not write an Event",
                agent=metadata["name"],
                namespace=metadata["namespace"],
                error=str(failure),
            )
