"""Lies in what a fence is made from: where the API server is, and where a Service leads."""

from collections.abc import Iterator

import pytest

from cluster.shell import wait_for
from harness import agents, metrics
from harness.api import Api
from harness.kubectl import Kubectl, Object
from harness.manifests import NAMESPACE, TOOLS
from harness.probing import ELSEWHERE, probe
from suites.attacks.agent import RULES, Agent, path
from suites.attacks.conftest import Make
from suites.attacks.packets import nothing, trying
from suites.attacks.people import People

SLICES = "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices"


def _slice(name: str, service: str, address: str, *ports: int) -> Object:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address]}],
        "ports": [{"name": f"p{port}", "port": port, "protocol": "TCP"} for port in ports],
    }


def _another_pass(agent: Agent, ed: Api) -> None:
    """A policy that is made anew is made from what is known by now."""
    ed.delete(agent.allow)
    agent.wait_right()


def _doubted(api: Api) -> float:
    return metrics.total(api, "ringfence_api_server_addresses", state="doubted")


def _said(api: Api, name: str) -> bool:
    events = api.get("/apis/events.k8s.io/v1/namespaces/default/events")["items"]
    return any(one["reason"] == "AddressDoubted" and one["regarding"]["name"] == name for one in events)


def test_a_slice_of_somebody_elses_opens_nothing(
    make: Make, people: People, kubectl: Kubectl, closed: list[str]
) -> None:
    agent, eps = make(permissions={"level": "ReadOnly", "rules": RULES}), people("eps")
    eps.create(SLICES.format("default"), _slice("kubernetes-x", "kubernetes", ELSEWHERE, 443, 7))
    try:
        with trying(kubectl, agent, closed) as stream:
            wait_for("it is told", lambda: _said(agent.api, "kubernetes-x"))
            wait_for("it is counted", lambda: _doubted(agent.api) >= 1)
            _another_pass(agent, people("ed"))
        nothing(stream)
        other = f"tcp://{ELSEWHERE}:7"
        assert probe(kubectl, NAMESPACE, agent.pod_name(), [other])[other] == "blocked"
    finally:
        eps.delete(SLICES.format("default") + "/kubernetes-x")
    wait_for("it is forgotten", lambda: _doubted(agent.api) == 0)


def test_the_api_servers_own_slice_with_one_more_address(
    make: Make, people: People, kubectl: Kubectl, closed: list[str]
) -> None:
    agent, eps = make(permissions={"level": "ReadOnly", "rules": RULES}), people("eps")
    at = SLICES.format("default") + "/kubernetes"
    before = eps.get(at)
    try:
        with trying(kubectl, agent, closed) as stream:
            eps.patch(at, {"endpoints": [*before["endpoints"], {"addresses": [ELSEWHERE]}]})
            wait_for("it is told", lambda: _said(agent.api, "kubernetes"))
            _another_pass(agent, people("ed"))
        nothing(stream)
    finally:
        eps.patch(at, {"endpoints": before["endpoints"]})  # else the API server does it, within ten seconds


@pytest.fixture
def search(people: People) -> Iterator[str]:
    """The Service's path. It is as before afterwards."""
    at = path("services", "search", namespace=TOOLS)
    before = people("tooled").get(at)["spec"]
    yield at
    people("tooled").patch(at, {"spec": {"selector": before["selector"], "ports": before["ports"]}})


def test_a_service_that_leads_elsewhere_is_told(
    api: Api, people: People, kubectl: Kubectl, search: str, closed: list[str]
) -> None:
    """Nothing is opened: not the pods, and not any address."""
    agent = Agent(api, "researcher")
    ports = [{"name": "https", "port": 8443, "targetPort": 8080}]
    slices = SLICES.format(TOOLS)
    api.create(slices, _slice("search-by-hand", "search", ELSEWHERE, 443))
    try:
        with trying(kubectl, agent, closed) as stream:
            people("tooled").patch(search, {"spec": {"selector": {"app": "ledger"}, "ports": ports}})
            agent.wait_event("ServiceRedirected", "app=ledger:8080")

            agents.wait(
                api, NAMESPACE, agent.name, "NetworkPolicyApplied", status="False", says="now leads to app=ledger:8080"
            )
            target = f"http://search.{TOOLS}.svc.cluster.local:8443/"
            assert probe(kubectl, NAMESPACE, agent.pod_name(), [target])[target] != "reachable"
        nothing(stream)
    finally:
        api.delete(f"{slices}/search-by-hand")
    assert metrics.total(api, "ringfence_service_redirects_total", namespace=NAMESPACE) >= 1
