"""Connections that end when nobody asks anything."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["PatientProtocol"]


class PatientProtocol(HttpToolsProtocol):
    """One connection. `expect` starts the clock for its first request."""

    _patience: asyncio.TimerHandle | None = None

    def expect(self, seconds: float) -> None:
        """End the connection unless a request comes within that time."""
        self._patience = self.loop.call_later(seconds, self.transport.close)

    def on_headers_complete(self) -> None:
        """A request: uvicorn's own clock for idle connections takes over."""
        self._calm()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._calm()
        super().connection_lost(exc)

    def _calm(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
