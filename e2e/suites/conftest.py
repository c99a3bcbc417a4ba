"""How the suites share a machine: each has clusters of its own, and waits more than it works; so three run at a time.

Their folders are packages, so that a fixture of scope "package" ends with its suite and takes its cluster down.
"""

from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

HERE = Path(__file__).parent
ORDER = ("rotation", "attacks", "agents", "cluster", "docs", "kinds", "egress", "chart", "monitoring")
"""The longest first: what begins last should not be what all wait for."""
SECONDS = 1800
"""For one test: the first use of a machine builds Kubernetes and the image, within whatever test comes first."""


class BySuite(LoadScopeScheduling):
    """The tests of one suite stay together, on one worker."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.partition("suites/")[2].partition("/")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer | None) -> BySuite:
    return BySuite(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        return ORDER.index(item.path.relative_to(HERE).parts[0]) if item.path.is_relative_to(HERE) else -1

    items.sort(key=place)
    for item in items:
        if place(item) >= 0:
            item.add_marker(pytest.mark.timeout(SECONDS))
