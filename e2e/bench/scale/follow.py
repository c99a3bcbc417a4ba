"""All AgentDeployments, as a watch shows them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from cluster.errors import ClusterError

from .client import Client, Refused
from .objects import AGENTS, Key

__all__ = ["Follower", "Seen", "accepted", "applied", "refused"]

WATCH_SECONDS = 280


@dataclass(frozen=True)
class Seen:
    """What an agent's status says. `current`: every condition is about the present generation."""

    generation: int
    accepted_generation: int
    conditions: dict[str, tuple[str, str]]
    """Type -> status and reason."""
    current: bool


class Follower:
    """Knows the agents there are, and can wait until they say something."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._agents: dict[Key, Seen] = {}
        self._pending: set[Key] = set()
        self._wanted: Callable[[Seen], bool] = lambda _: False
        self._done = asyncio.Event()

    def __len__(self) -> int:
        return len(self._agents)

    async def run(self) -> None:
        """Until cancelled: list, then watch; anew when the watch is too old."""
        while True:
            items, version = await self._client.list(AGENTS)
            self._agents = {}
            for item in items:
                self._take("ADDED", item)
            try:
                while True:
                    version = await self._watch(version)
            except (Refused, ClusterError, OSError, TimeoutError):
                await asyncio.sleep(1)

    async def _watch(self, version: str) -> str:
        async for event in self._client.watch(AGENTS, version, seconds=WATCH_SECONDS):
            if event["type"] == "ERROR":
                raise Refused(HTTPStatus.GONE, str(event["object"]))
            self._take(event["type"], event["object"])
            version = event["object"]["metadata"]["resourceVersion"]
        return version

    def _take(self, kind: str, body: dict[str, Any]) -> None:
        key = Key(body["metadata"]["namespace"], body["metadata"]["name"])
        if kind == "DELETED":
            self._agents.pop(key, None)
            return
        seen = self._agents[key] = _seen(body)
        if key in self._pending and self._wanted(seen):
            self._pending.discard(key)
            if not self._pending:
                self._done.set()

    async def wait(self, what: str, keys: Iterable[Key], wanted: Callable[[Seen], bool], *, patience: float) -> None:
        """Until every one of these agents is seen as wanted. Raises ClusterError with one that is not."""
        self._wanted, self._done = wanted, asyncio.Event()
        self._pending = {key for key in keys if (seen := self._agents.get(key)) is None or not wanted(seen)}
        if not self._pending:
            return
        try:
            async with asyncio.timeout(patience):
                await self._done.wait()
        except TimeoutError:
            one = min(self._pending)
            told = f"{len(self._pending)} agents are not, such as {one.namespace}/{one.name}: {self._agents.get(one)}"
            raise ClusterError(f"gave up after {patience:.0f} s waiting for {what}: {told}") from None
        finally:
            self._pending = set()


def applied(seen: Seen) -> bool:
    """All children of the present spec are stored, and the status says so."""
    return seen.accepted_generation == seen.generation and seen.current and "Ready" in seen.conditions


def refused(seen: Seen) -> bool:
    """Decided and told: it violates a policy."""
    return seen.current and seen.conditions.get("Accepted", ("", ""))[0] == "False"


def accepted(seen: Seen) -> bool:
    """Decided and told: it fits its policies."""
    return seen.current and seen.conditions.get("Accepted", ("", ""))[0] == "True"


def _seen(body: dict[str, Any]) -> Seen:
    generation, status = body["metadata"]["generation"], body.get("status") or {}
    conditions = status.get("conditions") or []
    return Seen(
        generation=generation,
        accepted_generation=status.get("acceptedGeneration", 0),
        conditions={one["type"]: (one["status"], one["reason"]) for one in conditions},
        current=bool(conditions) and all(one["observedGeneration"] == generation for one in conditions),
    )
