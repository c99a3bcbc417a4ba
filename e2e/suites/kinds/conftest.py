"""A cluster for the agents of examples/agents/ alone: with the pods of another suite they do not fit on its node."""

from collections.abc import Iterator

import pytest

from harness import examples as running
from harness.api import Api, connect
from harness.environment import Environment
from harness.install import installed
from harness.kubectl import Kubectl
from suites.names import own

NAME = own("kinds")


@pytest.fixture(scope="package")
def environment() -> Iterator[Environment]:
    with installed(NAME) as environment:
        yield environment


@pytest.fixture(scope="package")
def kubectl(environment: Environment) -> Kubectl:
    return environment.kubectl


@pytest.fixture(scope="package")
def api(kubectl: Kubectl) -> Iterator[Api]:
    with connect(kubectl) as api:
        yield api


@pytest.fixture(scope="package")
def kinds(environment: Environment, api: Api) -> None:
    """All of examples/ with the unfenced pods beside them, and all of examples/agents/."""
    running.start(environment, api)
    running.start_kinds(environment, api)
