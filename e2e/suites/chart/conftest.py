"""A node cluster of this suite's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import Cluster
from harness.image import build
from suites.chart.release import NAMESPACE, OPENED, Release
from suites.names import own

NAME = own("chart")


@pytest.fixture(scope="package")
def release() -> Iterator[Release]:
    """Nothing installed yet; a release namespace under the strictest Pod Security Standard."""
    # What an earlier run left on it would be in the way of `helm install`.
    with Cluster.for_tests(NAME, fresh=True) as cluster:
        built = build()
        cluster.load_image(Path(built.archive))
        cluster.kubectl("create", "namespace", NAMESPACE)
        cluster.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
        cluster.kubectl("create", "namespace", OPENED)
        cluster.kubectl("label", "namespace", OPENED, "ringfence.dev/agents=enabled")
        yield Release(cluster, built)
