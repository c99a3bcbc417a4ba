"""Somebody else's Secret: who may name it, and how it reaches the pod."""

import json
from pathlib import Path

import pytest

from cluster.errors import CommandFailed
from harness import agents
from harness.api import Api
from harness.environment import Environment
from harness.kubectl import Kubectl, Object
from harness.rotating import FILE, KEYS, RotatingAgent

SECRET = "llm-account"


@pytest.fixture(scope="module")
def secret(kubectl: Kubectl) -> None:
    kubectl("create", "secret", "generic", SECRET, "-n", KEYS, "--from-literal=api-key=first")


def agent(environment: Environment, name: str) -> Object:
    key = {
        "name": "llm",
        "source": {"existing": {"secretName": SECRET, "key": "api-key"}},
        "delivery": {"file": {"path": FILE}},
    }
    return {
        "apiVersion": "ringfence.dev/v1alpha1",
        "kind": "AgentDeployment",
        "metadata": {"name": name, "namespace": KEYS},
        "spec": {"image": environment.testbox, "args": ["agent"], "secrets": [key]},
    }


def as_user(environment: Environment, name: str, body: Object) -> None:
    """Apply it with a developer's own certificate. Raises CommandFailed."""
    assert environment.cluster
    config: Path = environment.cluster.user_kubeconfig(name)
    environment.cluster.kubectl("create", "-f", "-", stdin=json.dumps(body), kubeconfig=config)


def change(environment: Environment, name: str, agent_name: str, spec: Object) -> None:
    """Patch an agent with a developer's own certificate. Raises CommandFailed."""
    assert environment.cluster
    config: Path = environment.cluster.user_kubeconfig(name)
    patch = ["--type=merge", "-p", json.dumps({"spec": spec})]
    environment.cluster.kubectl("patch", "agd", agent_name, "-n", KEYS, *patch, kubeconfig=config)


@pytest.mark.usefixtures("secret")
def test_only_who_may_read_a_secret_may_hand_it_to_an_agent(environment: Environment, kubectl: Kubectl) -> None:
    """Asked of the API server by the webhook at the time of the request."""
    for name in ("dev", "lead"):
        grant = ["--verb=create,get,patch", "--resource=agentdeployments.ringfence.dev"]
        kubectl("create", "role", name, "-n", KEYS, *grant)
        kubectl("create", "rolebinding", name, "-n", KEYS, f"--role={name}", f"--user={name}")
    kubectl("create", "role", "reads", "-n", KEYS, "--verb=get", "--resource=secrets", f"--resource-name={SECRET}")
    kubectl("create", "rolebinding", "reads", "-n", KEYS, "--role=reads", "--user=lead")
    with pytest.raises(CommandFailed) as refused:
        as_user(environment, "dev", agent(environment, "borrowed"))
    assert "spec.secrets[0].source.existing" in str(refused.value)
    assert SECRET in str(refused.value)
    as_user(environment, "lead", agent(environment, "lent"))
    with pytest.raises(CommandFailed) as refused:
        change(environment, "dev", "lent", {"args": ["agent", "-env"]})
    assert "change what an agent with it runs" in str(refused.value)
    change(environment, "dev", "lent", {"replicas": 0})
    kubectl("delete", "agd", "lent", "-n", KEYS)


@pytest.mark.usefixtures("secret")
def test_it_is_delivered_and_follows_its_owner(environment: Environment, api: Api, kubectl: Kubectl) -> None:
    there = RotatingAgent(environment, api, "lender")
    api.create(agents.agent_path(KEYS), agent(environment, "lender"))
    try:
        agents.wait(api, KEYS, "lender")
        there.wait_file("first")
        pod = there.pod()["metadata"]["uid"]
        kubectl("patch", "secret", SECRET, "-n", KEYS, "-p", '{"stringData":{"api-key":"second"}}')
        there.wait_file("second")
        assert there.pod()["metadata"]["uid"] == pod
        assert api.get(f"/api/v1/namespaces/{KEYS}/secrets/{SECRET}")["metadata"].get("labels") is None
    finally:
        api.delete(agents.agent_path(KEYS, "lender"))
