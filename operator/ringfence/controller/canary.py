"""Where the canary listens: in the gate of each agent's pod, without which no pod is made."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog

from ringfence.kube import ApiError, ErrorKind, Kube, Unreachable, path_of
from ringfence.resources import JobImage
from ringfence.resources.model import Gate

log = structlog.get_logger(__name__)

AGAIN_SECONDS: Final = 2.0
"""Between two looks at a Service that is not there."""
LOOK_SECONDS: Final = 60.0
"""Between two looks at one that is there, which hardly ever changes: one request to the API server each."""


@dataclass(frozen=True)
class Canary:
    """`service`: name of its Service. `image`: what gates run. `given`: address and port, where nobody is asked."""

    kube: Kube
    namespace: str
    service: str
    image: JobImage | None
    given: tuple[str, int] | None = None

    async def found(self, stop: asyncio.Event) -> Gate | None:
        """What a gate is made of. None: no such Service, or no image. Asks until an answer comes, or `stop`."""
        if self.image is None:
            log.error("no agent gets a pod: no image is known for its gate (--job-image)")
            return None
        while not stop.is_set():
            try:
                return await self._asked()
            except (ApiError, Unreachable) as failure:
                again = failure.kind is ErrorKind.RETRY
                about = {"service": f"{self.namespace}/{self.service}", "error": str(failure), "again": again}
                log.error("no agent gets a new pod: the canary's Service cannot be read", **about)  # noqa: TRY400
                if not again:
                    break
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), AGAIN_SECONDS)
        return None

    async def follow(self, known: Gate | None, changed: Callable[[Gate], Any]) -> None:
        """For ever: look again, and say what gates are made of from now on, where that is not `known` any more.

        While there is no Service, or no answer comes, the last one stays.
        """
        while self.image is not None and self.given is None:
            await asyncio.sleep(AGAIN_SECONDS if known is None else LOOK_SECONDS)
            try:
                now = await self._asked()
            except (ApiError, Unreachable) as failure:
                log.info("cannot look at the canary's Service", error=str(failure))
                continue
            if now != known:
                log.info("the canary is elsewhere", address=now.address, before=known.address if known else None)
                known = now
                changed(now)

    async def _asked(self) -> Gate:
        """Raises ApiError, Unreachable."""
        image = self.image or JobImage("")
        if self.given is not None:
            return Gate(image, *self.given)
        spec = (await self.kube.get(path_of("v1", "services", self.namespace, self.service)))["spec"]
        return Gate(image, spec["clusterIP"], spec["ports"][0]["port"])
