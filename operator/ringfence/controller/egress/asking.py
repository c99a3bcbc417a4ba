"""By what address gateways find the controller: its Service's."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import structlog

from ringfence.kube import ApiError, ErrorKind, Kube, Unreachable, path_of
from ringfence.resources.model import GatewayReports

log = structlog.get_logger(__name__)

AGAIN_SECONDS: Final = 2.0
LOOK_SECONDS: Final = 60.0
"""Between two looks at the Service, which hardly ever changes: one request to the API server each."""


@dataclass(frozen=True)
class Asking:
    """`service`: name of the Service. `port`: that its pods listen at."""

    kube: Kube
    namespace: str
    service: str
    port: int

    async def found(self, nobody: GatewayReports, stop: asyncio.Event) -> GatewayReports:
        """What stands in gateways, with all else of `nobody`, which it is where there is no such Service.

        While no answer comes it is asked again, until `stop`: gateways would all be written anew, to tell nobody.
        """
        while not stop.is_set():
            try:
                return await self._asked(nobody)
            except (ApiError, Unreachable) as failure:
                again = failure.kind is ErrorKind.RETRY
                about = {"service": f"{self.namespace}/{self.service}", "error": str(failure), "again": again}
                log.warning("egress gateways tell nobody of refusals", **about)
                if not again:
                    break
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), AGAIN_SECONDS)
        return nobody

    async def follow(self, told: GatewayReports, changed: Callable[[GatewayReports], None]) -> None:
        """For ever: look again, and say what stands in gateways from now on, where that is not `told` any more.

        Who makes the Service anew gives it another address. While there is none, or no answer comes, the last one
        stays.
        """
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                now = await self._asked(told)
            except (ApiError, Unreachable) as failure:
                log.info("cannot look at the Service of egress gateways", error=str(failure))
                continue
            if now != told:
                log.info("egress gateways find the controller elsewhere", address=now.address, before=told.address)
                told = now
                changed(now)

    async def _asked(self, before: GatewayReports) -> GatewayReports:
        """With all else of `before`. Raises ApiError, Unreachable."""
        spec = (await self.kube.get(path_of("v1", "services", self.namespace, self.service)))["spec"]
        address, port = spec["clusterIP"], spec["ports"][0]["port"]
        return replace(
            before,
            address=f"[{address}]:{port}" if ":" in address else f"{address}:{port}",
            namespace=self.namespace,
            labels=spec["selector"],
            port=self.port,
        )
