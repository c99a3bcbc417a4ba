"""A fresh run for each test."""

import pytest

from unit.controller.execute.runs import Run


@pytest.fixture
def run() -> Run:
    return Run()
