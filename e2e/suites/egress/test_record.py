"""What went out and what was refused is in the gateway's record, counted and told; nobody waits for who is told."""

import json
import re
import time
from collections.abc import Callable
from functools import partial

import pytest

from cluster.shell import wait_for
from harness import agents, metrics
from harness.api import Api
from harness.environment import Environment
from harness.install import NAMESPACE as SYSTEM
from harness.kubectl import Kubectl, Object
from harness.probing import probe
from ringfence.controller.egress.bursts import MANY
from ringfence.gateway.reports import MOST_A_MINUTE
from suites.egress.conftest import MODEL, NAMESPACE, OTHER, SCRAPERS, Ask, Make

QUESTION = {"method": "POST", "data": '{"model": "m"}'}
MESSAGES = f"https://{MODEL}/v1/messages"
RULE = {"host": MODEL, "rules": [{"methods": ["POST"], "paths": ["/v1/messages"]}]}
HIDDEN = "what-nobody-may-be-told"
SOON = 5.0
"""Seconds for one request of a fresh process in a pod of a busy machine."""
EVENTS = f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events"
CONTROLLERS = ("-n", SYSTEM, "-l", "app.kubernetes.io/component=controller")

Scrape = Callable[[str, str], str]
Record = Callable[..., list[Object]]


@pytest.fixture(scope="module")
def caller(make: Make) -> str:
    return make("told", RULE)


@pytest.fixture(scope="module")
def record(kubectl: Kubectl) -> Record:
    """Lines of a gateway's log that have these words: `record("a", path="/v1/files")`."""

    def lines(agent: str, **words: str) -> list[Object]:
        text = kubectl("logs", "-n", NAMESPACE, f"deploy/ringfence--{agent}-gateway", "--tail=-1")
        found = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        return [one for one in found if words.items() <= one.items()]

    return lines


def counted(api: Api, rule: str) -> float:
    labels = {"source": "egress", "rule": rule, "namespace": NAMESPACE}
    return metrics.total(api, "ringfence_violations_total", **labels)


def events(api: Api, agent: str) -> list[Object]:
    """Of this agent, and of none that had its name before."""
    uid = agents.get(api, NAMESPACE, agent)["metadata"]["uid"]
    found: list[Object] = api.get(EVENTS)["items"]
    return [one for one in found if (one["reason"], one["regarding"].get("uid")) == ("EgressRefused", uid)]


def test_a_refused_request_is_in_the_record_with_what_would_allow_it_and_counted(
    caller: str, ask: Ask, record: Record, api: Api
) -> None:
    before = counted(api, "RequestNotAllowed")
    found = ask(caller, f"https://{MODEL}/v1/files?key={HIDDEN}", f"authorization: {HIDDEN}")
    assert found["status"] == 403, found
    (line,) = wait_for("the record", lambda: record(caller, path="/v1/files"))
    told = {
        "host": MODEL,
        "method": "GET",
        "verdict": "refused",
        "reason": "RequestNotAllowed",
        "field": "network.egress[].rules",
        "status": 403,
    }
    assert told.items() <= line.items()
    assert HIDDEN not in json.dumps(record(caller))
    wait_for("it to be counted", lambda: counted(api, "RequestNotAllowed") == before + 1, timeout=60)


def test_what_goes_out_is_in_the_record_and_no_violation(caller: str, ask: Ask, record: Record, api: Api) -> None:
    before = counted(api, "RequestNotAllowed")
    assert ask(caller, MESSAGES, "x-api-key: k", **QUESTION)["status"] == 200
    (line,) = wait_for("the record", lambda: record(caller, path="/v1/messages", verdict="allowed"))
    assert (line["host"], line["status"], line["reason"]) == (MODEL, 200, None)
    assert line["sent"] > 0
    ask(caller, f"https://{MODEL}/v1/after")  # what is told after it is counted after it
    wait_for("what came later", lambda: counted(api, "RequestNotAllowed") > before, timeout=60)
    assert counted(api, "RequestNotAllowed") == before + 1


def test_a_name_that_is_not_declared_is_told(caller: str, ask: Ask, record: Record, api: Api) -> None:
    before = counted(api, "HostNotDeclared")
    assert "error" in ask(caller, MESSAGES, sni=OTHER)
    assert ask(caller, MESSAGES, host=OTHER)["status"] == 403
    wait_for("both", lambda: counted(api, "HostNotDeclared") == before + 2, timeout=60)
    connection, request = record(caller, reason="HostNotDeclared")
    assert {connection["what"], request["what"]} == {"connection", "request"}
    assert connection["field"] == request["field"] == "network.egress[].host"


def test_a_burst_is_one_event_and_few_messages(make: Make, kubectl: Kubectl, api: Api) -> None:
    name = make("bursting", RULE)
    messages = metrics.total(api, "ringfence_egress_reports_total", result="taken")
    before, burst = counted(api, "RequestNotAllowed"), 20 * MANY
    targets = [f"https://{MODEL}/burst/{number}" for number in range(burst)]
    found = probe(kubectl, NAMESPACE, f"deploy/ringfence-{name}", targets, seconds=60)
    assert set(found.values()) == {"reachable"}, "an answer of the gateway's"
    wait_for("all to be counted", lambda: counted(api, "RequestNotAllowed") == before + burst, timeout=120)
    wait_for("the Event", lambda: events(api, name), timeout=60)
    (event,) = events(api, name)
    assert event["type"] == "Warning"
    assert event["regarding"]["kind"] == "AgentDeployment"
    assert "network.egress[].rules would allow what is meant" in event["note"]
    assert f"kubectl logs deployment/ringfence--{name}-gateway" in event["note"]
    assert "burst" not in event["note"].replace(name, ""), "what the agent wrote"
    assert metrics.total(api, "ringfence_egress_reports_total", result="taken") - messages <= MOST_A_MINUTE


@pytest.fixture(scope="module")
def scraper(environment: Environment) -> Scrape:
    """Pods in two namespaces, in place of a Prometheus: `scraper("scraping", url)` is the answer; empty for none."""
    kubectl = environment.kubectl
    for name, labels in ((SCRAPERS, {"purpose": SCRAPERS}), ("elsewhere", {})):
        kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        containers = [{"name": "x", "image": environment.testbox, "args": ["echo", "-http", ":8080"]}]
        spec = {"containers": containers, "terminationGracePeriodSeconds": 1}
        made = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "namespace": name}, "spec": spec}
        wait_for("its account", partial(kubectl.apply, made))
    for name in (SCRAPERS, "elsewhere"):
        kubectl("wait", "-n", name, "pod/x", "--for=condition=Ready", "--timeout=180s")

    def asked(name: str, url: str) -> str:
        told = kubectl("exec", "-n", name, "x", "--", "/testbox", "request", "-timeout", "3s", url, ok=True)
        found: Object = json.loads(told.splitlines()[0])
        return str(found.get("body", ""))

    return asked


def test_scrapers_alone_read_the_figures_by_host_and_verdict(
    caller: str, ask: Ask, kubectl: Kubectl, scraper: Scrape
) -> None:
    ask(caller, MESSAGES, "x-api-key: k", **QUESTION)
    ask(caller, f"https://{MODEL}/figures")
    ask(caller, MESSAGES, host=OTHER)
    (pod,) = kubectl.items("pods", "-n", NAMESPACE, "-l", f"ringfence.dev/agent={caller}.gateway")
    ports = pod["spec"]["containers"][0]["ports"]
    (port,) = (one["containerPort"] for one in ports if one.get("name") == "observe")
    url = f"http://{pod['status']['podIP']}:{port}/stats/prometheus"
    series = re.findall(r'egress_requests_total\{host="([^"]*)",verdict="([^"]*)"\} [1-9]', scraper(SCRAPERS, url))
    assert set(series) == {(MODEL, "allowed"), (MODEL, "refused"), ("undeclared", "refused")}
    assert scraper("elsewhere", url) == ""
    assert scraper(SCRAPERS, url.replace("stats/prometheus", "config_dump")) == ""


def test_an_agent_does_not_reach_who_is_told(caller: str, kubectl: Kubectl) -> None:
    service = kubectl.get("service", "ringfence-egress", "-n", SYSTEM)["spec"]["clusterIP"]
    places = [service, *(pod["status"]["podIP"] for pod in kubectl.items("pods", *CONTROLLERS))]
    targets = [f"tcp://{place}:4318" for place in places]
    assert set(probe(kubectl, NAMESPACE, f"deploy/ringfence-{caller}", targets).values()) == {"blocked"}


def test_while_nobody_listens_nothing_is_held_up(caller: str, ask: Ask, record: Record, kubectl: Kubectl) -> None:
    kubectl("scale", "-n", SYSTEM, "deploy/ringfence-controller", "--replicas=0")
    try:
        wait_for("no controller", lambda: not kubectl.items("pods", *CONTROLLERS), timeout=180)
        took = []
        for number in range(MANY):
            for url, status, flags in ((f"https://{MODEL}/away/{number}", 403, {}), (MESSAGES, 200, QUESTION)):
                began = time.monotonic()
                assert ask(caller, url, "x-api-key: k", **flags)["status"] == status
                took.append(time.monotonic() - began)
        assert max(took) < SOON, took
        wait_for("the record", lambda: record(caller, path=f"/away/{MANY - 1}", verdict="refused"))
    finally:
        kubectl("scale", "-n", SYSTEM, "deploy/ringfence-controller", "--replicas=2")


def test_who_listens_again_is_told(caller: str, ask: Ask, kubectl: Kubectl, api: Api) -> None:
    kubectl("rollout", "status", "-n", SYSTEM, "deploy/ringfence-controller", "--timeout=180s")
    agents.wait(api, NAMESPACE, caller)
    wait_for("a leader", lambda: metrics.total(api, "ringfence_leader") == 1, timeout=180)
    before = counted(api, "RequestNotAllowed")

    def told() -> bool:
        assert ask(caller, f"https://{MODEL}/back")["status"] == 403
        return counted(api, "RequestNotAllowed") > before

    wait_for("refusals to be counted again", told, timeout=120)
