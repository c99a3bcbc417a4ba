"""A node cluster of this suite's own. RINGFENCE_KEEP=1 leaves it running for the next run."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tools.image import build

from cluster import Cluster
from suites.chart.release import NAMESPACE, OPENED, Release

NAME = "e2e-chart"


@pytest.fixture(scope="package")
def release() -> Iterator[Release]:
    """Nothing installed yet; a release namespace under the strictest Pod Security Standard."""
    if os.geteuid() != 0:
        pytest.skip("a cluster with a node needs root")
    if kept := Cluster.find(NAME):
        kept.down()  # what is on it would be in the way of `helm install`
    cluster = Cluster.up(NAME)
    try:
        built = build()
        cluster.load_image(Path(built.archive))
        cluster.kubectl("create", "namespace", NAMESPACE)
        cluster.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
        cluster.kubectl("create", "namespace", OPENED)
        cluster.kubectl("label", "namespace", OPENED, "ringfence.dev/agents=enabled")
        yield Release(cluster, built)
    finally:
        if not os.environ.get("RINGFENCE_KEEP"):
            cluster.down()
