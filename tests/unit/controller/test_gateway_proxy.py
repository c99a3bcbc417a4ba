"""Whole passes over an agent with hosts where a corporate proxy is."""

import json

import pytest

from ringfence.resources.model import UpstreamProxy
from ringfence.store.records import child_path
from unit.controller.test_gateway import CONFIG, GATEWAY, GatewayPlace

PROXY = UpstreamProxy(("10.20.0.5",), 8080, "corporate-proxy")


@pytest.fixture
def place() -> GatewayPlace:
    found = GatewayPlace()
    found.reconciler.observer.upstream_proxy = PROXY
    found.hosts("a.example.com")
    return found


def message(place: GatewayPlace) -> str:
    found: str = next(one["message"] for one in place.status["conditions"] if one["type"] == "GatewayReady")
    return found


async def test_its_gateway_is_told_of_it_and_reads_no_secret(place: GatewayPlace) -> None:
    await place.settle()
    (proxy,) = (
        one for one in json.loads(place.data(CONFIG)["cds.json"])["resources"] if one["name"] == "upstream-proxy"
    )
    assert '"10.20.0.5"' in json.dumps(proxy)
    assert b"/etc/ringfence/proxy/credentials" in place.data(CONFIG)["sds-upstream-proxy.json"]
    assert place.condition("GatewayReady") == ("True", "Available")
    assert not [one for one in place.take() if "corporate-proxy" in one], (
        "the controller never asks for the credentials"
    )


async def test_while_it_does_not_begin_it_is_said_what_it_may_lack(place: GatewayPlace) -> None:
    with pytest.raises(Exception, match="address of its egress gateway"):
        await place.reconcile()
    place.assign()
    await place.reconcile()
    assert place.condition("GatewayReady")[0] == "False"
    assert (
        f"it begins once Secret corporate-proxy with the key credentials is in namespace {GATEWAY.namespace}"
        in message(place)
    )


async def test_another_proxy_is_taken_up_by_configuration_and_pods(place: GatewayPlace) -> None:
    await place.settle()
    before = place.data(CONFIG), place.kube.objects[child_path(GATEWAY)]["spec"]["template"]
    place.reconciler.observer.upstream_proxy = None
    await place.reconcile()
    assert "sds-upstream-proxy.json" not in place.data(CONFIG)
    assert place.kube.objects[child_path(GATEWAY)]["spec"]["template"] != before[1]
