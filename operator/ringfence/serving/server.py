"""uvicorn for sockets of ours: it says nothing itself, and leaves signals to the process."""

import contextlib
from collections.abc import Generator
from typing import Any

import uvicorn

__all__ = ["Server", "configuration"]


def configuration(app: Any, *, connections: int, keep_alive: int, finish: int, **more: Any) -> uvicorn.Config:
    """HTTP without WebSockets.

    `connections`: at a time; more get 503. `keep_alive`: seconds that an idle one is kept. `finish`: seconds for what
    is in flight at the end. `more`: as of uvicorn.Config.
    """
    return uvicorn.Config(
        app,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=connections,
        timeout_keep_alive=keep_alive,
        timeout_graceful_shutdown=finish,
        **more,
    )


class Server(uvicorn.Server):
    """The listener."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Signals are the process's: the end is announced before it comes."""
        yield
