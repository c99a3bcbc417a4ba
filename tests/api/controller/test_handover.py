"""Existing Secrets while admission may be passed: who may not read a Secret gets it through no agent.

A real admission server, registered with a real API server, and a real controller that knows how it was registered.
"""

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from api.admission.setup import SYSTEM, Setup, configuration, namespace
from api.controller.conftest import Shared
from api.controller.place import IMAGE, Place
from api.controller.process import Controller, Options
from api.review_server import Service
from api.server import Server
from cluster import Cluster
from cluster.shell import wait_for
from ringfence.kube import path_of

DEV = "dev-without-secrets"
CONFIGURATION = path_of(
    "admissionregistration.k8s.io/v1", "validatingwebhookconfigurations", name=configuration(0)["metadata"]["name"]
)
LLM = {
    "name": "llm",
    "source": {"existing": {"secretName": "payroll", "key": "value"}},
    "delivery": {"env": {"name": "LLM_KEY"}},
}
NEVER = {"matchLabels": {"never": "there"}}
UNREADABLE = "SecretNotReadableByRequester"
_NUMBER = itertools.count()


@dataclass
class Registered:
    """The registration of a running admission server. `file`: what the controller knows of it."""

    client: Server
    file: Path

    def edit(self, webhook: Callable[[dict[str, Any]], Any]) -> None:
        """Change the webhook's entry, and nothing else."""

        def put() -> bool:
            stored = self.client.request("GET", CONFIGURATION).body
            webhook(stored["webhooks"][0])
            answer = self.client.request("PUT", CONFIGURATION, json.dumps(stored).encode())
            assert answer.ok or answer.code == 409, answer.message
            return answer.ok

        wait_for("the edit", put)


@pytest.fixture(scope="module")
def registered(cluster: Cluster, client: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registered]:
    setup = Setup(cluster, Service(), tmp_path_factory.mktemp("admission"))
    cluster.kubectl("delete", "--ignore-not-found", "namespace", SYSTEM)  # other tests leave it while it is going
    cluster.apply(namespace(SYSTEM, opened=False))
    cluster.apply(configuration(setup.service.port))
    try:
        setup.keep()
        setup.service.replicas.append(setup.start().wait_ready())
        setup.service.wait_all()
        stored = client.request("GET", CONFIGURATION).body
        name, version = stored["metadata"]["name"], stored["apiVersion"]
        entry = {"apiVersion": version, "kind": stored["kind"], "name": name, "content": stored["webhooks"]}
        file = setup.folder / "registration.json"
        file.write_text(json.dumps([entry]))
        yield Registered(client, file)
    finally:
        for replica in setup.replicas:
            replica.process.kill()
            replica.process.wait()
        setup.service.close()
        client.request("DELETE", CONFIGURATION)
        cluster.kubectl("delete", "--ignore-not-found", "namespace", SYSTEM)


@pytest.fixture
def looking(
    cluster: Cluster, shared: Shared, registered: Registered, lease_namespace: str, logs: Path
) -> Iterator[Shared]:
    """A controller that knows what was registered, in place of the one that does not."""
    options = Options(lease_namespace, more=("--registration", str(registered.file)))
    shared.pause()
    found = Shared(lambda: Controller(cluster, logs / f"looking-{next(_NUMBER)}.log", options))
    yield found
    found.pause()
    shared.resume()


@dataclass
class Developer:
    """May write agents, and read no Secret."""

    place: Place
    client: Server

    def create(self, name: str, *, dry_run: bool = False) -> str:
        """An agent that is to be given the Secret. Why it was refused; empty where it is stored."""
        path = self.place.path("AgentDeployment") + ("?dryRun=All" if dry_run else "")
        head = {"apiVersion": "ringfence.dev/v1alpha1", "kind": "AgentDeployment", "metadata": {"name": name}}
        return self._send("POST", path, head | {"spec": {"image": IMAGE, "secrets": [LLM]}}, "application/json")

    def change(self, name: str, **fields: Any) -> str:
        """The same of a change of its spec."""
        path = self.place.path("AgentDeployment", name)
        return self._send("PATCH", path, {"spec": fields}, "application/merge-patch+json")

    def _send(self, method: str, path: str, body: Any, kind: str) -> str:
        answer = self.client.request(method, path, json.dumps(body).encode(), kind)
        return "" if answer.ok else answer.message


@pytest.fixture
def place(client: Server, looking: Shared) -> Iterator[Place]:
    found = Place(client)
    found.create("Secret", {"metadata": {"name": "payroll"}, "stringData": {"value": "not-for-everybody"}})
    yield found
    found.remove()


@pytest.fixture
def developer(cluster: Cluster, place: Place, registered: Registered) -> Iterator[Developer]:
    rule = {"apiGroups": ["ringfence.dev"], "resources": ["agentdeployments"], "verbs": ["get", "create", "patch"]}
    place.create("Role", {"metadata": {"name": DEV}, "rules": [rule]})
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": DEV}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": DEV}
    place.create("RoleBinding", {"metadata": {"name": DEV}, "subjects": [subject], "roleRef": role})
    connection = Server(cluster.server, cluster.user_kubeconfig(DEV))
    found = Developer(place, connection)
    wait_for("the webhook", lambda: UNREADABLE in found.create("probe", dry_run=True))
    yield found
    connection.close()


def undecided(place: Place, name: str) -> None:
    said = place.wait_condition("Accepted", "False", "HandOverUndecided", name)
    assert "payroll" in said["message"]
    place.wait_condition("Ready", "False", "HandOverUndecided", name)


def workload(place: Place, name: str) -> Any:
    """What an agent runs, and with which Secret."""
    found = place.child("workload", name)
    return found and (found["metadata"]["uid"], found["metadata"]["generation"], "payroll" in str(found["spec"]))


def counted(controller: Controller, place: Place) -> float:
    labels = {"source": "policy", "rule": "HandOverUndecided", "namespace": place.name}
    return controller.metric("ringfence_violations_total", **labels)


def test_a_secret_that_nobody_was_asked_about_is_not_handed_over(
    place: Place, developer: Developer, registered: Registered, looking: Shared
) -> None:
    # As installed: who may get the Secret may hand it over, and nobody else.
    place.agent("owned", secrets=[LLM])
    place.agent("runs")
    for name in ("owned", "runs"):
        place.wait_applied(name)
    before = {name: workload(place, name) for name in ("owned", "runs")}
    assert [named for _, _, named in before.values()] == [True, False]

    # Blunted: what comes in is stored, and not delivered.
    registered.edit(lambda webhook: webhook.update(objectSelector=NEVER))
    wait_for("the webhook to be passed", lambda: developer.create("probe", dry_run=True) == "")
    assert developer.create("taken") == ""
    assert developer.change("runs", secrets=[LLM]) == ""
    for name in ("taken", "runs"):
        undecided(place, name)
    assert workload(place, "taken") is None
    assert place.child("deny", "taken")
    told = [one for one in looking.current.lines if one["event"] == "a hand-over is undecided"]
    assert {one["agent"] for one in told} == {"taken", "runs"}
    assert all("objectSelector: was added" in line for one in told for line in one["differences"])
    wait_for("the Events", lambda: [why for why, _ in place.events()].count("HandOverUndecided") >= 2)
    assert counted(looking.current, place) == 2

    # Put right: still not, also for a controller that begins anew; nor by a change of who may not get the Secret.
    registered.edit(lambda webhook: webhook.update(objectSelector={}))
    wait_for("the webhook", lambda: UNREADABLE in developer.create("probe", dry_run=True))
    looking.restart()
    wait_for("both are looked at again", lambda: counted(looking.current, place) == 2)
    for name in ("taken", "runs"):
        undecided(place, name)
        assert UNREADABLE in developer.change(name, args=["again"])
    assert workload(place, "taken") is None
    assert {name: workload(place, name) for name in before} == before, "what was accepted before runs on"

    # Written anew by who may get it: delivered.
    for name in ("taken", "runs"):
        place.change(name, args=["again"])
        place.wait_applied(name)
        assert workload(place, name)[2]
        assert place.condition("Accepted", name)["status"] == "True"
    assert workload(place, "owned") == before["owned"]
    assert counted(looking.current, place) == 2
