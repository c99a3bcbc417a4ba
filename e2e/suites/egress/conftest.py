"""Ringfence with egress gateways on a real cluster; a namespace whose agents may name hosts."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness import agents, probing
from harness.api import Api
from harness.environment import Environment
from harness.install import installed
from harness.kubectl import Kubectl, Object
from suites.fixtures import api, kubectl
from suites.names import own

__all__ = ["api", "kubectl"]

NAME = own("egress")
NAMESPACE = "egress"
SCRAPERS = "scraping"
"""Name, and label `purpose`, of the namespace from which figures are read."""
MODEL, OTHER, FILES, PRIVATE = "api.model.example", "other.model.example", "files.example", "private.example"
"""Hosts of the pretend internet: the first two are one address, the last one is a private address."""
MANY, MORE = "many.example", "more.example"
"""No name below them resolves."""
ADDRESS = "45.90.0.10"
POLICY = {
    "apiVersion": "ringfence.dev/v1alpha1",
    "kind": "AgentPolicy",
    "metadata": {"name": "egress"},
    "spec": {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}},
        "egress": {"hosts": [{"name": name} for name in (MODEL, FILES, PRIVATE, f"*.{MANY}", f"*.{MORE}")]},
        "images": {"registries": ["localhost"]},
    },
}


def _open(environment: Environment) -> None:
    labels = {"ringfence.dev/agents": "enabled", "pod-security.kubernetes.io/enforce": "restricted"}
    environment.kubectl.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
    )


VALUES = (f"agentNamespaces={{{NAMESPACE}}}", f"networkPolicy.metrics.namespaceSelector.purpose={SCRAPERS}")
"""Of the chart."""


@pytest.fixture(scope="package")
def environment() -> Iterator[Environment]:
    with installed(NAME, *VALUES, gateways=True, prepare=_open) as environment:
        environment.kubectl.apply(POLICY)
        yield environment


Make = Callable[..., str]


@pytest.fixture(scope="module")
def make(environment: Environment, api: Api) -> Iterator[Make]:
    """Creates an agent with these rules of egress, and waits until it is Ready: `make("a", {"host": ...})`."""
    made: list[str] = []

    def create(name: str, *rules: Object, ready: bool = True, **spec: Any) -> str:
        body = {
            "apiVersion": "ringfence.dev/v1alpha1",
            "kind": "AgentDeployment",
            "metadata": {"name": name},
            "spec": {
                "image": environment.testbox,
                "args": ["agent", "-interval", "1h"],
                "network": {"egress": list(rules)},
                **spec,
            },
        }
        api.create(agents.agent_path(NAMESPACE), body)
        made.append(name)
        if ready:
            agents.wait(api, NAMESPACE, name)
        return name

    yield create
    for name in made:
        api.delete(agents.agent_path(NAMESPACE, name))


Ask = Callable[..., Object]


@pytest.fixture(scope="package")
def ask(kubectl: Kubectl) -> Ask:
    """One request from inside an agent's pod, by an unchanged client: `ask("a", "https://...", method="POST")`."""

    def request(agent: str, url: str, *headers: str, **flags: str) -> Object:
        return probing.request(kubectl, NAMESPACE, f"deploy/ringfence-{agent}", url, *headers, **flags)

    return request
