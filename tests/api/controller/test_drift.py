"""Somebody else edits or deletes a child: it is put back, counted and told. Edits of every kind, for every child."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from api.controller.conftest import Shared
from api.controller.golden import as_written_down
from api.controller.place import CHILDREN, FULL, Place, json_bytes
from api.controller.process import Controller, Record
from cluster import Cluster
from cluster.shell import wait_for

Edit = Callable[[dict[str, Any]], None]
CONTAINER = {"name": "spy", "image": "registry.example/spy"}
NO_ADDRESS = {"clusterIP": None, "clusterIPs": None}
ANYWHERE = {"ipBlock": {"cidr": "0.0.0.0/0"}}


def _pod(live: dict[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = live["spec"]["template"]["spec"]
    return pod


def _agent(live: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = _pod(live)["containers"][0]
    return container


def _set(target: Callable[[dict[str, Any]], dict[str, Any]], **fields: Any) -> Edit:
    return lambda live: target(live).update(fields)


def _spec(live: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = live["spec"]
    return spec


def _whole(live: dict[str, Any]) -> dict[str, Any]:
    return live


EDITS: list[tuple[str, str, Edit]] = [
    ("deny", "a rule that allows all egress", _set(_spec, egress=[{}])),
    ("deny", "a rule that allows one network", _set(_spec, egress=[{"to": [ANYWHERE]}])),
    ("deny", "a rule that allows all ingress", _set(_spec, ingress=[{}])),
    ("deny", "only one direction", _set(_spec, policyTypes=["Ingress"])),
    ("deny", "other pods", _set(_spec, podSelector={"matchLabels": {"app": "other"}})),
    ("deny", "fewer pods", lambda live: live["spec"]["podSelector"]["matchLabels"].update(more="1")),
    ("deny", "all pods", _set(_spec, podSelector={})),
    ("allow", "one more rule", _set(_spec, egress=[{"to": [ANYWHERE]}])),
    ("allow", "everybody comes in", lambda live: live["spec"]["ingress"][0].pop("from")),
    (
        "allow",
        "one more port",
        lambda live: live["spec"]["ingress"][0]["ports"].append({"port": 22, "protocol": "TCP"}),
    ),
    ("allow", "from any namespace", lambda live: live["spec"]["ingress"][0]["from"][0].pop("namespaceSelector")),
    ("account", "a token everywhere", _set(_whole, automountServiceAccountToken=True)),
    ("account", "a token by default", lambda live: live.pop("automountServiceAccountToken")),
    (
        "role",
        "one more rule",
        lambda live: live["rules"].append({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}),
    ),
    ("role", "one more verb", lambda live: live["rules"][0]["verbs"].append("delete")),
    ("role", "no rules", _set(_whole, rules=[])),
    (
        "binding",
        "one more subject",
        lambda live: live["subjects"].append({"kind": "ServiceAccount", "name": "default"}),
    ),
    (
        "binding",
        "another subject",
        _set(_whole, subjects=[{"kind": "User", "name": "eve", "apiGroup": "rbac.authorization.k8s.io"}]),
    ),
    ("binding", "no subject", _set(_whole, subjects=[])),
    ("service", "a port of every node", _set(_spec, type="NodePort")),
    ("service", "an address of its own", _set(_spec, type="LoadBalancer")),
    ("service", "an address outside", _set(_spec, externalIPs=["192.0.2.1"])),
    ("service", "other pods", _set(_spec, selector={"app": "other"})),
    ("service", "pods that are not ready", _set(_spec, publishNotReadyAddresses=True)),
    ("service", "one more port", lambda live: live["spec"]["ports"].append({"name": "x", "port": 22})),
    (
        "service",
        "another name",
        _set(_spec, type="ExternalName", externalName="x.example", clusterIP=None, clusterIPs=None),
    ),
    ("workload", "another image", lambda live: _agent(live).update(image="registry.example/other")),
    ("workload", "one more container", lambda live: _pod(live)["containers"].append(CONTAINER)),
    ("workload", "an init container", _set(_pod, initContainers=[CONTAINER])),
    ("workload", "the node's network", _set(_pod, hostNetwork=True)),
    ("workload", "the node's processes", _set(_pod, hostPID=True)),
    (
        "workload",
        "a volume of the node",
        lambda live: _pod(live)["volumes"].append({"name": "x", "hostPath": {"path": "/"}}),
    ),
    ("workload", "another account", _set(_pod, serviceAccountName="default")),
    ("workload", "a token", _set(_pod, automountServiceAccountToken=True)),
    ("workload", "root", lambda live: _pod(live)["securityContext"].update(runAsUser=0, runAsNonRoot=False)),
    ("workload", "privileged", lambda live: _agent(live).update(securityContext={"privileged": True})),
    (
        "workload",
        "capabilities",
        lambda live: _agent(live)["securityContext"]["capabilities"].update(add=["NET_ADMIN"]),
    ),
    ("workload", "variables from a Secret", lambda live: _agent(live).update(envFrom=[{"secretRef": {"name": "x"}}])),
    ("workload", "a node of its own", _set(_pod, nodeSelector={"zone": "x"})),
    ("workload", "tolerations", _set(_pod, tolerations=[{"operator": "Exists"}])),
    ("workload", "more replicas", _set(_spec, replicas=5)),
    ("workload", "paused", _set(_spec, paused=True)),
    (
        "workload",
        "pods without the label",
        lambda live: live["spec"]["template"]["metadata"]["labels"].update(more="1"),
    ),
    (
        "workload",
        "a restart",
        lambda live: live["spec"]["template"]["metadata"].update(annotations={"restartedAt": "now"}),
    ),
]


@pytest.fixture
def agent(place: Place) -> Iterator[Place]:
    """One that runs on however often its children are edited."""
    policy = place.keep_running()
    place.agent("a", FULL)
    place.wait_applied()
    place.wait_right()
    yield place
    place.server.request("DELETE", policy)


def test_every_edit_is_put_right(agent: Place, controller: Controller) -> None:
    for which, what, edit in EDITS:
        counted = controller.drift(agent.name)
        kind, name = CHILDREN[which]
        for _ in range(5):
            live = agent.get(kind, name.format("a"))
            edit(live)
            if agent.server.request("PUT", agent.path(kind, name.format("a")), json_bytes(live)).code != 409:
                break
        edited = agent.child(which)
        wait_for(f"{which}, {what}: put right", agent.right)
        wait_for(f"{which}, {what}: as written down", partial(as_written_down, agent))
        wait_for(f"{which}, {what}: counted", partial(lambda counted: controller.drift(agent.name) > counted, counted))
        assert edited is not None
    wait_for(
        "an Event",
        lambda: (
            {note for reason, note in agent.events() if reason == "DriftRepaired"}
            >= {
                "NetworkPolicy ringfence-a-deny was edited and is put right",
                "Deployment ringfence-a was edited and is put right",
                "RoleBinding ringfence-a was edited and is put right",
            }
        ),
    )
    controller.counted(len(EDITS), "ringfence_violations_total", rule="ChildEdited", namespace=agent.name)


def test_a_deleted_child_is_back(agent: Place, controller: Controller) -> None:
    for number, (kind, name) in enumerate(CHILDREN.values()):
        before = agent.get(kind, name.format("a"))["metadata"]["uid"]
        assert agent.delete(kind, name.format("a")).ok
        if agent.find(kind, name.format("a")) and kind == "PersistentVolumeClaim":  # kept while a pod names it
            agent.server.request(
                "PATCH",
                agent.path(kind, name.format("a")),
                json_bytes({"metadata": {"uid": before, "finalizers": None}}),
                "application/merge-patch+json",
            )

        def back(kind: str = kind, name: str = name, before: str = before) -> bool:
            assert agent.get(kind, name.format("a"))["metadata"]["uid"] != before
            return agent.right()

        wait_for(f"{kind} {name} is back", back)
        wait_for("counted", partial(lambda number: controller.drift(agent.name) > number, number))
    assert controller.metric("ringfence_violations_total", rule="ChildDeleted", namespace=agent.name) == len(CHILDREN)
    told = [note for reason, note in agent.events() if reason == "DriftRepaired"]
    assert "NetworkPolicy ringfence-a-deny was deleted and is back" in told


@pytest.mark.parametrize(
    ("what", "metadata"),
    [
        ("labels", {"labels": None}),
        ("owners stripped", {"ownerReferences": None}),
        ("marks", {"annotations": None}),
        ("all at once", {"labels": None, "ownerReferences": None, "annotations": None, "finalizers": None}),
    ],
)
def test_stripped_metadata_is_back(agent: Place, controller: Controller, what: str, metadata: dict[str, Any]) -> None:
    for kind, name in CHILDREN.values():
        counted = controller.drift(agent.name)
        agent.merge(kind, name.format("a"), {"metadata": metadata})
        wait_for(f"{kind} {name}: {what}", agent.right)
        wait_for("counted", partial(lambda counted: controller.drift(agent.name) > counted, counted))
    assert controller.drift(agent.name) == len(CHILDREN)


@pytest.mark.parametrize(
    ("what", "forge"),
    [
        ("an owner that is not there", lambda owners: [*owners, _owner("ConfigMap", "x", "v1")]),
        ("an agent that is not there", lambda owners: [_owner("AgentDeployment", "a", "ringfence.dev/v1alpha1")]),
        ("not controlled", lambda owners: [one | {"controller": False} for one in owners]),
        ("a wrong name", lambda owners: [one | {"name": "other"} for one in owners]),
    ],
)
def test_forged_owners_do_not_take_a_child_away(agent: Place, what: str, forge: Callable[[Any], Any]) -> None:
    """The garbage collector deletes what has only owners that do not exist: the child is there all the same."""
    for kind, name in CHILDREN.values():
        live = agent.get(kind, name.format("a"))
        agent.merge(
            kind, name.format("a"), {"metadata": {"ownerReferences": forge(live["metadata"]["ownerReferences"])}}
        )
        wait_for(f"{kind} {name}: {what}", agent.right)
    agent.wait_right()


def test_a_binding_to_another_role_is_made_anew(agent: Place, controller: Controller) -> None:
    """A roleRef cannot be changed. Somebody deletes the binding, and makes one with our name and our owner."""
    live = agent.get("RoleBinding", "ringfence-a")
    forged = {key: live["metadata"][key] for key in ("name", "labels", "annotations", "ownerReferences")}
    group = "rbac.authorization.k8s.io"
    admin = {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"}
    body = {"metadata": forged, "roleRef": admin, "subjects": live["subjects"]}

    def replaced() -> bool:
        agent.delete("RoleBinding", "ringfence-a")
        answer = agent.server.request(
            "POST", agent.path("RoleBinding"), json_bytes({"apiVersion": f"{group}/v1", "kind": "RoleBinding"} | body)
        )
        return answer.ok

    wait_for("a forged binding", replaced, every=0)
    agent.wait_right()
    controller.counted_drift(1, agent.name)


def test_what_others_add_beside_stays(agent: Place) -> None:
    """Labels, annotations and finalizers of others are theirs."""
    for kind, name in CHILDREN.values():
        added = {"labels": {"team": "x"}, "annotations": {"note": "y"}}
        agent.merge(kind, name.format("a"), {"metadata": added})
    agent.delete("NetworkPolicy", "ringfence-a-deny")  # a pass over all of them
    agent.wait_right()
    for kind, name in CHILDREN.values():
        if not name.endswith("deny"):
            metadata = agent.get(kind, name.format("a"))["metadata"]
            assert metadata["labels"]["team"] == "x"
            assert metadata["annotations"]["note"] == "y"


def test_a_forged_status_is_put_right(agent: Place) -> None:
    forged = [{"type": "Ready", "status": "True", "reason": "Ready", "message": "", "observedGeneration": 1,
               "lastTransitionTime": "2020-01-01T00:00:00Z"}]  # fmt: skip
    told = {one["type"] for one in agent.status()["conditions"]}
    agent.merge("AgentDeployment", "a", {"status": {"conditions": forged}}, "/status")
    agent.wait_condition("Ready", "False", "Progressing")
    assert {one["type"] for one in agent.status()["conditions"]} == told


def test_a_restart_writes_nothing_and_accuses_nobody(cluster: Cluster, agent: Place, shared: Shared) -> None:
    agent.agent("b", FULL, resources={"limits": {"memory": "1024Mi"}})
    agent.wait_applied("b")
    agent.wait_right("b")
    wait_for("rest", lambda: all(agent.status(name)["replicas"] == 1 for name in "ab"))
    shared.pause()
    before, record = agent.versions(), Record(cluster)
    controller = shared.resume()
    wait_for("two passes", lambda: controller.metric("ringfence_reconcile_total", result="ok") >= 4)
    assert [(entry["verb"], entry["requestURI"]) for entry in record.writes(agent.name)] == []
    assert agent.versions() == before
    assert controller.drift(agent.name) == 0


def test_edits_while_nobody_looks_are_put_right(agent: Place, shared: Shared) -> None:
    shared.pause()
    agent.merge("NetworkPolicy", "ringfence-a-deny", {"spec": {"egress": [{}]}})
    agent.merge("Role", "ringfence-a", {"metadata": {"labels": None}, "rules": []})
    agent.merge("Deployment", "ringfence-a", {"metadata": {"labels": None}, "spec": {"replicas": 7}})
    agent.delete("NetworkPolicy", "ringfence-a-allow")
    controller = shared.resume()
    agent.wait_right()
    assert controller.counted_drift(4, agent.name) == 4


def _owner(kind: str, name: str, version: str) -> dict[str, Any]:
    uid = "11111111-2222-3333-4444-555555555555"
    return {"apiVersion": version, "kind": kind, "name": name, "uid": uid}
