"""One built-in cluster with Ringfence on it, as the demo installs it; and a name for one that a reader makes."""

import os
from collections.abc import Iterator

import pytest

from cluster import Cluster
from demo.install import install, own_image
from demo.place import Place, built_in

NAME = "e2e-docs"
"""A cluster of this suite's own, as pages take Ringfence away from it. RINGFENCE_KEEP=1 leaves it for the next run."""
FRESH = "e2e-docs-new"
"""The cluster that the tutorial makes, and removes."""


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    place = built_in(NAME)
    try:
        install(place, own_image(place))
        yield place
    finally:
        if place.cluster and not os.environ.get("RINGFENCE_KEEP"):
            place.cluster.down()


@pytest.fixture
def fresh() -> Iterator[str]:
    """The name of a cluster that is not there, nor afterwards."""
    _down()
    yield FRESH
    _down()


def _down() -> None:
    if found := Cluster.find(FRESH):
        found.down()
