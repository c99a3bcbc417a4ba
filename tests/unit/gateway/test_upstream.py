"""Behind a corporate proxy: each way out leads to the inner listener, and nothing else changes."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from ringfence.gateway import envoy, problems, upstream
from ringfence.gateway.model import Gateway, Upstream
from unit.gateway.test_envoy import DENIED, GATEWAY, HOSTS

PROXY = Upstream(("10.20.0.5", "fd00:20::5"), 3128, credentials=True)
ALONE = replace(GATEWAY, hosts=tuple(replace(host, shares=False) for host in HOSTS))
"""Without a proxy, each host with a cluster of its own."""
BEHIND = Gateway(HOSTS, DENIED, ("10.96.0.10",), proxy_port=3128, upstream=PROXY)


def resources(name: str, gateway: Gateway = BEHIND) -> dict[str, Any]:
    return {one["name"]: one for one in json.loads(envoy.files(gateway)[name])["resources"]}


def test_each_cluster_of_a_host_goes_by_the_proxy_and_has_the_same_tls() -> None:
    before, after = resources("cds.json", ALONE), resources("cds.json")
    for name in set(before) & set(after):
        cluster, behind = before[name], after[name]
        if cluster.get("type") == "STATIC":
            assert behind == cluster
            continue
        socket = behind.pop("transport_socket")
        assert socket["name"] == "envoy.transport_sockets.http_11_proxy"
        secured = cluster.pop("transport_socket", {"name": "envoy.transport_sockets.raw_buffer"})
        assert socket["typed_config"]["transport_socket"].items() >= secured.items()
        (metadata,) = behind["load_assignment"]["endpoints"][0]["lb_endpoints"][0].pop("metadata").values()
        (address,) = metadata.values()
        assert address["envoy_internal_address"] == {"server_listener_name": upstream.NAME}
        assert behind == cluster, "the address check, and all else"


def test_no_cluster_finds_a_name_when_it_is_used() -> None:
    """It would be dialled."""
    before, after = resources("cds.json", GATEWAY), resources("cds.json")
    assert set(before) - set(after) == {"hosts", "hosts-plain"}
    assert {"api.llm.test:443", "api.llm.test:443/http1", "plain.test:80/http1", upstream.NAME} <= set(after)
    assert not [name for name, one in after.items() if "dynamic_forward_proxy" in json.dumps(one)]
    text = envoy.files(BEHIND)["rds-443.json"]
    assert ("*.wild.test:443/closed" in text, '"cluster":"*.wild' in text) == (True, False)


def test_the_proxy_is_at_its_addresses() -> None:
    (locality,) = resources("cds.json")[upstream.NAME]["load_assignment"]["endpoints"]
    found = [one["endpoint"]["address"]["socket_address"] for one in locality["lb_endpoints"]]
    assert found == [{"address": address, "port_value": 3128} for address in PROXY.addresses]


@pytest.mark.parametrize("credentials", [True, False])
def test_credentials_are_added_where_there_are_some(*, credentials: bool) -> None:
    gateway = Gateway(HOSTS, DENIED, upstream=Upstream(PROXY.addresses, 3128, credentials=credentials))
    (chain,) = resources("lds.json", gateway)[upstream.NAME]["filter_chains"]
    names = [one["name"] for one in chain["filters"][0]["typed_config"]["http_filters"]]
    assert ("envoy.filters.http.credential_injector" in names, upstream.FILE in envoy.files(gateway)) == (
        credentials,
        credentials,
    )
    assert names[-1] == "envoy.filters.http.router"
    assert problems.problems(envoy.files(gateway)) == problems.of_gateway(gateway) == []


def test_the_value_is_read_from_the_mounted_file() -> None:
    secret = resources(upstream.FILE)[upstream.NAME]
    assert secret["generic_secret"] == {"secret": {"filename": "/etc/ringfence/proxy/credentials"}}


@pytest.mark.parametrize(
    ("authority", "fits"),
    [
        ("203.0.113.10:443", True),
        ("[2001:db8::1]:8443", True),
        ("api.llm.test:443", False),
        ("203.0.113.10", False),
        ("203.0.113.10.evil.test:443", False),
        ("a203.0.113.10:443", False),
        ("", False),
    ],
)
def test_an_address_is_asked_for_and_no_name(authority: str, *, fits: bool) -> None:
    (chain,) = resources("lds.json")[upstream.NAME]["filter_chains"]
    (host,) = chain["filters"][0]["typed_config"]["route_config"]["virtual_hosts"]
    (route,) = host["routes"]
    (header,) = route["match"]["headers"]
    assert bool(re.fullmatch(header["string_match"]["safe_regex"]["regex"], authority)) is fits


def test_without_a_proxy_nothing_is_said_of_one() -> None:
    assert not [name for name, text in envoy.files(GATEWAY).items() if "http_11_proxy" in text or upstream.NAME in text]
