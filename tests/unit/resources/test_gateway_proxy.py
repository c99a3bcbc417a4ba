"""An agent with hosts where a corporate proxy is: its gateway reaches that alone, and has its credentials."""

from dataclasses import replace

import pytest

from ringfence.gateway.model import Gateway
from ringfence.gateway.upstream import secret
from ringfence.policy.pod_security import unrestricted
from ringfence.resources import Agent, build
from ringfence.resources.gateway_proxy import PROXY_DIRECTORY
from ringfence.resources.model import UpstreamProxy
from unit.resources.test_gateway import API, SIDECAR, agent, of_gateway

PROXY = UpstreamProxy(("10.20.0.5", "fd00:20::5"), 8080, "corporate-proxy")


def behind(proxy: UpstreamProxy = PROXY) -> Agent:
    return replace(agent(API, {"host": "b.example.com", "ports": [80]}, sidecars=[SIDECAR]), upstream_proxy=proxy)


def test_it_reaches_dns_and_the_proxy_and_no_public_address() -> None:
    dns, proxy = of_gateway(behind())["NetworkPolicy"]["spec"]["egress"]
    assert {port["port"] for port in dns["ports"]} == {53}
    assert proxy == {
        "to": [{"ipBlock": {"cidr": "10.20.0.5/32"}}, {"ipBlock": {"cidr": "fd00:20::5/128"}}],
        "ports": [{"port": 8080, "protocol": "TCP"}],
    }


def test_the_gateway_mounts_the_credentials_and_no_other_pod_does() -> None:
    spec = of_gateway(behind())["Deployment"]["spec"]["template"]["spec"]
    (volume,) = [one for one in spec["volumes"] if one.get("secret", {}).get("secretName") == PROXY.secret]
    assert volume["secret"]["items"] == [{"key": "credentials", "path": "credentials"}]
    assert "optional" not in volume["secret"], "Envoy begins when it is there"
    mounts = {one["name"]: one for one in spec["containers"][0]["volumeMounts"]}
    assert mounts[volume["name"]] == {"name": volume["name"], "mountPath": PROXY_DIRECTORY, "readOnly": True}
    assert unrestricted(spec, {}) == []
    read = secret(Gateway((), ()))["generic_secret"]["secret"]["filename"]
    assert read == f"{PROXY_DIRECTORY}/credentials"
    elsewhere = [child for child in build(behind()) if PROXY.secret in str(child)]
    assert [child["kind"] for child in elsewhere] == ["Deployment"]


def test_a_proxy_that_asks_for_nothing_needs_no_secret() -> None:
    spec = of_gateway(behind(replace(PROXY, secret="")))["Deployment"]["spec"]["template"]["spec"]
    assert [volume["name"] for volume in spec["volumes"]] == ["config", "run"]


@pytest.mark.parametrize(
    "other", [replace(PROXY, port=3128), replace(PROXY, addresses=("10.20.0.6",)), replace(PROXY, secret=""), None]
)
def test_pods_are_replaced_by_such_that_begin_with_another_proxy(other: UpstreamProxy | None) -> None:
    templates = [
        of_gateway(replace(behind(), upstream_proxy=one))["Deployment"]["spec"]["template"] for one in (PROXY, other)
    ]
    assert templates[0] != templates[1]


def test_the_agent_itself_is_as_without_one() -> None:
    with_one, without = (
        [child for child in build(one) if child["metadata"]["name"] == "ringfence-a"]
        for one in (behind(), replace(behind(), upstream_proxy=None))
    )
    assert with_one == without
