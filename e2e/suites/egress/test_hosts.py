"""An agent reaches a host by its name, with the declared requests, and nothing else."""

import time

import pytest

from cluster.shell import wait_for
from harness import agents
from harness.api import Api
from harness.kubectl import Kubectl
from harness.probing import probe
from suites.egress.conftest import ADDRESS, FILES, MANY, MODEL, MORE, NAMESPACE, OTHER, PRIVATE, Ask, Make

MESSAGES = f"https://{MODEL}/v1/messages"
QUESTION = '{"model": "m"}'
RULE = {"host": MODEL, "rules": [{"methods": ["POST"], "paths": ["/v1/messages"]}]}


@pytest.fixture(scope="module")
def caller(make: Make) -> str:
    return make("caller", RULE)


def test_an_unchanged_client_reaches_the_declared_host(caller: str, ask: Ask) -> None:
    found = ask(caller, MESSAGES, "x-api-key: k", method="POST", data=QUESTION)
    assert (found["status"], found["proto"]) == (200, "HTTP/2.0"), found
    assert "I am here" in found["body"]


def test_another_request_to_it_is_refused_in_words(caller: str, ask: Ask) -> None:
    for flags, url in (({"method": "GET"}, MESSAGES), ({"method": "POST"}, f"https://{MODEL}/v1/files")):
        found = ask(caller, url, **flags)
        assert found["status"] == 403, found
        assert "network.egress" in found["body"], found


def test_another_name_behind_the_same_address_is_refused(caller: str, ask: Ask) -> None:
    assert "error" in ask(caller, f"https://{OTHER}/v1/messages", method="POST")
    assert "error" in ask(caller, MESSAGES, method="POST", sni=OTHER)
    assert ask(caller, MESSAGES, method="POST", host=OTHER)["status"] == 403


def test_nothing_is_reached_but_by_the_gateway(caller: str, kubectl: Kubectl) -> None:
    targets = [f"https://{ADDRESS}/", "https://45.90.0.20/", "https://203.0.113.10/", "dns://llm.example@10.96.0.10:53"]
    found = probe(kubectl, NAMESPACE, f"deploy/ringfence-{caller}", targets)
    assert set(found.values()) == {"blocked"}, found


def test_a_name_that_is_not_declared_is_not_looked_up(caller: str, kubectl: Kubectl) -> None:
    told = kubectl("exec", "-n", NAMESPACE, f"deploy/ringfence-{caller}", "--", "/testbox", "cat", "/etc/resolv.conf")
    assert "10.96.0.10" not in told
    assert "nameserver 127.0.0.1" in told


def test_a_neighbour_does_not_reach_the_gateway(make: Make, caller: str, kubectl: Kubectl) -> None:
    gateway = kubectl.get("service", f"ringfence--{caller}-gateway", "-n", NAMESPACE)["spec"]["clusterIP"]
    (pod,) = kubectl.items("pods", "-n", NAMESPACE, "-l", f"ringfence.dev/agent={caller}.gateway")
    neighbour = make("neighbour", {"host": FILES})
    targets = [f"tcp://{gateway}:443", f"tcp://{pod['status']['podIP']}:443"]
    assert set(probe(kubectl, NAMESPACE, f"deploy/ringfence-{neighbour}", targets).values()) == {"blocked"}


def test_a_name_with_a_private_address_is_not_dialled(make: Make, ask: Ask) -> None:
    name = make("inward", {"host": PRIVATE})
    found = ask(name, f"https://{PRIVATE}/")
    assert found["status"] == 403, found
    assert "address" in found["body"]


def test_a_changed_rule_is_in_force_soon_and_no_pod_is_replaced(
    make: Make, ask: Ask, api: Api, kubectl: Kubectl
) -> None:
    name = make("changing", RULE)
    pods = {pod["metadata"]["uid"] for pod in kubectl.items("pods", "-n", NAMESPACE)}
    assert ask(name, f"https://{MODEL}/v1/models")["status"] == 403
    rules = [{"methods": ["GET"], "paths": ["/v1/models"]}]
    began = time.monotonic()
    api.patch(agents.agent_path(NAMESPACE, name), {"spec": {"network": {"egress": [{"host": MODEL, "rules": rules}]}}})
    wait_for("the new list", lambda: ask(name, f"https://{MODEL}/v1/models")["status"] == 200, timeout=150)
    print(f"in force after {time.monotonic() - began:.2f} s")
    assert ask(name, MESSAGES, method="POST")["status"] == 403
    left = {pod["metadata"]["uid"] for pod in kubectl.items("pods", "-n", NAMESPACE)}
    assert pods <= left, "a pod was replaced for a change of rules"


def test_128_hosts_at_once_of_which_one_resolves(make: Make, ask: Ask) -> None:
    silent = [{"host": f"host-{number}.{MANY}"} for number in range(127)]
    name = make("many", *silent, RULE)
    assert ask(name, MESSAGES, "x-api-key: k", method="POST", data=QUESTION)["status"] == 200
    assert ask(name, f"https://host-126.{MANY}/")["status"] == 503


def test_more_than_its_secret_holds_is_said_and_what_was_there_goes_on(
    make: Make, ask: Ask, api: Api, kubectl: Kubectl
) -> None:
    name = make("growing", RULE)
    path = agents.agent_path(NAMESPACE, name)
    wide = [{"host": f"host-{number}.{MANY}", "ports": [443, 8443, 9443]} for number in range(127)]
    api.patch(path, {"spec": {"network": {"egress": [RULE, *wide]}}})

    def said() -> str:
        found = [one for one in api.get(path)["status"]["conditions"] if one["type"] == "GatewayReady"]
        return next((one["message"] for one in found if one["reason"] == "GatewayUnusable"), "")

    assert "name fewer hosts" in wait_for("the condition", said)
    assert ask(name, MESSAGES, "x-api-key: k", method="POST", data=QUESTION)["status"] == 200
    api.patch(path, {"spec": {"network": {"egress": [RULE]}}})
    agents.wait(api, NAMESPACE, name)


def test_what_somebody_writes_into_its_configuration_is_put_back(
    make: Make, ask: Ask, api: Api, kubectl: Kubectl
) -> None:
    name = make("edited", RULE)
    path = f"/api/v1/namespaces/{NAMESPACE}/secrets/ringfence--{name}-gateway"
    before = api.get(path)["data"]
    kubectl("delete", "validatingadmissionpolicybinding", "ringfence-guard-children")
    try:
        wait_for("the guard's end", lambda: api.patch(path, {"data": {"lds.json": "e30="}}))
        wait_for("the repair", lambda: api.get(path)["data"] == before, timeout=180)
    finally:
        kubectl("apply", "--server-side", "--field-manager=helm", "-f", "-", stdin=BINDING)  # a later upgrade owns it
    again = {"method": "POST", "data": QUESTION}
    wait_for("the gateway to take it up", lambda: ask(name, MESSAGES, "x-api-key: k", **again).get("status") == 200)


BINDING = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: ringfence-guard-children}
spec:
  policyName: ringfence-guard-children
  validationActions: [Deny, Audit]
  matchResources: {namespaceSelector: {matchLabels: {ringfence.dev/agents: enabled}}}
"""


def test_without_hosts_there_is_no_gateway(make: Make, api: Api, kubectl: Kubectl) -> None:
    name = make("leaving", RULE)
    api.patch(agents.agent_path(NAMESPACE, name), {"spec": {"network": {"egress": []}}})
    gateway = f"ringfence--{name}-gateway"
    kinds = ("deployment", "service", "networkpolicy", "serviceaccount", "secret")

    def gone() -> bool:
        return not any(kubectl("get", kind, gateway, "-n", NAMESPACE, "--ignore-not-found") for kind in kinds)

    wait_for("the end of the gateway", gone, timeout=150)
    assert not kubectl("get", "secret", f"{gateway}-ca", "-n", NAMESPACE, "--ignore-not-found")
    agents.wait(api, NAMESPACE, name)


def test_a_wildcard_that_goes_and_comes_back_is_trusted_at_once(make: Make, ask: Ask, api: Api) -> None:
    """The agent's pod stays, and so does what it read of whom to trust."""
    many, more, url = {"host": f"*.{MANY}"}, {"host": f"*.{MORE}"}, f"https://x.{MORE}/"
    name = make("returning", many, more)
    wait_for("its gateway", lambda: ask(name, url).get("status") == 503, timeout=60)
    errors = []

    def declare(*rules: object) -> None:
        api.patch(agents.agent_path(NAMESPACE, name), {"spec": {"network": {"egress": list(rules)}}})

    def is_open() -> bool:
        found = ask(name, url)
        errors.append(str(found.get("error", "")))
        return found.get("status") == 503

    declare(many)
    wait_for("the host gone", lambda: not is_open(), timeout=60)
    declare(many, more)
    wait_for("the host again", is_open, timeout=60)
    assert not [one for one in errors if "x509" in one]
