"""A cluster that does not serve a kind of child: only those agents wait that need it, and each says why."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.controller.place import Place
from api.controller.process import Controller, Options
from api.instances import instance
from api.server import Server
from cluster import Cluster
from cluster.shell import wait_for

NAME = instance("ringfence-lacks", "RINGFENCE_LACKS_CLUSTER")
CRDS = Path(__file__).parents[3] / "crds"
ROTATED = {
    "secrets": [
        {
            "name": "signing",
            "source": {"generate": {"length": 32}},
            "rotation": {"every": "720h"},
            "delivery": {"env": {"name": "SIGNING_KEY"}},
        }
    ]
}
TOLD = "the cluster does not serve CronJob (batch/v1)"


@pytest.fixture(scope="module")
def lacking() -> Iterator[Cluster]:
    """An API server on which the group of CronJobs is switched off."""
    with Cluster.for_tests(NAME, mode="api", fresh=True, without="batch/v1") as found:
        found.kubectl("create", "-f", str(CRDS))
        wait_for("the CRDs", lambda: found.kubectl("explain", "agd"))
        found.kubectl("create", "namespace", "lease")
        yield found


@pytest.fixture(scope="module")
def controller(lacking: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    log = tmp_path_factory.mktemp("without") / "controller.log"
    found = Controller(lacking, log, Options("lease"))
    yield found
    assert found.stop() == 0, found.output[-3000:]


@pytest.fixture
def place(lacking: Cluster) -> Iterator[Place]:
    client = Server(lacking.server, lacking.kubeconfig)
    found = Place(client)
    yield found
    found.remove()
    client.close()


def test_only_the_agent_that_needs_the_kind_waits(controller: Controller, place: Place) -> None:
    controller.wait_leading()
    place.agent("rotated", ROTATED)
    place.agent("plain")
    place.wait_applied("plain")
    found = place.wait_condition("SecretsFresh", "False", "WriteFailed", name="rotated")
    assert TOLD in found["message"]
    assert place.find("NetworkPolicy", "ringfence-rotated-deny"), "fenced all the same"
    assert place.find("Deployment", "ringfence-rotated") is None, "and never without its rotation"
