"""The edge to the API server: one thin asynchronous client for plain JSON objects.

It stands on the official client's configuration and connection pool (kubeconfig, in-cluster token renewal, TLS,
proxies) and leaves out its generated models: manifests are built as JSON and sent as JSON.

Errors: `ApiError` (the server refused; `status` is the HTTP code), its subclasses `NotFound` and `Conflict`, and
`Unreachable` (no answer came: the request may or may not have been carried out).
"""

import asyncio
import builtins
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from http import HTTPStatus
from time import monotonic
from typing import Any, Self
from urllib.parse import quote, urlencode

import aiohttp
import orjson
from kubernetes.aio import config
from kubernetes.aio.client import Configuration
from kubernetes.aio.client.rest import RESTClientObject

Object = dict[str, Any]
Observer = Callable[[str, int | None, float], None]
"""Told of each request: its verb, the status of the answer (None: no answer came), the seconds until its head."""

REQUEST_TIMEOUT = 30.0
"""Seconds for one request; the API server's own limit for non-watch requests is 60."""
WATCH_SECONDS = 290
"""Length of one watch request; the server closes it then, and the next one resumes. Below common proxies' 300 s."""
WATCH_SILENCE = 75.0
"""Seconds without even a bookmark (they come each minute) after which a watch counts as dead."""
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
"""Asks for an object's metadata. There is no other form to fall back on, so the content is never sent."""
PAGE = 500
"""Objects in one page of a list."""
PASSING = {HTTPStatus.UNAUTHORIZED, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS}
"""Refusals that pass by themselves."""
BUSY = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)


class ApiError(Exception):
    """The API server answered with an error. `message` is its sentence for a person."""

    def __init__(self, status: int, reason: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after

    @property
    def terminating(self) -> bool:
        """Whether the namespace is being deleted and takes nothing new."""
        return self.status == HTTPStatus.FORBIDDEN and "being terminated" in self.message

    @property
    def passing(self) -> bool:
        """Whether the API server is merely busy, starting or stopping: not worth a word to anybody."""
        return self.status in BUSY

    @property
    def final(self) -> bool:
        """Whether the same request would be refused again: the request itself is not acceptable."""
        return HTTPStatus.BAD_REQUEST <= self.status < HTTPStatus.INTERNAL_SERVER_ERROR and self.status not in PASSING


class NotFound(ApiError):
    """404: no such object, or no such resource."""


class Conflict(ApiError):
    """409: it exists already, another field manager owns a field, or a precondition does not hold."""


class Unreachable(Exception):
    """No answer: connection refused, reset or timed out."""


def path_of(group_version: str, plural: str, namespace: str | None = None, name: str | None = None) -> str:
    """The URL path of a resource: `path_of("apps/v1", "deployments", "ns", "x")`; `v1` is the core group."""
    root = f"/apis/{group_version}" if "/" in group_version else f"/api/{group_version}"
    scope = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    return f"{root}{scope}/{plural}" + (f"/{quote(name, safe='')}" if name else "")


class Kube:
    """One connection pool to one API server. Use as an async context manager, or call `close`."""

    def __init__(self, configuration: Configuration, observe: Observer = lambda *_: None) -> None:
        self._configuration = configuration
        self._observe = observe
        self._rest = RESTClientObject(configuration)

    @classmethod
    async def connect(
        cls, kubeconfig: str | None = None, context: str | None = None, *, observe: Observer = lambda *_: None
    ) -> "Kube":
        """Connect by the pod's service account, or else by `kubeconfig` (default: $KUBECONFIG, ~/.kube/config).

        Raises kubernetes.aio.config.ConfigException when neither is there.
        """
        configuration = Configuration()
        if kubeconfig is None and context is None:
            with contextlib.suppress(config.ConfigException):
                config.load_incluster_config(client_configuration=configuration)
                return cls(configuration, observe)
        await config.load_kube_config(kubeconfig, context, client_configuration=configuration, persist_config=False)
        return cls(configuration, observe)

    @property
    def configuration(self) -> Configuration:
        """Where the API server is, and the credentials for it."""
        return self._configuration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._rest.close()

    async def get(self, path: str) -> Object:
        """One object. Raises NotFound."""
        return await self._json("GET", path)

    async def get_metadata(self, path: str) -> Object:
        """One object without its content (PartialObjectMetadata): of a Secret, no value comes here. Raises NotFound."""
        return await self._json("GET", path, accept=METADATA_ONLY)

    async def list(
        self, path: str, *, label_selector: str | None = None, field_selector: str | None = None
    ) -> list[Object]:
        """All objects of a collection, page by page."""
        return (await self._list(path, label_selector, field_selector))[0]

    async def snapshot(self, path: str, *, label_selector: str | None = None) -> tuple[builtins.list[Object], int]:
        """All objects of a collection, and the resourceVersion at which they were listed."""
        items, version = await self._list(path, label_selector)
        return items, int(version) if version.isdigit() else 0

    async def create(self, path: str, body: Object) -> Object:
        """POST to a collection. Raises Conflict when it exists already."""
        return await self._json("POST", path, body=body)

    async def apply(
        self, path: str, body: Object, *, manager: str, force: bool = True, dry_run: bool = False
    ) -> Object:
        """Server-side apply. With `force` false another manager's fields raise Conflict."""
        query = {"fieldManager": manager, "force": str(force).lower(), "fieldValidation": "Strict"}
        return await self._json(
            "PATCH", path, body=body, query=_dry(query, dry_run), kind="application/apply-patch+yaml"
        )

    async def apply_new(self, path: str, body: Object, *, manager: str) -> tuple[Object, bool]:
        """Server-side apply of what should not exist yet, not forced. Also whether this very request made it."""
        query = {"fieldManager": manager, "force": "false", "fieldValidation": "Strict"}
        response = await self._send("PATCH", path, query, body=body, kind="application/apply-patch+yaml")
        return await self._read(response, f"PATCH {path}"), response.status == HTTPStatus.CREATED

    async def replace(self, path: str, body: Object, *, manager: str | None = None, dry_run: bool = False) -> Object:
        """PUT; with `metadata.resourceVersion` in the body it raises Conflict when the object changed since."""
        query = {"fieldManager": manager} if manager else {}
        return await self._json("PUT", path, body=body, query=_dry(query, dry_run))

    async def merge(self, path: str, body: Object, *, manager: str | None = None) -> Object:
        """JSON merge patch."""
        query = {"fieldManager": manager} if manager else {}
        return await self._json("PATCH", path, body=body, query=query, kind="application/merge-patch+json")

    async def json_patch(self, path: str, operations: Sequence[Object]) -> Object:
        """JSON patch (RFC 6902): all operations or none. Raises ApiError 422 when a `test` among them fails."""
        return await self._json("PATCH", path, body=operations, kind="application/json-patch+json")

    async def delete(self, path: str, *, uid: str | None = None) -> None:
        """Delete in the background; with `uid` only that very object, else Conflict. Absent is fine."""
        body: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if uid:
            body["preconditions"] = {"uid": uid}
        with contextlib.suppress(NotFound):
            await self._json("DELETE", path, body=body)

    async def list_watch(self, path: str, *, label_selector: str | None = None) -> AsyncIterator[tuple[str, Any]]:
        """Follow a collection for ever.

        Yields `("SYNC", [object, ...])` after each full list (the first, and after a gap in the watch: whatever is not
        in it is gone), then `("ADDED" | "MODIFIED" | "DELETED", object)`. Failures are retried with growing pauses.
        """
        failures = 0
        while True:
            try:
                items, version = await self._list(path, label_selector)
                yield "SYNC", items
                failures = 0
                async for event in self._watch(path, label_selector, version):
                    yield event
            except (ApiError, Unreachable):
                await asyncio.sleep(BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)])
                failures += 1

    async def _list(
        self, path: str, label_selector: str | None, field_selector: str | None = None
    ) -> tuple[builtins.list[Object], str]:
        items: list[Object] = []
        selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
        query = {"limit": str(PAGE)} | {key: value for key, value in selectors.items() if value}
        while True:
            page = await self._json("GET", path, query=query)
            items += page.get("items") or []
            if not (token := page["metadata"].get("continue")):
                return items, page["metadata"]["resourceVersion"]
            query["continue"] = token

    async def _watch(self, path: str, label_selector: str | None, version: str) -> AsyncIterator[tuple[str, Object]]:
        """Resume from `version` until the server says that it is gone (410): then return, and the caller lists anew."""
        query = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(WATCH_SECONDS)}
        if label_selector:
            query["labelSelector"] = label_selector
        while True:
            response = await self._send("GET", path, query | {"resourceVersion": version}, timeout=WATCH_SECONDS + 30)
            try:
                async for line in _lines(response):
                    event = orjson.loads(line)
                    if event["type"] == "ERROR":
                        return
                    version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        yield event["type"], event["object"]
            finally:
                response.close()

    async def _json(
        self,
        method: str,
        path: str,
        *,
        body: Object | Sequence[Object] | None = None,
        query: Mapping[str, str] | None = None,
        kind: str | None = None,
        accept: str = "application/json",
    ) -> Object:
        response = await self._send(method, path, query or {}, body=body, kind=kind, accept=accept)
        return await self._read(response, f"{method} {path}")

    async def _read(self, response: aiohttp.ClientResponse, request: str) -> Object:
        try:
            result: Object = orjson.loads(await response.read())
        except (TimeoutError, aiohttp.ClientError, OSError, orjson.JSONDecodeError) as failure:
            raise Unreachable(f"{request}: the answer broke off ({type(failure).__name__})") from failure
        return result

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        *,
        body: Object | Sequence[Object] | None = None,
        kind: str | None = None,
        accept: str = "application/json",
        timeout: float = REQUEST_TIMEOUT,  # noqa: ASYNC109 - handed to aiohttp
    ) -> aiohttp.ClientResponse:
        headers = {"Accept": accept, "Content-Type": kind or "application/json"}
        if token := (await self._configuration.auth_settings()).get("BearerToken"):
            headers["authorization"] = token["value"]
        url = f"{self._configuration.host}{path}" + (f"?{urlencode(query)}" if query else "")
        verb = "WATCH" if "watch" in query else method
        started = monotonic()
        try:
            answer = await self._rest.request(method, url, headers=headers, body=body, _request_timeout=timeout)
            response: aiohttp.ClientResponse = answer.response
            self._observe(verb, response.status, monotonic() - started)
            if response.status < HTTPStatus.BAD_REQUEST:
                return response
            raise _error(response, await response.read())
        except (TimeoutError, aiohttp.ClientError, OSError) as failure:
            self._observe(verb, None, monotonic() - started)
            raise Unreachable(f"{method} {path}: {type(failure).__name__}") from failure


def _dry(query: dict[str, str], dry_run: bool) -> dict[str, str]:
    return query | {"dryRun": "All"} if dry_run else query


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The lines of a watch. Raises Unreachable when it goes silent or breaks; ends when the server ends it."""
    buffer = bytearray()
    chunks = response.content.iter_any()
    while True:
        try:
            chunk = await asyncio.wait_for(anext(chunks), WATCH_SILENCE)
        except StopAsyncIteration:
            return
        except (TimeoutError, aiohttp.ClientError, OSError) as failure:
            raise Unreachable(f"watch broke: {type(failure).__name__}") from failure
        buffer += chunk
        *lines, rest = buffer.split(b"\n")
        for line in lines:
            if line:
                yield bytes(line)
        buffer = bytearray(rest)


def _error(response: aiohttp.ClientResponse, body: bytes) -> ApiError:
    try:
        status = orjson.loads(body)
        reason, message = str(status.get("reason", "")), str(status.get("message", ""))
    except (orjson.JSONDecodeError, AttributeError):
        reason, message = response.reason or "", body[:200].decode(errors="replace")
    kind = {404: NotFound, 409: Conflict}.get(response.status, ApiError)
    seconds = response.headers.get("Retry-After", "")
    return kind(response.status, reason, message, float(seconds) if seconds.isdigit() else None)
