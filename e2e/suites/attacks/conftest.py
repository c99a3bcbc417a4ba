"""One built-in cluster with Ringfence, the examples, and people who attack them."""

import os
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from harness import agents, examples
from harness.api import Api, connect
from harness.environment import Environment
from harness.install import installed
from harness.kubectl import Kubectl
from harness.manifests import NAMESPACE
from suites.attacks.agent import Agent, closed_to
from suites.attacks.people import People
from suites.names import own

NAME = own("attacks")
_NUMBER = count()


@pytest.fixture(scope="package")
def environment() -> Iterator[Environment]:
    # What the controller does about edits. That the API server refuses them before: tests/chart/guards.
    with installed(NAME, "guards.enabled=false", gateways=True) as environment:
        yield environment


@pytest.fixture(scope="package")
def kubectl(environment: Environment) -> Kubectl:
    return environment.kubectl


@pytest.fixture(scope="package")
def api(environment: Environment) -> Iterator[Api]:
    with connect(environment.kubectl) as api:
        examples.start(environment, api)
        yield api


@pytest.fixture(scope="package")
def people(environment: Environment, kubectl: Kubectl, api: Api) -> Iterator[People]:
    assert environment.cluster
    found = People(environment.cluster, kubectl)
    yield found
    found.close()


@pytest.fixture(scope="package")
def closed(kubectl: Kubectl) -> list[str]:
    """Targets that no agent here may reach."""
    return closed_to(kubectl)


Make = Callable[..., Agent]


@pytest.fixture
def make(environment: Environment, api: Api) -> Iterator[Make]:
    """Creates an agent and waits until it is Ready: `make(network={...})`. It is gone afterwards."""
    made: list[str] = []

    def create(**spec: Any) -> Agent:
        name = f"a{os.getpid()}-{next(_NUMBER):02}"
        body = {
            "apiVersion": "ringfence.dev/v1alpha1",
            "kind": "AgentDeployment",
            "metadata": {"name": name},
            "spec": {"image": environment.testbox, "args": ["agent"], **spec},
        }
        made.append(name)
        api.create(agents.agent_path(NAMESPACE), body)
        agents.wait(api, NAMESPACE, name)
        return Agent(api, name).remember()

    yield create
    for name in made:
        api.delete(agents.agent_path(NAMESPACE, name))
