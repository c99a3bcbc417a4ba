"""How the suites share a machine: each has clusters of its own, so two of them run at a time (pytest -n 2)."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent
ORDER = ("rotation", "agents", "docs", "chart", "monitoring", "cluster")
"""The longest first: what begins last should not be what all wait for."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one suite stay together, on one worker."""

    def suite(item: pytest.Item) -> str:
        return item.path.relative_to(HERE).parts[0]

    ours = [item for item in items if item.path.is_relative_to(HERE)]
    for item in ours:
        item.add_marker(pytest.mark.xdist_group(suite(item)))
    items[:] = [item for item in items if item not in ours] + sorted(ours, key=lambda item: ORDER.index(suite(item)))
