"""Names of clusters, so that tests that run side by side do not share one."""

import os


def instance(name: str, variable: str) -> str:
    """`name`, or what an environment variable says instead; for each worker of `pytest -n` one of its own."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    return "-".join(filter(None, (os.environ.get(variable, name), worker)))
