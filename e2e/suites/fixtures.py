"""What the suites' fixtures have in common: each has an `environment` of its own, and imports these beside it."""

from collections.abc import Iterator

import pytest

from harness.api import Api, connect
from harness.environment import Environment
from harness.kubectl import Kubectl

__all__ = ["api", "kubectl"]


@pytest.fixture(scope="package")
def kubectl(environment: Environment) -> Kubectl:
    return environment.kubectl


@pytest.fixture(scope="package")
def api(kubectl: Kubectl) -> Iterator[Api]:
    with connect(kubectl) as api:
        yield api
