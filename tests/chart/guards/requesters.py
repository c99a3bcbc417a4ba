"""People with Roles beside agents, and who is recorded as the one who asked."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from api.controller.place import IMAGE, RULES, Place
from api.server import Answer, Server
from chart.guards.asking import MERGE
from cluster import Cluster
from cluster.shell import wait_for
from ringfence.api.names import REQUESTED_BY_ANNOTATION

RBAC = "rbac.authorization.k8s.io"
POLICY = "ringfence-guard-requester"
AGENTS = {"apiGroups": ["ringfence.dev"], "resources": ["agentdeployments"], "verbs": ["*"]}
MORE = [*RULES, {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]


@dataclass
class Person:
    """Somebody with a certificate."""

    name: str
    server: Server
    place: Place

    def create(self, name: str, annotation: str | None = None, **spec: Any) -> Answer:
        metadata = {"name": name} | ({"annotations": {REQUESTED_BY_ANNOTATION: annotation}} if annotation else {})
        head = {"apiVersion": "ringfence.dev/v1alpha1", "kind": "AgentDeployment", "metadata": metadata}
        body = json.dumps(head | {"spec": {"image": IMAGE} | spec}).encode()
        return self.server.request("POST", self.place.path("AgentDeployment"), body)

    def merge(self, name: str, body: Any) -> Answer:
        return self.server.request("PATCH", self.place.path("AgentDeployment", name), json.dumps(body).encode(), MERGE)

    def change(self, name: str, **spec: Any) -> None:
        answer = self.merge(name, {"spec": spec})
        assert answer.ok, answer

    def annotate(self, name: str, value: str | None) -> Answer:
        return self.merge(name, {"metadata": {"annotations": {REQUESTED_BY_ANNOTATION: value}}})


def person(cluster: Cluster, place: Place, name: str, *groups: str) -> Person:
    return Person(name, Server(cluster.server, cluster.user_kubeconfig(name, groups)), place)


def grant(place: Place, name: str, *rules: Any) -> None:
    """A Role of that name, bound to the person of that name."""
    place.create("Role", {"metadata": {"name": name}, "rules": list(rules)})
    bind(place, name)


def bind(place: Place, name: str, role: str | None = None) -> None:
    reference = {"apiGroup": RBAC, "kind": "Role", "name": role or name}
    subjects = [{"apiGroup": RBAC, "kind": "User", "name": name}]
    metadata = {"name": f"{name}-{role}" if role else name}
    place.create("RoleBinding", {"metadata": metadata, "roleRef": reference, "subjects": subjects})


@pytest.fixture(scope="module")
def place(guarded: Cluster, server: Server) -> Iterator[Place]:
    found = Place(server)
    for name in ("ada", "bob"):
        grant(found, name, AGENTS)
    found.create("Role", {"metadata": {"name": "holds"}, "rules": MORE})
    for name in ("ada", "bob"):
        bind(found, name, "holds")
    admin = Person("admin", server, found)
    # The API server learns of the kind, and of policies, within seconds.
    wait_for("the record", lambda: admin.create("probe", permissions={"rules": RULES}).ok and recorded(found, "probe"))
    yield found
    found.remove()


def annotation(place: Place, name: str) -> str | None:
    metadata = place.get("AgentDeployment", name)["metadata"]
    found: str | None = metadata.get("annotations", {}).get(REQUESTED_BY_ANNOTATION)
    return found


def recorded(place: Place, name: str) -> Any:
    """Who asked, as it is stored. Where nothing is, the agent goes, for another try."""
    text = annotation(place, name)
    if text is None:
        place.server.request("DELETE", place.path("AgentDeployment", name))
    return text and json.loads(text)


@pytest.fixture(scope="module")
def ada(guarded: Cluster, place: Place) -> Iterator[Person]:
    found = person(guarded, place, "ada", "team")
    yield found
    found.server.close()


@pytest.fixture(scope="module")
def bob(guarded: Cluster, place: Place) -> Iterator[Person]:
    found = person(guarded, place, "bob")
    yield found
    found.server.close()


def asked_by(place: Place, name: str) -> str:
    """The username that is recorded; empty where nobody is."""
    text = annotation(place, name)
    return str(json.loads(text)["username"]) if text else ""
