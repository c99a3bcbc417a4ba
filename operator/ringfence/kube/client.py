"""One thin asynchronous client of the API server, for plain JSON objects.

It stands on the official client's configuration and connection pool (kubeconfig, in-cluster token renewal, TLS,
proxies) and leaves out its generated models: manifests are built as JSON and sent as JSON. The pool's own `request`
is left out as well: it encodes with the standard library's json, which cost a fifth of a write's time (profiled).

Errors: see errors.py.
"""

import asyncio
import builtins
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from time import monotonic
from typing import Any, Self
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import orjson
from yarl import URL

from .errors import NotFound, Unreachable, api_error
from .official import Configuration, RESTClientObject, config
from .paths import group_path

Object = dict[str, Any]
Observer = Callable[[str, int | None, float], None]
"""Told of each request: its verb, the status of the answer (None: no answer came), the seconds until its head."""

REQUEST_TIMEOUT = 30.0
"""Seconds for one request; the API server's own limit for non-watch requests is 60."""
WATCH_SECONDS = 290
"""Length of one watch request; the server closes it then, and the next one resumes. Below common proxies' 300 s."""
WATCH_SILENCE = 75.0
"""Seconds without even a bookmark (they come each minute) after which a watch counts as dead."""
JSON = "application/json"
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
"""Asks for an object's metadata. There is no other form to fall back on, so the content is never sent."""
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
"""The same for a collection."""
APPLY = "application/apply-patch+yaml"
PAGE = 500
"""Objects in one page of a list."""


def _silent(_verb: str, _status: int | None, _seconds: float) -> None:
    """Nobody wants to know of requests."""


class Kube:
    """One connection pool to one API server. Use as an async context manager, or call `close`."""

    def __init__(self, configuration: Configuration, observe: Observer = _silent) -> None:
        self._configuration = configuration
        self._observe = observe
        # aiohttp would look for proxies and a .netrc anew for each request, in a thread: here once is enough.
        configuration.client_session_kwargs = {"trust_env": False}
        configuration.proxy = configuration.proxy or _proxy_of_environment(configuration.host)
        self._rest = RESTClientObject(configuration)
        self._options = _options(configuration)

    @classmethod
    async def connect(
        cls, kubeconfig: str | None = None, context: str | None = None, *, observe: Observer = _silent
    ) -> "Kube":
        """Connect by the pod's service account, or else by `kubeconfig` (default: $KUBECONFIG, ~/.kube/config).

        Raises ConfigException when neither is there.
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
        found: list[Object] = []
        async for items, _ in self.pages(path, label_selector=label_selector, field_selector=field_selector):
            found += items
        return found

    async def pages(
        self,
        path: str,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        metadata_only: bool = False,
        limit: int = PAGE,
    ) -> AsyncIterator[tuple[builtins.list[Object], str]]:
        """The pages of a collection, each with the resourceVersion at which the whole list was read."""
        selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
        query = {"limit": str(limit)} | {key: value for key, value in selectors.items() if value}
        accept = METADATA_LIST if metadata_only else JSON
        while True:
            page = await self._json("GET", path, query=query, accept=accept)
            yield page.get("items") or [], str(page["metadata"]["resourceVersion"])
            if not (token := page["metadata"].get("continue")):
                return
            query["continue"] = token

    async def watch(
        self, path: str, version: str, *, label_selector: str | None = None
    ) -> AsyncIterator[tuple[str, Object]]:
        """Follow a collection from `version` on: (ADDED | MODIFIED | DELETED | BOOKMARK, object).

        Ends when the server ends the request, which is to be resumed from the last version seen; an ERROR (the version
        is too old) comes as `("ERROR", status)`, and means a new list. Raises ApiError, Unreachable.
        """
        query = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(WATCH_SECONDS)}
        query |= {"resourceVersion": version} | ({"labelSelector": label_selector} if label_selector else {})
        response = await self._send("GET", path, query, timeout=WATCH_SECONDS + 30)
        try:
            async for line in _lines(response):
                event = orjson.loads(line)
                yield event["type"], event["object"]
        finally:
            response.close()

    async def serves(self, group_version: str, plural: str) -> bool:
        """Whether the cluster has a resource of this name in this version of a group. Raises ApiError, Unreachable."""
        with contextlib.suppress(NotFound):
            found = await self.get(group_path(group_version))
            return plural in {one["name"] for one in found["resources"]}
        return False

    async def create(self, path: str, body: Object, *, manager: str | None = None) -> Object:
        """POST to a collection. Raises Conflict when it exists already."""
        query = {"fieldManager": manager, "fieldValidation": "Strict"} if manager else {}
        return await self._json("POST", path, body=body, query=query)

    async def apply(
        self, path: str, body: Object, *, manager: str, force: bool = True, dry_run: bool = False
    ) -> Object:
        """Server-side apply. With `force` false another manager's fields raise Conflict."""
        query = {"fieldManager": manager, "force": str(force).lower(), "fieldValidation": "Strict"}
        return await self._json("PATCH", path, body=body, query=_dry(query, dry_run), kind=APPLY)

    async def apply_new(self, path: str, body: Object, *, manager: str) -> Object:
        """Server-side apply of what does not exist yet. Raises Conflict where it does, and leaves that untouched."""
        query = {"fieldManager": manager, "force": "false", "fieldValidation": "Strict"}
        # No object has this version, so the write conflicts with every object that is there; a new one gets its own.
        body = body | {"metadata": body["metadata"] | {"resourceVersion": "1"}}
        return await self._json("PATCH", path, body=body, query=query, kind=APPLY)

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

    async def delete(
        self, path: str, *, uid: str | None = None, grace: int | None = None, foreground: bool = False
    ) -> Object | None:
        """Delete in the background; with `uid` only that very object, else Conflict. Absent is fine.

        `foreground`: after what it owns.

        `grace`: seconds that a pod gets to end, in place of its own; of one that is being deleted it only shortens
        them. The answer of the API server; None where the object was absent.
        """
        body: Object = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Foreground" if foreground else "Background",
        }
        if uid:
            body["preconditions"] = {"uid": uid}
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        with contextlib.suppress(NotFound):
            return await self._json("DELETE", path, body=body)
        return None

    async def _json(
        self,
        method: str,
        path: str,
        *,
        body: Object | Sequence[Object] | None = None,
        query: Mapping[str, str] | None = None,
        kind: str = JSON,
        accept: str = JSON,
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
        kind: str = JSON,
        accept: str = JSON,
        timeout: float = REQUEST_TIMEOUT,  # noqa: ASYNC109 - handed to aiohttp
    ) -> aiohttp.ClientResponse:
        headers = {"Accept": accept, "Content-Type": kind}
        if token := (await self._configuration.auth_settings()).get("BearerToken"):
            headers["authorization"] = token["value"]
        verb = "WATCH" if "watch" in query else method
        started = monotonic()
        try:
            response = await self._session().request(
                method,
                self._url(path, query),
                headers=headers,
                data=None if body is None else orjson.dumps(body),
                timeout=aiohttp.ClientTimeout(total=timeout),
                **self._options,
            )
            self._observe(verb, response.status, monotonic() - started)
            if response.status < HTTPStatus.BAD_REQUEST:
                return response
            answer = await response.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as failure:
            self._observe(verb, None, monotonic() - started)
            raise Unreachable(f"{method} {path}: {type(failure).__name__}") from failure
        raise api_error(response.status, response.reason, response.headers.get("Retry-After", ""), answer)

    def _url(self, path: str, query: Mapping[str, str]) -> URL:
        path, _, own = path.partition("?")
        text = "&".join(part for part in (own, _encoded(tuple(query.items()))) if part)
        return URL(f"{self._configuration.host}{path}" + (f"?{text}" if text else ""), encoded=True)

    def _session(self) -> aiohttp.ClientSession:
        if self._rest.pool_manager is None:
            self._rest.pool_manager = self._rest._create_pool_manager()  # noqa: SLF001 - documented for overriding
        session: aiohttp.ClientSession = self._rest.pool_manager
        return session


@lru_cache(maxsize=64)
def _encoded(query: tuple[tuple[str, str], ...]) -> str:
    """A query: nearly all requests have one of three."""
    return urlencode(query)


def _options(known: Configuration) -> dict[str, Any]:
    """What each request takes beside the rest."""
    options = {"server_hostname": known.tls_server_name, "proxy": known.proxy, "proxy_headers": known.proxy_headers}
    return {name: value for name, value in options.items() if value}


def _proxy_of_environment(host: str) -> str | None:
    """The proxy that HTTPS_PROXY and its like name for the API server, unless NO_PROXY excepts it."""
    parts = urlsplit(host)
    if proxy_bypass(parts.hostname or ""):
        return None
    return getproxies().get(parts.scheme)


def _dry(query: dict[str, str], dry_run: bool) -> dict[str, str]:
    return query | {"dryRun": "All"} if dry_run else query


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The lines of a watch. Raises Unreachable when it goes silent or breaks; ends when the server ends it."""
    buffer = bytearray()
    while True:
        try:
            async with asyncio.timeout(WATCH_SILENCE):
                chunk = await response.content.readany()
        except (TimeoutError, aiohttp.ClientError, OSError) as failure:
            raise Unreachable(f"watch broke: {type(failure).__name__}") from failure
        if not chunk:
            return
        buffer += chunk
        *lines, rest = buffer.split(b"\n")
        for line in lines:
            if line:
                yield bytes(line)
        buffer = bytearray(rest)
