"""A real API server: the built-in cluster without its node, with an instance of its own.

RINGFENCE_API_CLUSTER names another instance: for two runs at the same time.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.instances import build_programs, instance
from api.parity import Parity
from api.server import Server
from cluster import Cluster
from cluster.shell import wait_for

NAME = instance("ringfence-api", "RINGFENCE_API_CLUSTER")
ROOT = Path(__file__).parents[2]


def pytest_collection_finish(session: pytest.Session) -> None:
    build_programs(session)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The API server with the CRDs of this checkout."""
    with Cluster.for_tests(NAME, mode="api") as found:
        # What an earlier run left behind would make this one see objects and schemas of another time.
        found.kubectl("delete", "--ignore-not-found", "--wait", "-f", str(ROOT / "crds"))
        found.kubectl("create", "-f", str(ROOT / "crds"))
        # Established is not enough: kubectl finds kinds and their documentation a moment later.
        wait_for("the CRDs", lambda: all(found.kubectl("explain", kind) for kind in ("agd", "agp")))
        found.restart_control_plane()  # else they know the kinds up to 30 s later
        yield found


@pytest.fixture(scope="session")
def server(cluster: Cluster) -> Iterator[Server]:
    client = Server(cluster.server, cluster.kubeconfig)
    yield client
    client.close()


@pytest.fixture(scope="session")
def parity(server: Server) -> Parity:
    return Parity(server)
