"""Two replicas, registered; nothing is left of them afterwards."""

from collections.abc import Iterator

import pytest

from api.admission.setup import SYSTEM, Setup, configuration, namespace
from api.review_server import Service
from cluster import Cluster


@pytest.fixture(scope="module")
def setup(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    found = Setup(cluster, Service(), tmp_path_factory.mktemp("admission"))
    cluster.apply(namespace(SYSTEM, opened=False), namespace("team"), namespace("closed", opened=False))
    cluster.apply(configuration(found.service.port))
    try:
        assert found.keep() < found.keep()
        for _ in range(2):
            found.start()
        for replica in found.replicas:
            found.service.replicas.append(replica.wait_ready())
        found.service.wait_all()
        yield found
    finally:
        for replica in found.replicas:
            replica.process.kill()
            replica.process.wait()
        found.service.close()
        cluster.kubectl("delete", "--ignore-not-found", "validatingwebhookconfiguration", "ringfence")
        cluster.kubectl("delete", "--ignore-not-found", "agp", "--all")
        cluster.kubectl("delete", "--ignore-not-found", "namespace", "team", "closed", SYSTEM)
