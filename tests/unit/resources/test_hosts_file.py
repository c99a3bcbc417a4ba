"""Which names an agent's pods know without DNS, and when DNS is open for them."""

from dataclasses import replace
from typing import Any

import pytest

from ringfence.resources import Agent, Manifest, ServicePort, build
from ringfence.resources.dns import Dns
from ringfence.resources.network import effective_egress
from unit.resources.agents import make

IMAGE = "registry.example/agent@sha256:" + "0" * 64
SEARCH, CACHE, MEMBERS = ("tools", "search"), ("ns", "cache"), ("ns", "members")
ADDRESSES = {SEARCH: ("10.96.0.7",), CACHE: ("10.96.0.8", "fd00::8"), MEMBERS: ()}


def service(name: str, namespace: str | None = None) -> dict[str, Any]:
    return {"service": {"name": name, "port": 80} | ({"namespace": namespace} if namespace else {})}


def agent(*egress: dict[str, Any], **more: Any) -> Agent:
    """One whose Services are all there, each with the addresses in ADDRESSES."""
    named = [rule["service"] for rule in egress if "service" in rule]
    keys = [(one.get("namespace", "ns"), one["name"], 80) for one in named]
    bare = make({"spec": {"image": IMAGE, "network": {"egress": list(egress)}}})
    there: dict[str, Any] = {
        "services": dict.fromkeys(keys, ServicePort({"app": "x"}, 8080)),
        "service_addresses": ADDRESSES,
    }
    return replace(bare, **(there | more))


def pod(one: Agent) -> Manifest:
    (workload,) = (
        child for child in build(one) if child["kind"] == "Deployment" and child["metadata"]["name"] == "ringfence-a"
    )
    spec: Manifest = workload["spec"]["template"]["spec"]
    return spec


def opens_dns(one: Agent) -> bool:
    (policy,) = (child for child in build(one) if child["metadata"]["name"] == "ringfence-a-allow")
    return "kube-dns" in str(policy)


def test_a_service_is_found_by_its_names_at_both_of_its_addresses() -> None:
    own = ["cache", "cache.ns", "cache.ns.svc", "cache.ns.svc.cluster.local"]
    elsewhere = ["search.tools", "search.tools.svc", "search.tools.svc.cluster.local"]
    one = agent(service("cache"), service("search", "tools"), service("search", "tools"))
    assert pod(one)["hostAliases"] == [
        {"ip": "10.96.0.8", "hostnames": own},
        {"ip": "fd00::8", "hostnames": own},
        {"ip": "10.96.0.7", "hostnames": elsewhere},
    ]


def test_the_names_are_below_the_clusters_own_domain() -> None:
    one = agent(service("cache"), dns=Dns((), domain="cluster.example"))
    assert pod(one)["hostAliases"][0]["hostnames"][-1] == "cache.ns.svc.cluster.example"


@pytest.mark.parametrize("name", ["localhost", "ip6-loopback"])
def test_no_service_takes_a_name_that_is_the_pods_own(name: str) -> None:
    one = agent(service(name), service_addresses={("ns", name): ("10.96.0.9",)})
    assert pod(one)["hostAliases"][0]["hostnames"][0] == f"{name}.ns"


def test_no_service_takes_the_name_of_a_declared_host() -> None:
    one = agent({"host": "search.tools"}, service("search", "tools"), gateway_address="10.96.0.50")
    gateway, search = pod(one)["hostAliases"]
    assert gateway == {"ip": "10.96.0.50", "hostnames": ["search.tools"]}
    assert search == {"ip": "10.96.0.7", "hostnames": ["search.tools.svc", "search.tools.svc.cluster.local"]}


@pytest.mark.parametrize(
    ("one", "opened"),
    [
        (agent(), False),
        (agent(service("cache")), False),
        (agent(service("cache"), service("search", "tools")), False),
        (agent(service("members")), True),
        (agent(service("cache"), service("members")), True),
        (agent(service("members"), services={}), False),
        (agent(service("members"), dns_allowed=False), False),
        (agent({"host": "api.example.com"}, service("cache"), gateway_address="10.96.0.50"), False),
        (agent({"host": "api.example.com"}, service("members"), gateway_address="10.96.0.50"), True),
    ],
    ids=["none", "one", "two", "headless", "headless too", "headless, gone", "refused", "host", "host and headless"],
)
def test_dns_is_open_for_a_headless_service_that_is_there_alone(one: Agent, *, opened: bool) -> None:
    assert opens_dns(one) is opened
    assert ("DNS at kube-system/k8s-app=kube-dns" in effective_egress(one)) is opened
    asks_nobody = bool(one.spec.network.egress) and not opened
    assert pod(one)["dnsPolicy"] == ("None" if asks_nobody else "ClusterFirst")
    assert ("dnsConfig" in pod(one)) is asks_nobody


def test_another_address_changes_the_pods_and_not_what_is_open() -> None:
    first, second = agent(service("cache")), agent(service("cache"), service_addresses={CACHE: ("10.96.0.99",)})
    differ = [(a["kind"], a["metadata"]["name"]) for a, b in zip(build(first), build(second), strict=True) if a != b]
    assert differ == [("Deployment", "ringfence-a")]


def test_a_service_that_is_not_there_has_no_name() -> None:
    assert "hostAliases" not in pod(agent(service("cache"), services={}, service_addresses={}))


def test_one_that_leads_elsewhere_keeps_its_name_and_opens_nothing() -> None:
    """Its pods are not begun anew for what somebody else did to a Service."""
    one = agent(service("cache"), services={})
    assert pod(one) == pod(agent(service("cache")))


def test_services_are_not_asked_for_at_the_gateways_proxy() -> None:
    one = agent({"host": "*.example.com"}, service("cache"), service("search", "tools"), gateway_address="10.96.0.50")
    (direct,) = (v["value"] for v in pod(one)["containers"][0]["env"] if v["name"] == "NO_PROXY")
    assert direct == "localhost,127.0.0.1,cache,cache.ns,search.tools,.svc,.cluster.local"
