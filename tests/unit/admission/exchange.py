"""One request to the admission server over ASGI, and what came back."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ringfence.admission.app import Admission
from ringfence.telemetry.metrics import REGISTRY

BAD = {"image": "registry.example/x:1"}


@dataclass
class Exchange:
    """One request and what came back."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""

    @property
    def response(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)["response"]
        return found


async def send(
    app: Admission,
    chunks: bytes | Sequence[bytes],
    *,
    path: str = "/validate",
    method: str = "POST",
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> Exchange:
    parts = iter([chunks] if isinstance(chunks, bytes) else list(chunks))
    exchange = Exchange()

    async def receive() -> dict[str, Any]:
        part = next(parts, None)
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": bool(part) and not isinstance(chunks, bytes)}

    async def take(message: Any) -> None:
        if message["type"] == "http.response.start":
            exchange.status, exchange.headers = message["status"], dict(message["headers"])
        else:
            exchange.body += message["body"]

    await app({"type": "http", "path": path, "method": method, "headers": headers}, receive, take)
    return exchange


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0
