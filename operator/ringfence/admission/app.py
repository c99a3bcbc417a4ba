"""The review server as an ASGI application: HTTP in, HTTP out, metrics and log lines on the way.

Whatever comes in, the answer is a well-formed review or a 4xx: with failurePolicy Fail both refuse the request, and
neither makes the API server think that we are broken.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final, Protocol

import structlog

from ringfence.store.context import PolicyContext, View
from ringfence.telemetry.metrics import ADMISSION_FAILURES, ADMISSION_SECONDS

from .account import account, tell, unread
from .answer import Verdict, deny, respond
from .body import READ_SECONDS, GoneError, Memory, Receive, TooLongError, announced, read_body
from .request import NotAReviewError, Request, read, uid_of_fragment
from .review import could_be_stale, judge, of_agents

log = structlog.get_logger(__name__)

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PATH: Final = "/validate"
JSON: Final = b"application/json"
TEXT: Final = b"text/plain; charset=utf-8"
SLOW: Final = "the review did not arrive in time"


class SecondLook(Protocol):
    """Reads past the cache; see fresh.py."""

    async def view(self, namespace: str) -> View | None: ...


class AsksAboutRequester(Protocol):
    """Asks whether the requester may do himself what the agent is to do; see requester.py."""

    async def check(self, request: Request) -> Verdict | None: ...


class Admission:
    """The application. `drain()` makes each further answer the last on its connection."""

    def __init__(
        self, world: PolicyContext, second_look: SecondLook | None = None, requester: AsksAboutRequester | None = None
    ) -> None:
        self._world = world
        self._second_look = second_look
        self._requester = requester
        self._memory = Memory()
        self._draining = False

    def drain(self) -> None:
        """Ask clients to leave: their next request opens a connection to somebody else."""
        self._draining = True

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            return
        if scope["path"] != PATH:
            await self._send(send, 404, TEXT, f"reviews are taken at {PATH}\n".encode())
        elif scope["method"] != "POST":
            await self._send(send, 405, TEXT, b"reviews come by POST\n")
        else:
            await self._review(dict(scope["headers"]), receive, send)

    async def _review(self, headers: Mapping[bytes, bytes], receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        try:
            async with asyncio.timeout(READ_SECONDS) as waiting, self._memory.hold(announced(headers)):
                body = await read_body(receive)
                waiting.reschedule(None)
                status, kind, answer = await self._answer(body)
        except TooLongError as failure:
            status, kind, answer = _too_long(failure)
        except TimeoutError:
            unread("slow", SLOW)
            status, kind, answer = 408, TEXT, f"{SLOW}\n".encode()
        except GoneError:
            return
        # After an error that left a part of the body unread the connection is of no more use.
        await self._send(send, status, kind, answer, last=status == 408 or kind is TEXT)  # noqa: PLR2004
        ADMISSION_SECONDS.observe(time.perf_counter() - began)

    async def _answer(self, body: bytearray) -> tuple[int, bytes, bytes]:
        try:
            request = read(body)
        except NotAReviewError as failure:
            unread("malformed", f"{failure} ({len(body)} bytes)")
            return 400, TEXT, f"{failure}\n".encode()
        try:
            verdict = await self._decide(request)
            account(request, verdict, self._world)
            return 200, JSON, respond(request.uid, verdict)
        except Exception:
            # A mistake of ours refuses; the trace goes to the log, where no user reads it.
            ADMISSION_FAILURES.labels("internal").inc()
            log.exception("a review could not be decided", uid=request.uid)
            verdict = deny(
                "Ringfence could not decide because of a mistake of its own, and refuses: see the log of its "
                "admission pods",
                code=500,
                reason="InternalError",
            )
            tell(request, verdict)
            return 200, JSON, respond(request.uid, verdict)

    async def _decide(self, request: Request) -> Verdict:
        if not self._world.synced:
            ADMISSION_FAILURES.labels("unsynced").inc()
            return deny(
                "Ringfence has not read the cluster yet: try again in a few seconds",
                code=503,
                reason="ServiceUnavailable",
            )
        verdict = judge(request, self._world)
        if could_be_stale(verdict) and self._second_look is not None:
            view = await self._second_look.view(request.namespace)
            if view is not None:
                verdict = judge(request, view)
        if verdict.allowed and self._requester is not None and of_agents(request):
            return await self._requester.check(request) or verdict
        return verdict

    async def _send(self, send: Send, status: int, kind: bytes, body: bytes, *, last: bool = False) -> None:
        headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
        if self._draining or last:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _too_long(failure: TooLongError) -> tuple[int, bytes, bytes]:
    uid = uid_of_fragment(failure.start)
    unread("too_long", str(failure), uid=uid)
    if uid is None:
        return 400, TEXT, f"{failure}\n".encode()
    return (
        200,
        JSON,
        respond(uid, deny(f"{failure}: make the object smaller", code=413, reason="RequestEntityTooLarge")),
    )
