"""What the controller may give agents it holds where agents are let in, by a RoleBinding that it makes itself.

It has the chart's rights and no more: what it does not hold, the API server does not let it give.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from api.controller.conftest import ACCOUNT, HOME
from api.controller.place import FULL, Place
from api.controller.process import Controller, Record
from api.server import Server
from cluster import Cluster
from cluster.shell import wait_for
from ringfence.api.names import AGENT_LABEL, AGENTS_LABEL, CEILING_BINDING
from ringfence.resources import Manifest, build_ceiling
from ringfence.resources.compare import matches

CONTROLLER = (HOME, "ringfence-controller")
ADMIN = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"}
MAY_WRITE_ALL = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "delete"]}]


def right(place: Place) -> Manifest:
    """The binding, as build_ceiling() says."""
    live = place.get("RoleBinding", CEILING_BINDING)
    assert matches(build_ceiling(place.name, CONTROLLER), live), live
    return live


def may(client: Server, place: Place, verb: str, resource: str) -> bool:
    """Whether the controller may do that in the namespace."""
    attributes = {"namespace": place.name, "verb": verb, "resource": resource}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": ACCOUNT, "resourceAttributes": attributes},
    }
    answer = client.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", json.dumps(review).encode())
    return answer.body["status"].get("allowed") is True


@pytest.fixture
def closed(client: Server, bare: Controller) -> Iterator[Place]:
    found = Place(client, labels={})
    yield found
    found.remove()


@pytest.fixture
def opened(client: Server, bare: Controller) -> Iterator[Place]:
    found = Place(client)
    wait_for("the binding", lambda: right(found))
    yield found
    found.remove()


def test_it_holds_it_while_the_namespace_is_open(closed: Place, client: Server) -> None:
    assert not may(client, closed, "create", "configmaps")
    closed.label({AGENTS_LABEL: "enabled"})
    wait_for("it holds it", lambda: may(client, closed, "create", "configmaps"))
    assert not may(client, closed, "get", "secrets")
    right(closed)
    closed.label({AGENTS_LABEL: None})
    wait_for("it is given back", lambda: closed.find("RoleBinding", CEILING_BINDING) is None)
    wait_for("it holds nothing", lambda: not may(client, closed, "create", "configmaps"))


def test_an_agent_that_comes_with_its_namespace_gets_its_role(client: Server, bare: Controller) -> None:
    """The API server knows a new binding a moment after it stored it."""
    for _ in range(5):
        place = Place(client)
        place.agent("a", FULL)
        place.wait_applied()
        assert place.right()
        assert [note for reason, note in place.events() if reason in {"WriteFailed", "NotGranted"}] == []
        place.remove()


EDITS: dict[str, list[Mapping[str, Any]]] = {
    "nobody": [{"op": "remove", "path": "/subjects"}],
    "one more": [{"op": "add", "path": "/subjects/-", "value": {"kind": "User", "name": "eve"}}],
    "no marks": [{"op": "remove", "path": f"/metadata/{part}"} for part in ("labels", "annotations")],
}


@pytest.mark.parametrize("what", EDITS)
def test_every_edit_is_put_right_and_counted(opened: Place, bare: Controller, what: str) -> None:
    opened.patch("RoleBinding", CEILING_BINDING, EDITS[what])
    assert bare.counted_drift(1, opened.name) == 1
    right(opened)
    told = [event["note"] for event in opened.items("Event") if event["regarding"]["kind"] == "Namespace"]
    assert told == [f"RoleBinding {CEILING_BINDING} was edited and is put right"]


def test_deleted_it_is_back(opened: Place, bare: Controller) -> None:
    before = right(opened)["metadata"]["uid"]
    assert opened.delete("RoleBinding", CEILING_BINDING).ok
    wait_for("another one", lambda: right(opened)["metadata"]["uid"] != before)
    assert bare.counted_drift(1, opened.name) == 1


def test_one_to_another_role_is_made_anew(opened: Place, bare: Controller) -> None:
    live = right(opened)
    assert opened.delete("RoleBinding", CEILING_BINDING).ok
    metadata = {name: live["metadata"][name] for name in ("name", "labels", "annotations")}
    body = json.dumps(live | {"metadata": metadata, "roleRef": ADMIN}).encode()

    def put() -> bool:
        opened.delete("RoleBinding", CEILING_BINDING)
        return opened.server.request("POST", opened.path("RoleBinding"), body).ok

    wait_for("somebody is faster", put)
    wait_for("ours again", lambda: right(opened)["roleRef"]["name"] == "ringfence-agent-ceiling")


def test_a_strangers_of_that_name_is_left_and_the_agent_says_why_it_does_not_start(closed: Place) -> None:
    body = {"metadata": {"name": CEILING_BINDING}, "roleRef": ADMIN, "subjects": []}
    before = closed.create("RoleBinding", body)
    closed.label({AGENTS_LABEL: "enabled"})
    closed.agent("a", FULL)
    found = closed.wait_condition("RightsApplied", "False", "NotGranted")
    assert f"RoleBinding {CEILING_BINDING} is not there" in found["message"]
    told = [event["note"] for event in closed.items("Event") if event["regarding"]["kind"] == "Namespace"]
    assert "is not Ringfence's; it was left untouched" in told[0]
    assert "agents with permissions do not start here" in told[0]
    assert closed.get("RoleBinding", CEILING_BINDING) == before
    assert closed.child("workload") is None
    assert closed.delete("RoleBinding", CEILING_BINDING).ok
    closed.wait_applied()
    right(closed)


def test_where_agents_outlive_the_opening_it_is_kept_and_their_roles_are_put_right(opened: Place) -> None:
    opened.agent("a", FULL)
    opened.wait_applied()
    opened.label({AGENTS_LABEL: None})
    opened.merge("Role", "ringfence-a", {"rules": MAY_WRITE_ALL})
    opened.wait_right()
    opened.patch("RoleBinding", CEILING_BINDING, EDITS["nobody"])
    wait_for("put right in a closed namespace", lambda: right(opened))
    opened.delete("AgentDeployment", "a")

    def ended() -> bool:
        opened.end_pods()
        return not opened.pods()

    wait_for("no pods", ended)
    wait_for("it is given back", lambda: opened.find("RoleBinding", CEILING_BINDING) is None)


def test_steady_it_writes_nothing(cluster: Cluster, closed: Place) -> None:
    record = Record(cluster)  # from before its first write: a line of that may come after the object is there
    closed.label({AGENTS_LABEL: "enabled"})
    wait_for("the binding", lambda: right(closed))
    closed.agent("a", FULL)
    closed.wait_applied()
    wait_for("rest", lambda: record.rests(closed.name, user=ACCOUNT))
    bindings = [one["objectRef"]["name"] for one in record.writes(closed.name, user=ACCOUNT) if
                one["objectRef"]["resource"] == "rolebindings"]  # fmt: skip
    assert bindings == [CEILING_BINDING, "ringfence-a"]
    assert AGENT_LABEL not in right(closed)["metadata"]["labels"]


WIDGETS = {"apiGroups": ["example.com"], "resources": ["widgets"], "verbs": ["get", "list"]}


def test_a_custom_resource_waits_for_the_ceiling_and_says_what_to_write(cluster: Cluster, opened: Place) -> None:
    entry = {"group": "example.com", "resources": ["widgets"], "verbs": ["get", "list"], "level": "ReadOnly"}
    selector = {"matchLabels": {"kubernetes.io/metadata.name": opened.name}}
    policy = {
        "apiVersion": "ringfence.dev/v1alpha1",
        "kind": "AgentPolicy",
        "metadata": {"name": opened.name},
        "spec": {"namespaceSelector": selector, "permissions": {"customResources": [entry]}},
    }
    cluster.apply(policy)
    added = "ringfence-widgets.example.com"
    try:
        opened.agent("a", FULL | {"permissions": {"rules": [*FULL["permissions"]["rules"], WIDGETS]}})
        found = opened.wait_condition("RightsApplied", "False", "NotGranted")
        (command,) = re.findall(r"kubectl create clusterrole .+=true", found["message"])
        assert command == (
            f"kubectl create clusterrole {added} --verb=get,list --resource=widgets.example.com && "
            f"kubectl label clusterrole {added} ringfence.dev/aggregate-to-ceiling=true"
        )
        assert opened.child("role") is None
        assert opened.child("workload") is None
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": added}}
        cluster.apply(role | {"rules": [WIDGETS]})  # kubectl would ask whether the kind is there: here it is not
        cluster.kubectl("label", "clusterrole", added, "ringfence.dev/aggregate-to-ceiling=true")
        opened.wait_applied()
        assert WIDGETS in (opened.child("role") or {})["rules"]
    finally:
        cluster.kubectl("delete", "agentpolicy", opened.name)
        cluster.kubectl("delete", "clusterrole", added, "--ignore-not-found")
