"""A cluster for the agents of examples/agents/ alone: with the pods of another suite they do not fit on its node."""

from collections.abc import Iterator

import pytest

from harness import examples as running
from harness.api import Api
from harness.environment import Environment
from harness.install import installed
from suites.fixtures import api, kubectl
from suites.names import own

__all__ = ["api", "kubectl"]

NAME = own("kinds")


@pytest.fixture(scope="package")
def environment() -> Iterator[Environment]:
    with installed(NAME, gateways=True) as environment:
        yield environment


@pytest.fixture(scope="package")
def kinds(environment: Environment, api: Api) -> None:
    """All of examples/ with the unfenced pods beside them, and all of examples/agents/."""
    running.start(environment, api)
    running.start_kinds(environment, api)
