"""Controllers as processes against a real API server. There is no kubelet: pods stay Pending, and that is enough."""

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from api.controller.place import NODE, Place
from api.controller.process import Controller, Options
from api.server import Server
from chart.rendering import render
from cluster import Cluster

HOME = "ringfence-system"
ACCOUNT = f"system:serviceaccount:{HOME}:ringfence-controller"
GUARD = "ringfence-guard-ceiling"
_NUMBER = itertools.count()
LONGEST = ("two_attackers", "contested_fence", "drift", "secrets", "outage", "unfenced", "replicas", "lifecycle")
"""Files that wait a minute for an agent to run again, or do much: what begins last should not be what all wait for."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    first = [Path(__file__).with_name(f"test_{name}.py") for name in LONGEST]
    items.sort(key=lambda item: first.index(item.path) if item.path in first else len(first))


@pytest.fixture(scope="package")
def client(cluster: Cluster) -> Iterator[Server]:
    connection = Server(cluster.server, cluster.kubeconfig)
    yield connection
    connection.close()


@pytest.fixture(scope="package", autouse=True)
def node(client: Server) -> None:
    """A node on paper, for pods that a test calls running. It stays: other workers of this run have the same."""
    body = json.dumps({"metadata": {"name": NODE}}).encode()
    client.request("POST", "/api/v1/nodes", body)


@pytest.fixture(scope="package")
def lease_namespace(client: Server) -> str:
    """A namespace for the Leases of this run."""
    name = f"lease-{uuid4().hex[:8]}"
    answer = client.request("POST", "/api/v1/namespaces", f'{{"metadata": {{"name": "{name}"}}}}'.encode())
    assert answer.ok, answer
    return name


@pytest.fixture(scope="package")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("controllers")


class Shared:
    """One controller for many tests; a test that needs the API server without one pauses it."""

    def __init__(self, begin: Callable[[], Controller]) -> None:
        self._begin = begin
        self.current = begin().wait_leading()

    def restart(self) -> Controller:
        """A new process. The old one is gone, and has given its lease back."""
        self.pause()
        return self.resume()

    def pause(self) -> None:
        assert self.current.stop() == 0, self.current.output[-3000:]

    def resume(self) -> Controller:
        self.current = self._begin().wait_leading()
        return self.current


@pytest.fixture(scope="package")
def shared(cluster: Cluster, lease_namespace: str, logs: Path) -> Iterator[Shared]:
    def begin() -> Controller:
        return Controller(cluster, logs / f"shared-{next(_NUMBER)}.log", Options(lease_namespace))

    found = Shared(begin)
    yield found
    output = found.current
    found.pause()
    # Whatever was done to its agents, nothing in it went wrong.
    assert [line for line in output.warnings() if "exception" in line or line["event"] == "pass failed"] == []


@pytest.fixture(scope="module")
def bare(cluster: Cluster, client: Server, shared: Shared, logs: Path) -> Iterator[Controller]:
    """A controller with the rights that the chart gives it, as its ServiceAccount, and the guard of these."""
    shared.pause()
    client.request("POST", "/api/v1/namespaces", f'{{"metadata": {{"name": "{HOME}"}}}}'.encode())
    kinds = {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}
    chart = render("--namespace", HOME)
    cluster.apply(*(one for one in chart if one["kind"] in kinds or one["metadata"]["name"] == GUARD))
    # All that it can say: even then no secret value is among it.
    options = Options(HOME, kubeconfig=cluster.user_kubeconfig(ACCOUNT, []), log_level="debug")
    found = Controller(cluster, logs / f"bare-{next(_NUMBER)}.log", options).wait_leading()
    yield found
    assert found.stop() == 0, found.output[-3000:]
    for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
        cluster.kubectl("delete", kind, GUARD)
    cluster.kubectl("delete", "namespace", HOME, "--wait=false")
    shared.resume()


@pytest.fixture(scope="module")
def nobody_else(shared: Shared) -> Iterator[None]:
    """The shared controller rests meanwhile."""
    shared.pause()
    yield
    shared.resume()


@pytest.fixture
def replica(cluster: Cluster, tmp_path: Path) -> Iterator[Callable[[Options], Controller]]:
    """Start replicas, each with a log of its own; what runs at the end is stopped."""
    begun: list[Controller] = []

    def start(options: Options) -> Controller:
        begun.append(Controller(cluster, tmp_path / f"{options.identity}-{len(begun)}.log", options))
        return begun[-1]

    yield start
    for one in begun:
        if one.exit_code is None:
            one.stop()


@pytest.fixture
def fresh(client: Server) -> Iterator[Place]:
    """A fresh namespace, open to agents; no controller is started for it."""
    found = Place(client)
    yield found
    found.remove()


@pytest.fixture
def controller(shared: Shared) -> Controller:
    return shared.current


@pytest.fixture
def place(client: Server, controller: Controller) -> Iterator[Place]:
    """A fresh namespace, open to agents, with a controller at work."""
    found = Place(client)
    yield found
    found.remove()
