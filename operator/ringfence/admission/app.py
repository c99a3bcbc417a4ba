"""The review server as an ASGI application: HTTP in, HTTP out, metrics and log lines on the way.

Whatever comes in, the answer is a well-formed review or a 4xx: with failurePolicy Fail both refuse the request, and
neither makes the API server think that we are broken.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import structlog

from ringfence.store.context import PolicyContext, Snapshot, View
from ringfence.telemetry.events import Emit
from ringfence.telemetry.metrics import ADMISSION_SECONDS
from ringfence.telemetry.reviews import ReviewFailed
from ringfence.telemetry.sinks.reviews import record_review

from .answer import Verdict, deny, respond
from .body import READ_SECONDS, ByteBudget, GoneError, Receive, TooLongError, announced, read_body, unsupported
from .recording import decided, unreadable
from .request import NotAReviewError, Request, read, uid_of_fragment
from .review import asks_about_requester, could_be_stale, judge, targets_of

log = structlog.get_logger(__name__)

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PATH: Final = "/validate"
JSON: Final = b"application/json"
TEXT: Final = b"text/plain; charset=utf-8"
SLOW: Final = "the review did not arrive in time"
LARGE: Final = 32 * 1024
"""Bytes of a body from which on it is decoded and judged in a thread. An ordinary review has 2 to 8 KiB and takes less
time than the way to a thread and back."""

T = TypeVar("T")


def _nothing() -> None: ...


class Answer(NamedTuple):
    """What goes back. `tell` is called once it is on its way: whoever waits for it does not wait for our log."""

    status: int
    kind: bytes
    body: bytes
    tell: Callable[[], None] = _nothing


class ReadsLive(Protocol):
    """Reads past the cache; see fresh.py."""

    async def view(self, namespace: str, targets: Collection[str] = ()) -> View | None: ...

    async def stored(self, namespace: str, name: str) -> Mapping[str, Any] | None: ...


class AsksAboutRequester(Protocol):
    """Asks whether the requester may do himself what the agent is to do; see requester.py."""

    async def check(self, request: Request, delegate: str | None) -> Verdict | None: ...


class Admission:
    """The application. `drain()` makes each further answer the last on its connection."""

    def __init__(
        self,
        context: PolicyContext,
        live_reader: ReadsLive | None = None,
        requester: AsksAboutRequester | None = None,
        *,
        emit: Emit = record_review,
    ) -> None:
        self._context = context
        self._emit = emit
        self._live_reader = live_reader
        self._requester = requester
        self._budget = ByteBudget()
        # One: large reviews wait for each other, and the loop shares the interpreter with one thread at most.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="large reviews")
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
        elif wrong := unsupported(headers := dict(scope["headers"])):
            self._could_not_read("malformed", wrong)
            await self._send(send, 415, TEXT, f"{wrong}\n".encode(), last=True)
        else:
            await self._review(headers, receive, send)

    async def _review(self, headers: Mapping[bytes, bytes], receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        try:
            async with asyncio.timeout(READ_SECONDS) as waiting, self._room(announced(headers)):
                body = await read_body(receive)
                waiting.reschedule(None)
                answer = await self._answer(body)
        except TooLongError as failure:
            answer = self._too_long(failure)
        except TimeoutError:
            self._could_not_read("slow", SLOW)
            answer = Answer(408, TEXT, f"{SLOW}\n".encode())
        except GoneError:
            return
        # After an error that left a part of the body unread the connection is of no more use.
        last = answer.status == 408 or answer.kind is TEXT  # noqa: PLR2004
        try:
            await self._send(send, answer.status, answer.kind, answer.body, last=last)
            ADMISSION_SECONDS.observe(time.perf_counter() - began)
        finally:
            answer.tell()

    async def _answer(self, body: bytearray) -> Answer:
        try:
            request = await self._apart(len(body), read, body)
        except NotAReviewError as failure:
            self._could_not_read("malformed", f"{failure} ({len(body)} bytes)")
            return Answer(400, TEXT, f"{failure}\n".encode())
        try:
            verdict = await self._decide(request, len(body))
            return Answer(200, JSON, respond(request.uid, verdict), lambda: self._tell(request, verdict))
        except Exception:
            # A mistake of ours refuses; the trace goes to the log, where no user reads it.
            self._emit(ReviewFailed("internal"))
            log.exception("a review could not be decided", uid=request.uid)
            refusal = deny(
                "Ringfence could not decide because of a mistake of its own, and refuses: see the log of its "
                "admission pods",
                code=500,
                reason="InternalError",
            )
            return Answer(200, JSON, respond(request.uid, refusal), lambda: self._tell(request, refusal, counted=False))

    def _tell(self, request: Request, verdict: Verdict, *, counted: bool = True) -> None:
        known = self._context.knows(request.namespace)
        self._emit(decided(request, verdict, counted=counted, known_namespace=known))

    async def _decide(self, request: Request, size: int) -> Verdict:
        if not self._context.synced:
            self._emit(ReviewFailed("unsynced"))
            return deny(
                "Ringfence has not read the cluster yet: try again in a few seconds",
                code=503,
                reason="ServiceUnavailable",
            )
        if request.scales:
            stored = await self._live_reader.stored(request.namespace, request.name) if self._live_reader else None
            if stored is None:
                return deny(
                    "Ringfence could not read the AgentDeployment that is to be scaled: try again",
                    code=503,
                    reason="ServiceUnavailable",
                )
            request = request.of_whole(stored)
        known: View = self._context
        verdict = await self._judge(request, known, size)
        if could_be_stale(verdict) and self._live_reader is not None:
            view = await self._live_reader.view(request.namespace, targets_of(request))
            if view is not None:
                known, verdict = view, await self._judge(request, view, size)
        if verdict.allowed and self._requester is not None and asks_about_requester(request):
            return await self._requester.check(request, known.delegate(request.namespace)) or verdict
        return verdict

    async def _judge(self, request: Request, view: View, size: int) -> Verdict:
        if size < LARGE:
            return judge(request, view)
        # What is known may change while the thread looks at it: it gets what is known now.
        claims = view.claims(request.namespace)
        agents = None if claims is None else tuple(claims)
        now = Snapshot(view.facts(request.namespace), tuple(view.policies()), agents)
        return await self._apart(size, judge, request, now)

    def _room(self, size: int) -> AbstractAsyncContextManager[None]:
        """Memory for a body of `size` bytes. Only large ones wait for each other: MAX_CONNECTIONS bounds the others."""
        return nullcontext() if size < LARGE else self._budget.hold(size)

    async def _apart(self, size: int, work: Callable[..., T], *given: object) -> T:
        """Do `work` for a body of `size` bytes: at once for an ordinary one, apart for a large one."""
        if size < LARGE:
            return work(*given)
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *given)

    async def _send(self, send: Send, status: int, kind: bytes, body: bytes, *, last: bool = False) -> None:
        headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
        if self._draining or last:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _could_not_read(self, kind: str, reason: str, *, uid: str | None = None) -> None:
        for event in unreadable(kind, reason, uid=uid):
            self._emit(event)

    def _too_long(self, failure: TooLongError) -> Answer:
        uid = uid_of_fragment(failure.start)
        self._could_not_read("too_long", str(failure), uid=uid)
        if uid is None:
            return Answer(400, TEXT, f"{failure}\n".encode())
        verdict = deny(f"{failure}: make the object smaller", code=413, reason="RequestEntityTooLarge")
        return Answer(200, JSON, respond(uid, verdict))
