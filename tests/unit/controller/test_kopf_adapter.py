"""kopf's part: it hands on what it hears, by the very connection that everything else uses."""

from itertools import islice
from typing import Any

import kopf
import pytest
from kubernetes.aio.client import Configuration

from ringfence.controller.kopf_adapter import Backoffs, registry, settings
from ringfence.kube import Kube
from ringfence.kube.client import WATCH_SILENCE
from ringfence.telemetry.events import WatchHeard


class Sink:
    def __init__(self) -> None:
        self.seen: list[tuple[str | None, Any]] = []

    def observe(self, event_type: str | None, body: Any) -> None:
        self.seen.append((event_type, body))


def handlers(made: kopf.OperatorRegistry) -> dict[str, Any]:
    return {str(one.id): one for one in made._watching._handlers}


async def test_each_of_our_kinds_goes_to_its_sink() -> None:
    sinks, told = {"agentdeployments": Sink(), "agentpolicies": Sink()}, list[Any]()
    anything: Any = sinks
    async with Kube(Configuration()) as kube:
        made = handlers(registry(kube, anything, told.append))
    assert set(made) == {"event-agentdeployments", "event-agentpolicies"}
    await made["event-agentpolicies"].fn(event={"type": "ADDED", "object": {"x": 1}}, body=None)
    assert sinks["agentpolicies"].seen == [("ADDED", {"x": 1})]
    assert sinks["agentdeployments"].seen == []
    assert told == [WatchHeard()]


@pytest.mark.parametrize("token", ["Bearer x", "bearer x"])
async def test_it_uses_the_connection_of_everything_else(token: str) -> None:
    known = Configuration()
    known.host, known.api_key = "https://192.0.2.1:6443", {"BearerToken": token}
    async with Kube(known) as kube:
        (login,) = registry(kube, {}, lambda _: None)._activities._handlers
        found: Any = await login.fn()  # type: ignore[call-arg, misc]
    assert (found.server, found.token) == ("https://192.0.2.1:6443", "x")


def test_nothing_is_written_and_pauses_never_end() -> None:
    assert not settings().posting.enabled
    assert settings().watching.inactivity_timeout == WATCH_SILENCE
    assert list(islice(Backoffs(), 5)) == [0.5, 1.0, 1.0, 1.0, 1.0]
