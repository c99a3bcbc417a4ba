"""Reads the body of a request within bounds of size, memory and time."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

Receive = Callable[[], Awaitable[Mapping[str, Any]]]

MAX_REVIEW: Final = 8 * 1024 * 1024
"""Longest review that is decided. The API server takes requests of 3 MiB, and an UPDATE carries two objects."""
MAX_DISCARDED: Final = 32 * 1024 * 1024
"""So much of a longer body is read and thrown away, so that its sender gets to read the answer."""
BODY_BYTES: Final = 12 * 1024 * 1024
"""Bodies of large reviews held at a time, in bytes: more of them wait, unread."""
READ_SECONDS: Final = 4.0
"""Of the 5 s that the API server waits for us."""


class TooLongError(Exception):
    """The body is longer than MAX_REVIEW. `start`: its first bytes."""

    def __init__(self, start: bytes) -> None:
        super().__init__(f"the review is longer than {MAX_REVIEW // 1024**2} MiB")
        self.start = start


class GoneError(Exception):
    """The client closed the connection before the body was complete."""


class ByteBudget:
    """A budget of bytes, given out in order of arrival."""

    def __init__(self, size: int = BODY_BYTES) -> None:
        self._free = size
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[None]:
        """Wait until `size` bytes are free, and hold them."""
        if self._waiting or self._free < size:
            await self._turn(size)
        else:
            self._free -= size
        try:
            yield
        finally:
            self._release(size)

    async def _turn(self, size: int) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._release(size)  # it was given in the very moment in which we stopped waiting
            raise

    def _release(self, size: int) -> None:
        self._free += size
        while self._waiting:
            wanted, turn = self._waiting[0]
            if turn.cancelled():
                self._waiting.popleft()
            elif wanted <= self._free:
                self._free -= wanted
                self._waiting.popleft()
                turn.set_result(None)
            else:
                break


def announced(headers: Mapping[bytes, bytes]) -> int:
    """Bytes to set aside for the body: its Content-Length, or the most where that is not said."""
    length = headers.get(b"content-length", b"")
    return min(int(length), MAX_REVIEW) if length.isdigit() and len(length) < 19 else MAX_REVIEW  # noqa: PLR2004


def unsupported(headers: Mapping[bytes, bytes]) -> str | None:
    """What the headers say that a body is, where it is not plain JSON. One without a type is taken for JSON."""
    kind = headers.get(b"content-type", b"application/json").partition(b";")[0].strip().lower()
    if kind != b"application/json":
        return "reviews are of type application/json"
    coding = headers.get(b"content-encoding", b"identity").strip().lower()
    return None if coding == b"identity" else "reviews come without a content-encoding"


async def read_body(receive: Receive) -> bytearray:
    """The whole body. Raises TooLongError after discarding the rest, and GoneError."""
    body = bytearray()
    discarded = 0
    more = True
    while more and discarded <= MAX_DISCARDED:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise GoneError
        chunk = message.get("body", b"")
        more = message.get("more_body", False)
        if discarded or len(body) + len(chunk) > MAX_REVIEW:
            discarded += len(chunk)
        else:
            body += chunk
    if discarded:
        raise TooLongError(bytes(body[:4096]))
    return body  # not copied: it may be long
