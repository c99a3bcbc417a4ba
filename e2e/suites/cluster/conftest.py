"""Suites of the built-in cluster itself. They use instances of their own and remove them."""

from collections.abc import Iterator

import pytest

from cluster import Cluster
from suites.cluster.pods import Space
from suites.names import own


@pytest.fixture(scope="package")
def node() -> Iterator[Cluster]:
    """A cluster with a node that enforces NetworkPolicy."""
    with Cluster.for_tests(own("node")) as cluster:
        yield cluster


@pytest.fixture(scope="package")
def api() -> Iterator[Cluster]:
    """An API server without a node."""
    with Cluster.for_tests(own("api"), mode="api") as cluster:
        yield cluster


@pytest.fixture
def space(node: Cluster, request: pytest.FixtureRequest) -> Iterator[Space]:
    """A fresh namespace on the node."""
    name = "t-" + "".join(c if c.isalnum() else "-" for c in request.node.name.lower())[:50].strip("-")
    node.kubectl("create", "namespace", name)
    try:
        yield Space(node, name)
    finally:
        node.kubectl("delete", "namespace", name, "--wait=false")
