"""Which addresses around an agent a trial of its fence must find closed."""

from typing import Any

import pytest

from ringfence.proof.attempts import Surroundings
from ringfence.resources import Endpoint
from ringfence.resources.gateway_names import gateway_name
from ringfence.store.context import PolicyContext
from ringfence.store.records import Key
from ringfence.store.store import Store
from ringfence.store.surroundings import surroundings

OWN = Key("team", "a")


@pytest.fixture
def store() -> Store:
    return Store(PolicyContext(own_namespace="ringfence-system"))


def service(namespace: str, name: str, *addresses: str, ports: Any = (), **spec: Any) -> dict[str, Any]:
    metadata = {"namespace": namespace, "name": name, "resourceVersion": "1", "uid": f"{namespace}-{name}"}
    return {"metadata": metadata, "spec": {"clusterIPs": list(addresses), "ports": list(ports), **spec}}


def gateway(namespace: str, agent: str, address: str) -> dict[str, Any]:
    found = service(namespace, gateway_name(agent), clusterIP=address)
    return found | {"kind": "Service", "apiVersion": "v1"}


def test_nothing_is_around_it(store: Store) -> None:
    assert surroundings(store, OWN) == Surroundings()


def test_the_canary_of_the_chart_and_no_other(store: Store) -> None:
    ports = [{"port": 7007, "protocol": "UDP"}, {"port": 7007, "protocol": "TCP"}]
    store.services.observe("ADDED", service("elsewhere", "ringfence-canary", "10.96.0.8", ports=ports))
    assert surroundings(store, OWN).canary == ()
    own = service("ringfence-system", "ringfence-canary", "10.96.0.9", "fd00:96::9", ports=ports)
    store.services.observe("ADDED", own)
    assert surroundings(store, OWN).canary == (Endpoint("10.96.0.9", 7007), Endpoint("fd00:96::9", 7007))


def test_dns_where_its_service_has_it(store: Store) -> None:
    ports = [{"port": 53, "protocol": "UDP"}]
    dns = service("kube-system", "kube-dns", "10.96.0.10", ports=ports, selector={"k8s-app": "kube-dns"})
    store.services.observe("ADDED", dns)
    assert surroundings(store, OWN).dns == ("10.96.0.10",)


def test_gateways_of_others_those_of_its_namespace_first(store: Store) -> None:
    for found in (
        gateway("far", "z", "10.96.0.3"),
        gateway("team", "a", "10.96.0.1"),
        gateway("team", "b", "10.96.0.2"),
    ):
        store.children.observe("ADDED", found)
    assert surroundings(store, OWN).gateways == ("10.96.0.2", "10.96.0.3")
