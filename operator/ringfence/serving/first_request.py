"""Connections that end when nobody asks anything."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["FirstRequestProtocol"]


class FirstRequestProtocol(HttpToolsProtocol):
    """One connection. `expect` starts the clock for its first request."""

    _deadline: asyncio.TimerHandle | None = None

    def expect(self, seconds: float) -> None:
        """End the connection unless a request comes within that time."""
        self._deadline = self.loop.call_later(seconds, self.transport.close)

    def on_headers_complete(self) -> None:
        """A request: uvicorn's own clock for idle connections takes over."""
        self._stop_clock()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop_clock()
        super().connection_lost(exc)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
