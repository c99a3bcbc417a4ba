"""A bare asynchronous client of the API server: JSON in, JSON out, over a bounded number of connections."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import orjson

from cluster.errors import ClusterError

__all__ = ["APPLY", "MERGE", "Client", "Refused", "each", "paced"]

Object = dict[str, Any]
T = TypeVar("T")

MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
PAGE = 500
"""Objects in one page of a list."""
REQUEST_SECONDS = 60
LINE_BYTES = 2**22
"""Longest event of a watch."""
ATTEMPTS = 3
"""The API server may close a connection that is kept, just when it is used again."""


class Refused(ClusterError):
    """The API server answered with an error; `.code` is its status."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text[:1000]}")
        self.code = code


class Client:
    """Requests by path, such as `/api/v1/namespaces`."""

    def __init__(self, session: aiohttp.ClientSession, server: str) -> None:
        self._session = session
        self._server = server

    @classmethod
    @asynccontextmanager
    async def connect(cls, kubeconfig: Path, *, connections: int) -> AsyncIterator[Client]:
        """A client for as long as the block lasts."""
        config = json.loads(await asyncio.to_thread(kubeconfig.read_text))
        user, cluster = config["users"][0]["user"], config["clusters"][0]["cluster"]
        context = ssl.create_default_context(cadata=_decoded(cluster["certificate-authority-data"]))
        with tempfile.NamedTemporaryFile("w") as pair:  # the standard library takes certificates from files only
            pair.write(_decoded(user["client-certificate-data"]) + _decoded(user["client-key-data"]))
            pair.flush()
            context.load_cert_chain(pair.name)
        connector = aiohttp.TCPConnector(limit=connections, ssl=context)
        async with aiohttp.ClientSession(connector=connector, read_bufsize=LINE_BYTES) as session:
            yield cls(session, cluster["server"])

    async def call(self, verb: str, path: str, body: Object | None = None, *, kind: str = "application/json") -> Object:
        """One request. Raises Refused."""
        data = None if body is None else orjson.dumps(body)
        headers = {"content-type": kind} if data else {}
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                url = f"{self._server}{path}"
                async with self._session.request(verb, url, data=data, headers=headers, timeout=timeout) as answer:
                    content = await answer.read()
                    if answer.status >= HTTPStatus.BAD_REQUEST:
                        raise Refused(answer.status, content.decode(errors="replace"))
                    found: Object = orjson.loads(content)
                    return found
            except (aiohttp.ClientConnectionError, TimeoutError) as failure:
                if attempt == ATTEMPTS:
                    raise ClusterError(f"{verb} {path}: {failure or type(failure).__name__}") from failure
        raise AssertionError("unreachable")

    async def get(self, path: str) -> Object:
        """An object or a list."""
        return await self.call("GET", path)

    async def create(self, path: str, body: Object) -> None:
        """POST. What is there already is fine."""
        try:
            await self.call("POST", path, body)
        except Refused as refused:
            if refused.code != HTTPStatus.CONFLICT:
                raise

    async def patch(self, path: str, body: Object) -> Object:
        """A JSON merge patch."""
        return await self.call("PATCH", path, body, kind=MERGE)

    async def delete(self, path: str) -> None:
        """DELETE. Nothing there is fine."""
        try:
            await self.call("DELETE", path)
        except Refused as refused:
            if refused.code != HTTPStatus.NOT_FOUND:
                raise

    async def list(self, path: str) -> tuple[list[Object], str]:
        """All objects of a collection, page by page, and the version at which they were listed."""
        items: list[Object] = []
        separator = "&" if "?" in path else "?"
        token = ""
        while True:
            page = await self.get(f"{path}{separator}limit={PAGE}" + (f"&continue={token}" if token else ""))
            items += page["items"]
            token = page["metadata"].get("continue", "")
            if not token:
                return items, str(page["metadata"]["resourceVersion"])

    async def watch(self, path: str, version: str, *, seconds: int) -> AsyncIterator[Object]:
        """Events from a version on, for at most so many seconds."""
        url = f"{self._server}{path}?watch=1&resourceVersion={version}&timeoutSeconds={seconds}"
        timeout = aiohttp.ClientTimeout(total=None, sock_read=seconds + 30)
        async with self._session.get(url, timeout=timeout) as answer:
            if answer.status >= HTTPStatus.BAD_REQUEST:
                raise Refused(answer.status, await answer.text())
            while line := await answer.content.readline():
                yield orjson.loads(line)


async def each(items: Iterable[T], act: Callable[[T], Awaitable[object]], *, workers: int) -> None:
    """`act` on every item, so many at a time."""
    waiting = iter(items)

    async def work() -> None:
        for item in waiting:
            await act(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(work())


async def paced(items: Iterable[T], act: Callable[[T], Awaitable[object]], *, per_second: float) -> None:
    """`act` on every item, so many a second, whether the one before has ended or not."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with asyncio.TaskGroup() as group:
        for number, item in enumerate(items):
            await asyncio.sleep(max(0.0, started + number / per_second - loop.time()))
            group.create_task(_awaited(act(item)))


async def _awaited(what: Awaitable[object]) -> None:
    await what


def _decoded(data: str) -> str:
    return base64.b64decode(data).decode()
