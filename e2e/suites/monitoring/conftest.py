"""A cluster with Ringfence, agents, and attempts of every kind to leave the fence; and a Prometheus that saw it all."""

from collections.abc import Iterator

import pytest
import yaml

import prometheus
from cluster import Cluster
from cluster.errors import ClusterError
from cluster.shell import wait_for
from demo import agents, manifests
from demo.api import Api, connect
from demo.install import NAMESPACE, install, own_image
from demo.manifests import NAMESPACE as AGENTS
from demo.place import Place, place_of
from prometheus import Prometheus

NAME = "e2e-monitoring"
STRAY = "strays"
"""A namespace that is closed to agents while one is in it."""

KEY = {
    "name": "signing",
    "source": {"generate": {}},
    "rotation": {"every": "24h", "overlap": "1h"},
    "delivery": {"env": {"name": "SIGNING_KEY"}},
}


@pytest.fixture(scope="package")
def place() -> Iterator[Place]:
    """The built-in cluster, with Ringfence as the demo installs it, and series for each agent."""
    with Cluster.for_tests(NAME) as cluster:
        place = place_of(cluster)
        install(place, own_image(place), "monitoring.perAgentMetrics=true")
        yield place


@pytest.fixture(scope="package")
def api(place: Place) -> Iterator[Api]:
    with connect(place.kubectl) as api:
        yield api


@pytest.fixture(scope="package")
def seen(place: Place, api: Api) -> Iterator[Prometheus]:
    """Prometheus, after everything that can be counted has happened."""
    kubectl = place.kubectl
    with prometheus.follow([kubectl.kubectl], kubectl.env, NAMESPACE) as running:
        running.fresh(least=4)
        kubectl.apply(manifests.accepted(place.testbox))
        kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": STRAY}})
        kubectl("label", "namespace", STRAY, "ringfence.dev/agents=enabled")
        kubectl.apply(_agent("stray", STRAY, place.testbox, suspended=True))
        kubectl.apply(_agent("sleeper", AGENTS, place.testbox, suspended=True))
        kubectl.apply(_agent("waiter", AGENTS, manifests.PLACEHOLDER, secrets=[KEY]))  # an image that nobody can pull
        for agent in manifests.EXAMPLE_AGENTS:
            agents.wait(api, AGENTS, agent, timeout=180)
        for example in manifests.refused(place.testbox):
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
