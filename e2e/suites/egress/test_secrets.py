"""A secret that the agent never sees: what its host gets, and what nobody else does."""

import base64
import json
import secrets
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from cluster.shell import seconds_until, wait_for
from harness import agents
from harness.api import Api
from harness.kubectl import Kubectl, Object
from suites.egress.conftest import FILES, MODEL, NAMESPACE, Ask, Make

MESSAGES = f"https://{MODEL}/v1/messages"
QUESTION = {"method": "POST", "data": '{"model": "m"}'}
SHOW = "x-pretend-show: 1"
"""Has the host say in its answer which headers it got."""
RULE = {"host": MODEL, "rules": [{"methods": ["POST"], "paths": ["/v1/messages"]}]}
SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
BEARER = {"header": "authorization", "scheme": "Bearer"}


def keyed(secret: str, **place: Any) -> Object:
    """Of a spec: a secret that goes to MODEL as a bearer token, where nothing else is said."""
    delivery = {"host": MODEL, "env": "MODEL_KEY", **(place or BEARER)}
    source = {"existing": {"secretName": secret, "key": "token"}}
    return {"secrets": [{"name": "model", "source": source, "delivery": {"gateway": delivery}}]}


def put(api: Api, name: str, value: str) -> None:
    """The Secret with a value, as its owner writes it."""
    data = {"token": base64.b64encode(value.encode()).decode()}
    metadata = {"name": name, "namespace": NAMESPACE}
    if not api.patched(f"{SECRETS}/{name}", {"data": data}):
        api.create(SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})


def fresh() -> str:
    return f"sk-real-{secrets.token_hex(12)}"


class Keyed:
    """An agent with a secret of its own at its gateway."""

    def __init__(self, api: Api, kubectl: Kubectl, ask: Ask, name: str) -> None:
        self.api, self.kubectl, self._ask, self.name = api, kubectl, ask, name
        self.secret, self.value = f"{name}-llm", fresh()

    def rotate(self, value: str | None = None) -> None:
        self.value = fresh() if value is None else value
        put(self.api, self.secret, self.value)

    def placeholder(self) -> str:
        """What a process in its pod has."""
        told = self.kubectl("exec", "-n", NAMESPACE, f"deploy/ringfence-{self.name}", "--", "/testbox", "env")
        return next(line.partition("=")[2] for line in told.splitlines() if line.startswith("MODEL_KEY="))

    def ask(self, *headers: str, **flags: str) -> Object:
        return self._ask(self.name, MESSAGES, SHOW, *headers, **(QUESTION | flags))

    def bearer(self) -> Object:
        return self.ask(f"authorization: Bearer {self.placeholder()}")


@pytest.fixture(scope="module")
def agent(make: Make, api: Api, kubectl: Kubectl, ask: Ask) -> Iterator[Keyed]:
    found = Keyed(api, kubectl, ask, "keyed")
    found.rotate()
    make(found.name, RULE, **keyed(found.secret))
    wait_for("the first answer", lambda: found.bearer().get("status") == 200, timeout=60)
    yield found
    api.delete(f"{SECRETS}/{found.secret}")


def test_the_value_reaches_its_host_and_the_agent_never_has_it(agent: Keyed, kubectl: Kubectl) -> None:
    held = agent.placeholder()
    assert held.startswith("ringfence-placeholder-")
    found = agent.bearer()
    assert found["status"] == 200, found
    assert agent.value in str(found["body"]), "the host shows what it got"
    assert held not in str(found["body"])
    pod = kubectl.items("pods", "-n", NAMESPACE, "-l", f"ringfence.dev/agent={agent.name}")[0]
    mounted = json.dumps([pod["spec"]["volumes"], pod["spec"]["containers"]])
    assert agent.secret not in mounted


def test_an_attackers_own_key_is_refused_or_removed(agent: Keyed) -> None:
    for header in ("authorization: Bearer sk-attacker", "x-api-key: sk-attacker"):
        found = agent.ask(header)
        assert found["status"] == 401, found
        assert "delivery.gateway" in found["body"]
    found = agent.ask(f"authorization: Bearer {agent.placeholder()}", "api-key: sk-attacker", "cookie: k=sk-attacker")
    assert found["status"] == 200, found
    assert "sk-attacker" not in str(found["body"])


def test_the_variable_is_worthless_at_another_host(make: Make, agent: Keyed, ask: Ask) -> None:
    other = make("elsewhere", {"host": FILES})
    found = ask(other, f"https://{FILES}/", f"authorization: Bearer {agent.placeholder()}")
    assert agent.value not in json.dumps(found), "what its own gateway sends, nobody else's does"


def test_a_neighbour_with_the_placeholder_gets_nothing(make: Make, api: Api, agent: Keyed, ask: Ask) -> None:
    """Its own gateway wants its own placeholder."""
    put(api, "neighbour-llm", fresh())
    name = make("prying", RULE, **keyed("neighbour-llm"))
    found = ask(name, MESSAGES, f"authorization: Bearer {agent.placeholder()}", **QUESTION)
    assert found["status"] == 401, found


def test_a_value_that_somebody_else_changes_is_used_by_itself(agent: Keyed, kubectl: Kubectl) -> None:
    """The controller looks once a minute."""
    pods = {pod["metadata"]["uid"] for pod in kubectl.items("pods", "-n", NAMESPACE)}
    header, statuses = f"authorization: Bearer {agent.placeholder()}", set[Any]()

    def arrived() -> bool:
        found = agent.ask(header)
        statuses.add(found.get("status"))
        return agent.value in str(found.get("body"))

    agent.rotate()
    print(f"used after {seconds_until('the new value', arrived, every=0.5):.1f} s")
    assert statuses == {200}, "no request was lost"
    assert pods <= {pod["metadata"]["uid"] for pod in kubectl.items("pods", "-n", NAMESPACE)}, "a pod was replaced"


def test_a_value_that_ringfence_rotates_is_used_at_once_and_no_request_is_lost(
    make: Make, api: Api, kubectl: Kubectl, ask: Ask
) -> None:
    spec = keyed("none")
    spec["secrets"][0] |= {"source": {"generate": {"length": 40}}, "rotation": {"every": "720h"}}
    agent = Keyed(api, kubectl, ask, make("rotated", RULE, **spec))
    wait_for("the first answer", lambda: agent.bearer().get("status") == 200, timeout=60)
    gateways = of_gateway(kubectl, agent.name)
    header, statuses = f"authorization: Bearer {agent.placeholder()}", set[Any]()
    name = kubectl.items("cronjobs", "-n", NAMESPACE, "-l", f"ringfence.dev/agent={agent.name}")[0]["metadata"]["name"]

    def value() -> str:
        return base64.b64decode(api.get(f"{SECRETS}/{name}")["data"]["value"]).decode()

    def arrived() -> bool:
        found = agent.ask(header)
        statuses.add(found.get("status"))
        return agent.value in str(found.get("body"))

    def told() -> list[str]:
        """Of which version its gateway's pod was told; a kubelet looks by itself, too, here each 10 s."""
        pods = kubectl.items("pods", "-n", NAMESPACE, "-l", f"ringfence.dev/agent={agent.name}.gateway")
        return [pod["metadata"].get("annotations", {}).get("ringfence.dev/gateway-config", "") for pod in pods]

    def taken_up(before: list[str]) -> bool:
        return arrived() and told() != before

    for number in range(4):
        agent.value, before = value(), told()
        wait_for("the value that is stored", arrived, timeout=30)
        kubectl("create", "job", f"by-hand-{number}", "-n", NAMESPACE, f"--from=cronjob/{name}")
        wait_for("another value", lambda: value() != agent.value, timeout=120, every=0.05)
        agent.value = value()
        took = seconds_until("the new value", partial(taken_up, before))
        print(f"used {took:.2f} s after it was written")
    assert statuses == {200}, "no request was lost"
    assert of_gateway(kubectl, agent.name) == gateways, "a pod was replaced"


def of_gateway(kubectl: Kubectl, agent: str) -> set[str]:
    """Its pods, by their uids."""
    pods = kubectl.items("pods", "-n", NAMESPACE, "-l", f"ringfence.dev/agent={agent}.gateway")
    return {pod["metadata"]["uid"] for pod in pods}


def test_a_deleted_secret_withdraws_the_route_and_comes_back_by_itself(agent: Keyed, api: Api) -> None:
    header = f"authorization: Bearer {agent.placeholder()}"
    api.delete(f"{SECRETS}/{agent.secret}")
    took = seconds_until("the withdrawal", lambda: agent.ask(header).get("status") == 503, every=0.2)
    print(f"withdrawn after {took:.2f} s")
    assert f"Secret {agent.secret} is not there" in agent.ask(header)["body"]
    wait_for("the condition", lambda: condition(api, agent.name) == ("False", "SecretNotFound"), timeout=150)
    agent.rotate()
    wait_for("the value again", lambda: agent.value in str(agent.ask(header).get("body")), timeout=150)
    agents.wait(api, NAMESPACE, agent.name)


@pytest.mark.parametrize("value", ["", "sk-a\nx-evil: 1"])
def test_a_value_that_no_header_takes_is_told_and_mended(agent: Keyed, api: Api, value: str) -> None:
    header = f"authorization: Bearer {agent.placeholder()}"
    agent.rotate(value)
    wait_for("the condition", lambda: condition(api, agent.name) == ("False", "SecretUnusable"), timeout=150)
    wait_for("the refusal", lambda: agent.ask(header).get("status") == 503, timeout=60)
    agent.rotate()
    wait_for("the value again", lambda: agent.value in str(agent.ask(header).get("body")), timeout=150)
    agents.wait(api, NAMESPACE, agent.name)


def test_an_agent_starts_before_its_secret_is_there(make: Make, api: Api, kubectl: Kubectl, ask: Ask) -> None:
    found = Keyed(api, kubectl, ask, "early")
    make(found.name, RULE, ready=False, **keyed(found.secret))
    wait_for("the condition", lambda: condition(api, found.name) == ("False", "SecretNotFound"), timeout=60)
    found.rotate()
    wait_for("the value", lambda: found.value in str(found.bearer().get("body")), timeout=150)
    agents.wait(api, NAMESPACE, found.name)


def test_a_generated_one_is_made_and_sent_as_a_password(make: Make, api: Api, ask: Ask) -> None:
    spec = keyed("none", basic={"user": "agent"})
    spec["secrets"][0] |= {"source": {"generate": {"length": 40}}, "rotation": {"every": "720h"}}
    name = make("password", RULE, **spec)
    held = api.get(f"{SECRETS}/ringfence--{name}-gateway-ca")["data"]["placeholder.model"]
    shown = base64.b64encode(b"agent:" + base64.b64decode(held)).decode()
    found = ask(name, MESSAGES, SHOW, f"authorization: Basic {shown}", **QUESTION)
    assert found["status"] == 200, found
    stored = api.get(f"{SECRETS}?labelSelector=ringfence.dev/agent={name}")["items"]
    value = next(one["data"]["value"] for one in stored if "value" in one["data"])
    sent = base64.b64encode(b"agent:" + base64.b64decode(value)).decode()
    assert sent in str(found["body"])


def test_a_value_goes_into_the_query(make: Make, api: Api, kubectl: Kubectl, ask: Ask) -> None:
    found = Keyed(api, kubectl, ask, "in-query")
    found.rotate()
    make(found.name, RULE, **keyed(found.secret, query="key"))
    url = f"{MESSAGES}?a=%26&key={found.placeholder()}&b=c+d"
    told = ask(found.name, url, SHOW, **QUESTION)
    assert told["status"] == 200, told
    assert json.loads(told["body"])["query"] == f"a=%26&key={found.value}&b=c+d"
    assert ask(found.name, f"{url}&key=attacker", SHOW, **QUESTION)["status"] == 401
    assert found.bearer()["status"] == 401, "in a header it is worth nothing"


def condition(api: Api, name: str) -> tuple[str, str]:
    """Of its gateway."""
    found = (api.get(agents.agent_path(NAMESPACE, name)).get("status") or {}).get("conditions") or []
    return next(((one["status"], one["reason"]) for one in found if one["type"] == "GatewayReady"), ("", ""))
