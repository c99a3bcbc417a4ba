"""The floor: a bare client that writes the same kinds of children, to namespaces of its own.

Its objects have the size and content of an agent's children, and an owner, since the API server checks each owner's
rights and the garbage collector follows each; they carry no label by which the controller would see them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from cluster.errors import ClusterError
from cluster.shell import step
from ringfence.api.names import CEILING_BINDING, STANDING_POLICY
from ringfence.resources.kinds import CHILD_KINDS

from .client import APPLY, Client, each
from .objects import Key
from .record import Entry

__all__ = ["Floor", "Template", "templates"]

CONNECTIONS = 8
"""As many as the controller has workers."""
NAMESPACES = 20
OWNER = "floor-owner"
GONE_SECONDS = 600


@dataclass(frozen=True)
class Template:
    """A kind of child: where it goes, and its text with a name to be replaced."""

    group_version: str
    resource: str
    name: str
    text: str

    def collection(self, namespace: str) -> str:
        """Path of its kind in a namespace."""
        root = "apis" if "/" in self.group_version else "api"
        return f"/{root}/{self.group_version}/namespaces/{namespace}/{self.resource}"


async def templates(client: Client, made: Sequence[Entry], agent: Key) -> list[Template]:
    """The children of an agent, in the order in which the record says that they were made.

    What the namespace has for itself is none of them.
    """
    found = []
    for entry in made:
        if entry.name in {STANDING_POLICY, CEILING_BINDING}:
            continue
        empty = Template(entry.group_version, entry.resource, entry.name, "")
        stored = await client.get(f"{empty.collection(entry.namespace)}/{entry.name}")
        body: dict[str, Any] = {key: value for key, value in stored.items() if key != "status"}
        if assigned := CHILD_KINDS[stored["kind"]].assigned:  # a copy gets its own
            body["spec"] = {key: value for key, value in body["spec"].items() if key not in assigned}
        body["metadata"] = {"name": entry.name, "labels": {"scale": "floor"}}
        text = orjson.dumps(body).decode()
        if agent.name not in text:
            raise ClusterError(f"{entry.resource}/{entry.name} does not carry the name of its agent")
        found.append(Template(entry.group_version, entry.resource, entry.name, text))
    return found


class Floor:
    """Writes children for so many agents that are none, by POST and by server-side apply in turn."""

    def __init__(self, client: Client, kinds: Sequence[Template], agent: Key) -> None:
        self._client = client
        self._kinds = kinds
        self._agent = agent

    async def measure(self, agents: int, cpu: Callable[[], float]) -> dict[str, float]:
        """Writes per second of each way, and this client's CPU seconds for 1,000 writes. Leaves nothing behind."""
        owners = await self._prepare()
        figures: dict[str, float] = {}
        with step(f"the floor: a bare client writes the children of {agents} agents"):
            for way in ("create", "apply"):
                before, started = cpu(), time.monotonic()

                async def write(number: int, way: str = way) -> None:
                    namespace = f"floor-{number % NAMESPACES}"
                    for kind in self._kinds:
                        await self._write(kind, namespace, f"{way}-{number}", owners[namespace], way)

                await each(range(agents // 2), write, workers=CONNECTIONS)
                writes = agents // 2 * len(self._kinds)
                figures[way] = writes / (time.monotonic() - started)
                figures[f"{way}_cpu"] = (cpu() - before) / writes * 1000
        with step("the floor's objects are deleted"):
            await self._remove()
        return figures

    async def _write(self, kind: Template, namespace: str, name: str, owner: dict[str, Any], way: str) -> None:
        body = orjson.loads(kind.text.replace(self._agent.name, name))
        body["metadata"] |= {"ownerReferences": [owner]}
        collection = kind.collection(namespace)
        if way == "create":
            await self._client.call("POST", collection, body)
        else:
            path = f"{collection}/{body['metadata']['name']}?fieldManager=floor"
            await self._client.call("PATCH", path, body, kind=APPLY)

    async def _prepare(self) -> dict[str, dict[str, Any]]:
        owners = {}
        for number in range(NAMESPACES):
            name = f"floor-{number}"
            await self._client.create("/api/v1/namespaces", {"metadata": {"name": name}})
            path = f"/api/v1/namespaces/{name}/configmaps"
            await self._client.create(path, {"metadata": {"name": OWNER}})
            uid = (await self._client.get(f"{path}/{OWNER}"))["metadata"]["uid"]
            owners[name] = {"apiVersion": "v1", "kind": "ConfigMap", "name": OWNER, "uid": uid} | {
                "controller": True,
                "blockOwnerDeletion": True,
            }
        return owners

    async def _remove(self) -> None:
        names = [f"floor-{number}" for number in range(NAMESPACES)]
        for name in names:
            await self._client.delete(f"/api/v1/namespaces/{name}")
        deadline = time.monotonic() + GONE_SECONDS
        while True:
            items, _ = await self._client.list("/api/v1/namespaces")
            left = {item["metadata"]["name"] for item in items} & set(names)
            if not left:
                return
            if time.monotonic() > deadline:
                raise ClusterError(f"the floor's namespaces are not gone after {GONE_SECONDS} s: {sorted(left)}")
            await asyncio.sleep(1)
