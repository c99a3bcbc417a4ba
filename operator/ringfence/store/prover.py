"""Proves the addresses that the API server announces: greets each now and then, and tells what is not believed."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from ringfence.kube import Kube
from ringfence.kube.proof import Proof, prove
from ringfence.resources import Endpoint

from .api_server import Doubted
from .context import PolicyContext
from .sources import ENDPOINT_SLICE

LOOK_SECONDS: Final = 60.0
"""Between two looks while all is believed; an API server keeps its certificate for months."""
AGAIN_SECONDS: Final = 5.0
"""While something is not: an API server that starts announces itself before it answers."""
AT_LEAST_SECONDS: Final = 1.0
"""Between two looks, however often the announcement changes."""
KEPT_SECONDS: Final = 600.0
"""How long a proof outlives the last answer: the API servers may all be away at once, and an address that is closed to
the agents then is closed to them afterwards, too, until the next look."""
AT_A_TIME: Final = 8
"""Addresses that are greeted at a time."""

Prove = Callable[[Endpoint], Awaitable[Proof]]


@dataclass(kw_only=True)
class Prover:
    """Keeps the proofs of `context`. `changed`: told when another address is believed. `tell`: of each look."""

    context: PolicyContext
    prove: Prove
    changed: Callable[[str, str | None], None] = lambda *_: None
    tell: Callable[[Sequence[Doubted], int], None] = lambda *_: None
    clock: Callable[[], float] = monotonic
    looked: bool = False
    """Whether there was a first look."""
    _known: dict[Endpoint, tuple[Proof, float]] = field(default_factory=dict)
    _announced: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.context.api_server_addresses.announced = self._announced.set

    async def follow(self) -> None:
        """For ever."""
        while True:
            doubted = await self.look()
            await asyncio.sleep(AT_LEAST_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_SECONDS if doubted else LOOK_SECONDS):
                    await self._announced.wait()

    async def look(self) -> Sequence[Doubted]:
        """Greet every address that is announced; what is not believed."""
        self._announced.clear()
        claims = self.context.api_server_claims
        free = asyncio.Semaphore(AT_A_TIME)

        async def one(endpoint: Endpoint) -> Proof:
            async with free:
                return await self.prove(endpoint)

        found = await asyncio.gather(*map(one, claims))
        now = self.clock()
        self._known = {
            endpoint: self._newest(endpoint, proof, now) for endpoint, proof in zip(claims, found, strict=True)
        }
        before = self.context.version
        self.context.take_proofs({endpoint: proof for endpoint, (proof, _) in self._known.items()})
        self.looked = True
        if self.context.version != before:
            self.changed(ENDPOINT_SLICE, None)
        doubted = self.context.doubted
        self.tell(doubted, len(self.context.api_server))
        return doubted

    def _newest(self, endpoint: Endpoint, proof: Proof, now: float) -> tuple[Proof, float]:
        """What counts now: silence leaves an earlier answer in force for a while."""
        before, since = self._known.get(endpoint, (Proof.SILENT, now))
        if proof is Proof.SILENT and now - since < KEPT_SECONDS:
            return before, since
        return proof, now


def by_certificate(kube: Kube) -> Prove:
    """A proof by the CA that `kube` trusts."""

    async def greet(endpoint: Endpoint) -> Proof:
        return await prove(kube.configuration.ssl_ca_cert, endpoint.address, endpoint.port)

    return greet
