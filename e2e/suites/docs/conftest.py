"""One built-in cluster with Ringfence on it, as the demo installs it; and a name for one that a reader makes."""

from collections.abc import Iterator

import pytest

from cluster import Cluster
from harness.environment import Environment
from harness.install import installed
from suites.names import own

NAME = own("docs")
"""A cluster of this suite's own, as pages take Ringfence away from it."""
FRESH = own("docs-new")
"""The cluster that the tutorial makes, and removes."""


@pytest.fixture(scope="module")
def environment() -> Iterator[Environment]:
    with installed(NAME) as environment:
        yield environment


@pytest.fixture
def fresh() -> Iterator[str]:
    """The name of a cluster that is not there, nor afterwards."""
    _down()
    yield FRESH
    _down()


def _down() -> None:
    if found := Cluster.find(FRESH):
        found.down()
