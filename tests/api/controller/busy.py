"""A proxy in front of the API server that now and then answers in its place: 409, and 429 with Retry-After."""

import asyncio
import base64
import contextlib
import json
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import aiohttp
from aiohttp import web
from yarl import URL

PASSED_ON = ("Accept", "Content-Type")
Answerer = Callable[[str, str, int], int | None]
REASONS = {409: "Conflict", 429: "TooManyRequests"}


@dataclass(frozen=True)
class Asked:
    """One request. `code`: what the proxy answered in the API server's place; None: it was passed on."""

    at: float
    method: str
    path: str
    code: int | None


class Busy:
    """Use as a context manager. `answer`: decides on each request by its method, its path and its number, from 1."""

    def __init__(
        self, kubeconfig: Path, answer: Callable[[str, str, int], int | None], *, retry_after: int = 1
    ) -> None:
        self._config = json.loads(kubeconfig.read_text())
        self._answer = answer
        self._retry_after = str(retry_after)
        self._file = kubeconfig.with_name(f"{kubeconfig.stem}-busy{id(self)}.json")
        self._context = _context(self._config, kubeconfig.with_name(f"pair{id(self)}"))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.asked: list[Asked] = []

    def __enter__(self) -> Self:
        self._thread.start()
        self._runner, port = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(30)
        cluster = self._config["clusters"][0]["cluster"] | {"server": f"http://127.0.0.1:{port}"}
        config = self._config | {"clusters": [{"name": self._config["clusters"][0]["name"], "cluster": cluster}]}
        self._file.write_text(json.dumps(config))
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()
        self._file.unlink()

    @property
    def kubeconfig(self) -> Path:
        """The way through the proxy."""
        return self._file

    def answered(self, code: int) -> int:
        """How many requests the proxy answered so."""
        return sum(one.code == code for one in self.asked)

    async def _start(self) -> tuple[web.AppRunner, int]:
        self._connector = aiohttp.TCPConnector(ssl=self._context, limit=0)
        self._session = aiohttp.ClientSession(connector=self._connector, timeout=aiohttp.ClientTimeout(total=None))
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner, runner.addresses[0][1]

    async def _stop(self) -> None:
        # Watches are still being passed on: what is open when a loop is closed fails whatever test runs by then.
        await self._connector.close(abort_ssl=True)
        await self._runner.cleanup()
        await self._session.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path = request.rel_url.path
        method = "WATCH" if "watch" in request.rel_url.query else request.method
        code = self._answer(method, path, len(self.asked) + 1)
        self.asked.append(Asked(time.monotonic(), method, path, code))
        if code is not None:
            status = {"kind": "Status", "status": "Failure", "reason": REASONS[code], "message": "busy", "code": code}
            headers = {"Retry-After": self._retry_after} if code == 429 else {}
            return web.json_response(status, status=code, headers=headers)
        url = URL(self._config["clusters"][0]["cluster"]["server"] + request.raw_path, encoded=True)
        headers = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
        async with self._session.request(
            request.method, url, headers=headers, data=await request.read() or None
        ) as found:
            answer = web.StreamResponse(status=found.status, headers={"Content-Type": found.headers["Content-Type"]})
            with contextlib.suppress(ConnectionResetError):  # who asked is gone
                await answer.prepare(request)
                async for chunk in found.content.iter_any():
                    await answer.write(chunk)
            return answer


def now_and_then(method: str, path: str, number: int) -> int | None:
    """Every third write and every seventh read fails; of the Lease's those as well."""
    if method in {"GET", "WATCH"}:
        return 429 if number % 7 == 0 else None
    return {0: 409, 3: 429}.get(number % 6)


def _context(config: dict[str, list[dict[str, dict[str, str]]]], pair: Path) -> ssl.SSLContext:
    user, cluster = config["users"][0]["user"], config["clusters"][0]["cluster"]
    context = ssl.create_default_context(cadata=_decoded(cluster["certificate-authority-data"]))
    pair.write_text(_decoded(user["client-certificate-data"]) + _decoded(user["client-key-data"]))
    context.load_cert_chain(pair)
    pair.unlink()
    return context


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()
