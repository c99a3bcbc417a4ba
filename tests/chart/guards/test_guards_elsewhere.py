"""What an agent has outside of its namespace: who may write it. The API server decides, while nothing of ours runs."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from api.controller.place import Place
from api.server import Server
from chart.guards.asking import ADMIN, RBAC, Somebody, passed, refused
from chart.rendering import NAMESPACE
from cluster import Cluster
from cluster.shell import wait_for
from ringfence.api.names import CEILING_BINDING, CONSENT_ANNOTATION
from ringfence.resources import build_ceiling

LABELS = {
    "app.kubernetes.io/managed-by": "ringfence",
    "ringfence.dev/agent": "a",
    "ringfence.dev/agent-namespace": "home",
    "ringfence.dev/agent-uid": "u",
    "ringfence.dev/level": "ReadOnly",
}
NAME = "ringfence-a.of.home"
READS = f"{RBAC}/clusterrolebindings/ringfence-agent-reads-nodes"
AGENT = {"kind": "ServiceAccount", "name": "ringfence-a", "namespace": "home"}


def binding(name: str = NAME, **more: Any) -> dict[str, Any]:
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": NAME}
    return {"metadata": {"name": name, "labels": LABELS}, "roleRef": reference, **more}


@pytest.fixture(scope="module")
def target(guarded: Cluster, controller: Server, admin: Somebody) -> Iterator[Place]:
    """A namespace that lets no agents in, with what an agent of another one has in it."""
    found = Place(controller, labels={})
    found.create("Role", {"metadata": {"name": NAME, "labels": LABELS}, "rules": []})
    found.create("RoleBinding", binding(subjects=[AGENT]))
    wait_for("the guards", lambda: not admin.delete(found.path("Role", NAME)).ok)
    yield found
    found.remove()


def test_what_an_agent_has_elsewhere_is_nobodys_to_write(target: Place, admin: Somebody) -> None:
    words = "is made by Ringfence for AgentDeployment a"
    role, bound = target.path("Role", NAME), target.path("RoleBinding", NAME)
    more = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
    for answer in (
        admin.merge(role, {"rules": more}),
        admin.merge(bound, {"subjects": None}),
        admin.merge(role, {"metadata": {"labels": dict.fromkeys(LABELS)}}),
        admin.delete(role),
        admin.delete(bound),
        admin.create(target.path("Role"), {"metadata": {"name": "mine", "labels": LABELS}, "rules": []}),
    ):
        refused(answer, words)
    refused(admin.create(target.path("RoleBinding"), binding("mine", subjects=[AGENT])))


def test_what_is_somebodys_own_there_passes(target: Place, admin: Somebody) -> None:
    account = {"kind": "ServiceAccount", "name": "x", "namespace": target.name}
    mine = {
        "metadata": {"name": "mine", "labels": {"ringfence.dev/agent": "a"}},
        "roleRef": ADMIN,
        "subjects": [account],
    }
    passed(admin.create(target.path("RoleBinding"), mine))
    passed(admin.create(target.path("Role"), {"metadata": {"name": "mine"}, "rules": []}))


def test_the_ceiling_is_bound_only_where_a_namespace_consents(
    target: Place, controller: Server, admin: Somebody
) -> None:
    path = f"{target.path('RoleBinding')}?dryRun=All"
    ceiling = json.dumps(build_ceiling(target.name, (NAMESPACE, "ringfence-controller"))).encode()
    words = "Ringfence holds nothing there that it could give to any"
    refused(controller.request("POST", path, ceiling), words)
    space = f"/api/v1/namespaces/{target.name}"
    try:
        target.merge_at(space, {"metadata": {"annotations": {CONSENT_ANNOTATION: "home=ReadOnly"}}})
        wait_for("it is let", lambda: controller.request("POST", path, ceiling).ok)
    finally:
        target.merge_at(space, {"metadata": {"annotations": {CONSENT_ANNOTATION: None}}})
    assert target.find("RoleBinding", CEILING_BINDING) is None
    answer = admin.server.request("GET", "/api/v1/namespaces/kube-system")
    body = {"metadata": {"annotations": {CONSENT_ANNOTATION: "home=ReadOnly"}}}
    try:
        target.merge_at("/api/v1/namespaces/kube-system", body)
        system = json.dumps(build_ceiling("kube-system", (NAMESPACE, "ringfence-controller"))).encode()
        refused(controller.request("POST", f"{RBAC}/namespaces/kube-system/rolebindings?dryRun=All", system), words)
    finally:
        target.merge_at("/api/v1/namespaces/kube-system", {"metadata": {"annotations": {CONSENT_ANNOTATION: None}}})
    assert answer.ok


@pytest.mark.parametrize(
    "subject",
    [
        {"kind": "User", "name": "system:serviceaccount:home:ringfence-a", "apiGroup": "rbac.authorization.k8s.io"},
        {"kind": "Group", "name": "system:authenticated", "apiGroup": "rbac.authorization.k8s.io"},
        {"kind": "ServiceAccount", "name": "default", "namespace": "home"},
        {"kind": "ServiceAccount", "name": "ringfence-controller", "namespace": NAMESPACE},
    ],
)
def test_the_controller_lists_agents_and_nobody_else(guarded: Cluster, controller: Server, subject: Any) -> None:
    somebody = Somebody(controller)
    passed(somebody.merge(READS, {"subjects": [AGENT]}))
    refused(somebody.merge(READS, {"subjects": [AGENT, subject]}), "Ringfence lists agents in the bindings")
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "ringfence-agent-reads-nodes"}
    refused(somebody.create(f"{RBAC}/clusterrolebindings", {"metadata": {"name": "x"}, "roleRef": reference}))


def test_nobody_else_lists_anybody(guarded: Cluster) -> None:
    """But who may change the guards."""
    server = Server(guarded.server, guarded.user_kubeconfig("an-editor"))
    rules = [{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["*"], "verbs": ["*"]}]
    rules += [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["*"]}]
    name = {"metadata": {"name": "an-editor"}}
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    user = {"kind": "User", "name": "an-editor", "apiGroup": "rbac.authorization.k8s.io"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "an-editor"}
    guarded.apply(
        rbac | {"kind": "ClusterRole", "rules": rules} | name,
        rbac | {"kind": "ClusterRoleBinding", "roleRef": reference, "subjects": [user]} | name,
    )
    try:
        somebody = Somebody(server)
        wait_for("its rights", lambda: server.request("GET", READS).ok)
        wait_for("the guard", lambda: "is a part of Ringfence" in somebody.merge(READS, {"subjects": [user]}).message)
        refused(somebody.merge(READS, {"subjects": [AGENT]}))
        for answer in (
            somebody.delete(READS),
            somebody.merge(READS.replace("bindings/", "s/"), {"rules": rules}),
        ):
            refused(answer, "is a part of Ringfence")
    finally:
        server.close()
        guarded.kubectl("delete", "clusterrole,clusterrolebinding", "an-editor")
