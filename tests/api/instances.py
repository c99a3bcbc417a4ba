"""Names of clusters, so that tests that run side by side do not share one; and what clusters are made of."""

import os

import pytest

from cluster import programs


def instance(name: str, variable: str) -> str:
    """`name`, or what an environment variable says instead; for each worker of `pytest -n` one of its own."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    return "-".join(filter(None, (os.environ.get(variable, name), worker)))


def build_programs(session: pytest.Session) -> None:
    """For `pytest_collection_finish`: the first use of a machine builds Kubernetes, which no test has the time for."""
    if session.items and not session.config.option.collectonly:
        programs.tools()
        programs.kubernetes()
