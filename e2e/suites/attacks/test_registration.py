"""Somebody blunts the registration of admission, so that requests pass unreviewed."""

from collections.abc import Iterator

import pytest

from cluster.shell import wait_for
from harness import agents, metrics
from harness.api import Api, Refused
from harness.environment import Environment
from harness.kubectl import Kubectl, Object
from harness.manifests import NAMESPACE
from suites.attacks.agent import path
from suites.attacks.people import People

REGISTRATION = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/ringfence"
SECRET = "payroll"
UNREADABLE = "SecretNotReadableByRequester"


@pytest.fixture
def secret(api: Api) -> Iterator[None]:
    """One that `dev` may not read."""
    api.create(path("secrets"), {"metadata": {"name": SECRET}, "stringData": {"value": "not-for-everybody"}})
    yield
    api.delete(path("secrets", SECRET))


@pytest.fixture
def registration(people: People, api: Api) -> Iterator[Object]:
    """As it was installed; put back afterwards."""
    whadm = people("whadm")
    found = whadm.get(REGISTRATION)
    yield found
    whadm.patch(REGISTRATION, {"webhooks": found["webhooks"]})
    wait_for("it is as installed", lambda: _in_force(api) == 1)


def _in_force(api: Api) -> float:
    return metrics.largest(api, "ringfence_admission_webhook_in_force", "controller")


def _agent(environment: Environment, name: str) -> Object:
    key = {
        "name": "llm",
        "source": {"existing": {"secretName": SECRET, "key": "value"}},
        "delivery": {"env": {"name": "LLM_KEY"}},
    }
    return {
        "apiVersion": "ringfence.dev/v1alpha1",
        "kind": "AgentDeployment",
        "metadata": {"name": name},
        "spec": {"image": environment.testbox, "args": ["agent"], "secrets": [key]},
    }


def _refusal(dev: Api, body: Object) -> str:
    """Why it is not let in; empty where it is."""
    try:
        dev.create(f"{agents.agent_path(NAMESPACE)}?dryRun=All", body)
    except Refused as refused:
        return str(refused)
    return ""


@pytest.mark.usefixtures("secret")
def test_a_secret_that_its_author_may_not_read_is_not_delivered(
    environment: Environment, api: Api, people: People, kubectl: Kubectl, registration: Object
) -> None:
    dev, body = people("dev"), _agent(environment, "taker")
    assert UNREADABLE in _refusal(dev, body)
    assert _in_force(api) == 1
    selector = {"matchLabels": {"never": "there"}}
    webhooks = [{**one, "objectSelector": selector} for one in registration["webhooks"]]
    people("whadm").patch(REGISTRATION, {"webhooks": webhooks})
    wait_for("admission to be passed", lambda: _refusal(dev, body) == "")
    dev.create(agents.agent_path(NAMESPACE), body)
    try:
        agents.wait(api, NAMESPACE, "taker", "Accepted", status="False", reason="HandOverUndecided", says=SECRET)
        agents.wait(api, NAMESPACE, "taker", "Ready", status="False", reason="HandOverUndecided")
        wait_for("the metric to tell", lambda: _in_force(api) == 0)
        log = wait_for("the log to tell", lambda: _lines(kubectl, "admission is not registered as installed"))
        assert any("objectSelector" in line for line in log)
        assert api.find(path("networkpolicies", "ringfence-taker-deny"))
        assert api.find(path("deployments", "ringfence-taker")) is None
        assert agents.pods(api, NAMESPACE, "taker") == []
    finally:
        dev.delete(agents.agent_path(NAMESPACE, "taker"))


def _lines(kubectl: Kubectl, text: str) -> list[str]:
    selector = "app.kubernetes.io/component=controller"
    log = kubectl("logs", "-n", "ringfence-system", "-l", selector, "--tail=-1")
    return [line for line in log.splitlines() if text in line]
