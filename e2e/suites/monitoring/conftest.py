"""A cluster with Ringfence, agents, and attempts of every kind to leave the fence; and a Prometheus that saw it all."""

from collections.abc import Iterator

import pytest
import yaml

from cluster.errors import ClusterError
from cluster.shell import wait_for
from harness import agents, manifests, prometheus
from harness.api import Api, connect
from harness.environment import Environment
from harness.install import NAMESPACE, installed
from harness.manifests import NAMESPACE as AGENTS
from harness.prometheus import Prometheus
from suites.names import own

NAME = own("monitoring")
STRAY = "strays"
"""A namespace that is closed to agents while one is in it."""

KEY = {
    "name": "signing",
    "source": {"generate": {}},
    "rotation": {"every": "24h", "overlap": "1h"},
    "delivery": {"env": {"name": "SIGNING_KEY"}},
}


@pytest.fixture(scope="package")
def environment() -> Iterator[Environment]:
    """The built-in cluster, with Ringfence as the demo installs it, and series for each agent."""
    with installed(NAME, "monitoring.perAgentMetrics=true", gateways=True) as environment:
        yield environment


@pytest.fixture(scope="package")
def api(environment: Environment) -> Iterator[Api]:
    with connect(environment.kubectl) as api:
        yield api


@pytest.fixture(scope="package")
def seen(environment: Environment, api: Api) -> Iterator[Prometheus]:
    """Prometheus, after everything that can be counted has happened."""
    kubectl = environment.kubectl
    with prometheus.follow([kubectl.kubectl], kubectl.env, NAMESPACE) as running:
        running.fresh(least=4)
        kubectl.apply(manifests.accepted(environment.testbox))
        kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": STRAY}})
        kubectl("label", "namespace", STRAY, "ringfence.dev/agents=enabled")
        kubectl.apply(_agent("stray", STRAY, environment.testbox, suspended=True))
        kubectl.apply(_agent("sleeper", AGENTS, environment.testbox, suspended=True))
        kubectl.apply(_agent("waiter", AGENTS, manifests.PLACEHOLDER, secrets=[KEY]))  # an image that nobody can pull
        for agent in manifests.EXAMPLE_AGENTS:
            agents.wait(api, AGENTS, agent, timeout=180)
        for example in manifests.refused(environment.testbox):
            with pytest.raises(ClusterError):
                kubectl("create", "-f", "-", stdin=example.text)
        for child in ("deny", "allow"):
            kubectl("delete", "netpol", f"ringfence-researcher-{child}", "-n", AGENTS)
        kubectl("label", "namespace", STRAY, "ringfence.dev/agents-")
        wait_for(
            "drift to be seen", lambda: running.value('ringfence_violations_total{source="drift"}') >= 2, timeout=60
        )
        wait_for(
            "the closed namespace", lambda: running.value('ringfence_violations_total{source="policy"}'), timeout=60
        )
        running.fresh(least=4)
        yield running


def _agent(name: str, namespace: str, image: str, **spec: object) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "ringfence.dev/v1alpha1",
            "kind": "AgentDeployment",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"image": image} | spec,
        }
    )
