"""The real Envoy in a network namespace, with a pretend internet around it. Needs root, and no cluster."""

import os
import zlib
from collections.abc import Iterator, Mapping

import pytest

from gateway.declared import EVERYTHING
from harness.gateway import world
from harness.gateway.client import Client
from harness.gateway.running import Running
from harness.gateway.world import World
from ringfence.gateway.model import Gateway


@pytest.fixture(scope="session")
def internet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world.world(f"ringfence-gateway-{os.getpid()}", tmp_path_factory.mktemp("room")) as made:
        yield made


@pytest.fixture(scope="session")
def everything(internet: World) -> Iterator[Running]:
    """A gateway that declares most hosts of the pretend internet."""
    running = Running(internet.place, "everything", EVERYTHING, internet.authorities)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def agent(everything: Running) -> Client:
    """An agent of that gateway."""
    return everything.client


@pytest.fixture
def start(internet: World, request: pytest.FixtureRequest) -> Iterator["Starter"]:
    """Start a gateway of the test's own."""
    starter = Starter(internet, request.node.name)
    yield starter
    starter.stop()


class Starter:
    def __init__(self, internet: World, name: str) -> None:
        self.internet, self.name = internet, f"{zlib.crc32(name.encode()):08x}"
        self.started: list[Running] = []

    def __call__(
        self, gateway: Gateway, secrets: Mapping[str, str | None] | None = None, *, credentials: str | None = None
    ) -> Running:
        running = Running(self.internet.place, f"{self.name}-{len(self.started)}", gateway, self.internet.authorities)
        self.started.append(running)
        for file, value in (secrets or {}).items():
            running.key(file, value)
        if credentials is not None:
            running.credentials(credentials)
        running.start()
        return running

    def stop(self) -> None:
        for running in self.started:
            running.stop()
