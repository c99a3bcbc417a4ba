"""Values to check the chart with, and a real API server for what only that can tell."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from api.instances import build_programs, instance
from api.server import Server
from chart import installing
from chart.rendering import NAMESPACE, ROOT, VALUES
from cluster import Cluster
from cluster.shell import wait_for
from ringfence.api.names import CEILING_BINDING

NAME = instance("ringfence-chart", "RINGFENCE_CHART_CLUSTER")
OPENED = "opened"
"""A namespace that is open to agents."""
AGENTS = {"ringfence.dev/agents": "enabled"}


class ByCluster(LoadScopeScheduling):
    """Workers: what needs an API server with files, the guards, and all else; each of the three has its cluster."""

    def _split_scope(self, nodeid: str) -> str:
        file = Path(nodeid.partition("::")[0])
        if file.name == "test_static_floor.py":
            return "files"
        return "guards" if file.parent.name == "guards" else "chart"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer | None) -> ByCluster:
    return ByCluster(config, log)


def pytest_collection_finish(session: pytest.Session) -> None:
    build_programs(session)


@pytest.fixture(params=VALUES)
def values(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Arguments for one set of values."""
    return VALUES[request.param]


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """An API server (no node) with the CRDs and the release namespace."""
    # What an earlier run left on it would be in the way of `helm install`.
    with Cluster.for_tests(NAME, mode="api", fresh=True) as found:
        found.kubectl("create", "-f", str(ROOT / "crds"))
        wait_for("the CRDs", lambda: found.kubectl("explain", "agd"))
        found.kubectl("create", "namespace", NAMESPACE)
        # Everything we run has to pass the strictest Pod Security Standard.
        found.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
        yield found


@pytest.fixture(scope="session")
def server(cluster: Cluster) -> Iterator[Server]:
    client = Server(cluster.server, cluster.kubeconfig)
    yield client
    client.close()


@pytest.fixture(scope="module")
def installed(cluster: Cluster) -> Iterator[Cluster]:
    """The chart, installed."""
    # A controller of an earlier file may have bound it; and that file's guards, though deleted, may hold for a moment.
    left = ("delete", "rolebinding", CEILING_BINDING, "-n", OPENED, "--ignore-not-found")
    wait_for("the end of an earlier file's guards", lambda: cluster.kubectl(*left) is not None)
    with installing.installed(cluster):
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OPENED, "labels": AGENTS}})
        yield cluster
