"""Suites of the built-in cluster itself. They use instances of their own and remove them."""

import os
from collections.abc import Iterator

import pytest

from cluster import Cluster
from suites.cluster.pods import Space

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="a cluster with a node needs root")


@pytest.fixture(scope="package")
def node() -> Iterator[Cluster]:
    """A cluster with a node that enforces NetworkPolicy."""
    if os.geteuid() != 0:
        pytest.skip("a cluster with a node needs root")
    cluster = Cluster.up("suite-node", mode="node")
    try:
        yield cluster
    finally:
        cluster.down()


@pytest.fixture(scope="package")
def api() -> Iterator[Cluster]:
    """An API server without a node."""
    cluster = Cluster.up("suite-api", mode="api")
    try:
        yield cluster
    finally:
        cluster.down()


@pytest.fixture
def space(node: Cluster, request: pytest.FixtureRequest) -> Iterator[Space]:
    """A fresh namespace on the node."""
    name = "t-" + "".join(c if c.isalnum() else "-" for c in request.node.name.lower())[:50].strip("-")
    node.kubectl("create", "namespace", name)
    try:
        yield Space(node, name)
    finally:
        node.kubectl("delete", "namespace", name, "--wait=false")
