"""Ringfence on a node whose kubelet looks at its volumes often, agents with keys, and servers that check those keys."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from cluster import Cluster
from harness import rotating
from harness.api import Api, connect
from harness.environment import Environment
from harness.install import installed
from harness.kubectl import Object
from harness.rotating import KEYS, RotatingAgent
from suites.fixtures import api, kubectl
from suites.names import own

__all__ = ["api", "kubectl"]

NAME = own("rotation")


@pytest.fixture(scope="package")
def environment() -> Iterator[Environment]:
    with installed(NAME, f"agentNamespaces={{{KEYS}}}", prepare=_prepare) as environment:
        environment.kubectl.apply(rotating.policy(environment.testbox))
        yield environment


Make = Callable[..., RotatingAgent]


@pytest.fixture
def make(environment: Environment, api: Api) -> Iterator[Make]:
    """Creates agents with one key each, as a file or `variable="KEY"`, and removes them afterwards."""
    made: list[RotatingAgent] = []

    def create(name: str, **how: Any) -> RotatingAgent:
        made.append(RotatingAgent(environment, api, name))
        made[-1].create(**how)
        return made[-1]

    yield create
    for agent in made:
        agent.remove()


class Traffic:
    """Rotations in a row under traffic, in a thread of its own."""

    rotations = 50

    def __init__(self, environment: Environment) -> None:
        self.values: set[str] = set()
        self.begun = ""
        self.pod: Object = {}
        self._done = ThreadPoolExecutor(1).submit(self._run, environment)

    def finish(self, api: Api) -> RotatingAgent:
        """The agent, after the last rotation. Raises what went wrong on the way."""
        return replace(self._done.result(), api=api)

    def _run(self, environment: Environment) -> RotatingAgent:
        with connect(environment.kubectl) as api:
            agent = RotatingAgent(environment, api, "busy")
            agent.create()
            # The cluster's DNS may know the server's new name a few seconds late: what counts begins with an answer.
            agent.uses_new_value_since("")
            self.begun = rotating.now()
            self.pod = agent.pod()
            self.values.add(agent.value())
            for _ in range(self.rotations):
                agent.rotate()
                moment = rotating.now()
                self.values.add(agent.value())
                agent.uses_new_value_since(moment)
        return agent


@pytest.fixture(scope="package", autouse=True)
def traffic(environment: Environment, request: pytest.FixtureRequest) -> Iterator[Traffic | None]:
    """Begins before the first test; test_traffic.py, the last, judges it. Not begun when that was not asked for."""
    if not any(item.path.name == "test_traffic.py" for item in request.session.items):
        yield None
        return
    yield Traffic(environment)


def _prepare(environment: Environment) -> None:
    assert environment.cluster
    _look_often(environment.cluster)
    environment.kubectl.apply(rotating.namespace())


def _look_often(cluster: Cluster) -> None:
    """A kubelet brings a new value to the files at its next look at a pod: every 1 s here, 10 s on other clusters."""
    config = cluster.logs.parent / "config/kubelet.yaml"
    config.write_text(config.read_text().replace("syncFrequency: 10s", "syncFrequency: 1s"))
    cluster.stop("kubelet")
    cluster.start("kubelet")
