"""A fresh place for each test."""

import pytest

from unit.controller.writer.places import Place


@pytest.fixture
def place() -> Place:
    return Place()
