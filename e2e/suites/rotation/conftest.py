"""Ringfence on a node whose kubelet looks at its volumes often, agents with keys, and servers that check those keys."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

import keyed
from cluster import Cluster
from demo.api import Api, connect
from demo.install import install, own_image
from demo.kubectl import Kubectl, Object
from demo.place import Place, place_of
from keyed import KEYS, Keyed

NAME = "e2e-rotation"


@pytest.fixture(scope="package")
def place() -> Iterator[Place]:
    with Cluster.for_tests(NAME) as cluster:
        _look_often(cluster)
        place = place_of(cluster)
        place.kubectl.apply(keyed.namespace())
        install(place, own_image(place), f"agentNamespaces={{{KEYS}}}")
        place.kubectl.apply(keyed.policy(place.testbox))
        yield place


@pytest.fixture(scope="package")
def kubectl(place: Place) -> Kubectl:
    return place.kubectl


@pytest.fixture(scope="package")
def api(kubectl: Kubectl) -> Iterator[Api]:
    with connect(kubectl) as api:
        yield api


Make = Callable[..., Keyed]


@pytest.fixture
def make(place: Place, api: Api) -> Iterator[Make]:
    """Creates agents with one key each, as a file or `variable="KEY"`, and removes them afterwards."""
    made: list[Keyed] = []

    def create(name: str, **how: Any) -> Keyed:
        made.append(Keyed(place, api, name))
        made[-1].create(**how)
        return made[-1]

    yield create
    for agent in made:
        agent.remove()


class Traffic:
    """Rotations in a row under traffic, in a thread of its own."""

    rotations = 50

    def __init__(self, place: Place) -> None:
        self.values: set[str] = set()
        self.begun = ""
        self.pod: Object = {}
        self._done = ThreadPoolExecutor(1).submit(self._run, place)

    def finish(self, api: Api) -> Keyed:
        """The agent, after the last rotation. Raises what went wrong on the way."""
        return replace(self._done.result(), api=api)

    def _run(self, place: Place) -> Keyed:
        with connect(place.kubectl) as api:
            agent = Keyed(place, api, "busy")
            agent.create()
            # The cluster's DNS may know the server's new name a few seconds late: what counts begins with an answer.
            agent.uses_new_value_since("")
            self.begun = keyed.now()
            self.pod = agent.pod()
            self.values.add(agent.value())
            for _ in range(self.rotations):
                agent.rotate()
                moment = keyed.now()
                self.values.add(agent.value())
                agent.uses_new_value_since(moment)
        return agent


@pytest.fixture(scope="package", autouse=True)
def traffic(place: Place, request: pytest.FixtureRequest) -> Iterator[Traffic | None]:
    """Begins before the first test; test_traffic.py, the last, judges it. Not begun when that was not asked for."""
    if not any(item.path.name == "test_traffic.py" for item in request.session.items):
        yield None
        return
    yield Traffic(place)


def _look_often(cluster: Cluster) -> None:
    """A kubelet brings a new value to the files at its next look at a pod: every 1 s here, 10 s on other clusters."""
    config = cluster.logs.parent / "config/kubelet.yaml"
    config.write_text(config.read_text().replace("syncFrequency: 10s", "syncFrequency: 1s"))
    cluster.stop("kubelet")
    cluster.start("kubelet")
