"""One built-in cluster with Ringfence on it, installed the way the demo installs it, for the whole suite."""

import os
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from harness import agents
from harness import examples as running
from harness.api import Api
from harness.environment import Environment
from harness.install import installed
from harness.kubectl import Kubectl, Object
from harness.manifests import NAMESPACE
from suites.fixtures import api, kubectl
from suites.names import own

__all__ = ["api", "kubectl"]

NAME = own("agents")


@pytest.fixture(scope="package")
def environment() -> Iterator[Environment]:
    with installed(NAME, gateways=True) as environment:
        yield environment


@pytest.fixture(scope="package")
def examples(environment: Environment, api: Api) -> None:
    """All of examples/, running, and the unfenced pods beside them."""
    running.start(environment, api)


Make = Callable[..., Object]


@pytest.fixture
def make(environment: Environment, api: Api, examples: None) -> Iterator[Make]:
    """Creates agents in the examples' namespace, and deletes them afterwards: `make(args=[...], ports=[...])`."""
    made: list[str] = []
    numbers = count()

    def create(name: str = "", **spec: Any) -> Object:
        name = name or f"a{os.getpid()}-{next(numbers)}"
        body = {
            "apiVersion": "ringfence.dev/v1alpha1",
            "kind": "AgentDeployment",
            "metadata": {"name": name},
            "spec": {"image": environment.testbox, "args": ["agent"], **spec},
        }
        made.append(name)
        return api.create(agents.agent_path(NAMESPACE), body)

    yield create
    for name in made:
        api.delete(agents.agent_path(NAMESPACE, name))


@pytest.fixture
def inside(kubectl: Kubectl) -> Callable[..., str]:
    """Runs a command of the test image in an agent's pod: `inside("minimal", "cat", "/proc/self/status")`."""

    def run(agent: str, *words: str, ok: bool = False) -> str:
        return kubectl("exec", "-n", NAMESPACE, f"deploy/ringfence-{agent}", "--", "/testbox", *words, ok=ok)

    return run
