"""Whose egress gateway has an address."""

from typing import Any

import pytest

from ringfence.resources.gateway_names import gateway_label
from ringfence.store.context import PolicyContext
from ringfence.store.store import Store
from unit.store import make

LONG = "a-very-long-name-of-an-agent-that-is-still-allowed-x"


@pytest.fixture
def store() -> Store:
    made = Store(PolicyContext())
    for name in ("a", "b", LONG):
        made.agents.observe("ADDED", make.agent(uid=name, name=name))
    return made


def gateway(name: str = "a", *addresses: str, version: int = 1, phase: str = "Running", **more: Any) -> make.Body:
    ips = [{"ip": address} for address in addresses]
    return make.pod(version, f"ringfence--{name}"[:40], gateway_label(name), podIPs=ips, phase=phase, **more)


def whose(store: Store, address: str) -> str | None:
    key = store.gateways.agent_at(address)
    return key.name if key else None


def test_an_address_is_of_the_agent_whose_gateway_has_it(store: Store) -> None:
    store.pods.observe("MODIFIED", gateway("a", "10.0.0.1", "fd00::1"))
    store.pods.observe("MODIFIED", gateway(LONG, "10.0.0.2"))
    assert (whose(store, "10.0.0.1"), whose(store, "fd00::1"), whose(store, "10.0.0.2")) == ("a", "a", LONG)
    assert whose(store, "10.0.0.3") is None


def test_an_agents_own_pod_is_no_gateway(store: Store) -> None:
    store.pods.observe("MODIFIED", make.pod(podIPs=[{"ip": "10.0.0.1"}], phase="Running"))
    assert whose(store, "10.0.0.1") is None


def test_a_label_of_no_agent_is_nobodys(store: Store) -> None:
    store.pods.observe("MODIFIED", gateway("gone", "10.0.0.1"))
    assert whose(store, "10.0.0.1") is None


def test_an_address_that_comes_later_and_goes(store: Store) -> None:
    store.pods.observe("MODIFIED", gateway("a"))
    assert whose(store, "10.0.0.1") is None
    store.pods.observe("MODIFIED", gateway("a", "10.0.0.1", version=2))
    assert whose(store, "10.0.0.1") == "a"
    store.pods.observe("MODIFIED", gateway("a", "10.0.0.1", version=3, phase="Succeeded"))
    assert whose(store, "10.0.0.1") is None


def test_an_address_that_is_given_to_another_pod(store: Store) -> None:
    store.pods.observe("MODIFIED", gateway("a", "10.0.0.1", phase="Failed"))
    store.pods.observe("MODIFIED", gateway("b", "10.0.0.1"))
    assert whose(store, "10.0.0.1") == "b"
