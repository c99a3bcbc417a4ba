"""The guards of what is around an agent: bindings, network policies, Services, its namespace, the lease."""

import json
from typing import Any

import pytest

from api.controller.place import FULL, Place
from api.controller.process import Record
from api.server import Answer, Server
from chart.guards.asking import (
    ADMIN,
    AGENTS_ACCOUNT,
    OPEN,
    OPENED_BEFORE,
    OUT,
    PLUGINS,
    RBAC,
    RBAC_GROUP,
    Somebody,
    of_user,
    passed,
    pod,
    refused,
    selecting,
)
from chart.rendering import NAMESPACE
from cluster import Cluster
from cluster.shell import wait_for
from ringfence.api.names import AGENT_LABEL, AGENTS_LABEL


def test_no_binding_adds_to_an_agents_permissions(place: Place, admin: Somebody) -> None:
    named: list[dict[str, Any]] = [
        AGENTS_ACCOUNT | {"namespace": place.name},
        {"kind": "User", "name": f"system:serviceaccount:{place.name}:ringfence-a", **RBAC_GROUP},
    ]
    for subject in named:
        body = {"metadata": {"name": "b"}, "roleRef": ADMIN, "subjects": [subject]}
        refused(admin.create(place.path("RoleBinding"), body), "spec.permissions of its AgentDeployment")
        refused(admin.create(f"{RBAC}/namespaces/default/rolebindings", body))
        refused(admin.create(f"{RBAC}/clusterrolebindings", body))
    everybody = ["system:serviceaccounts", "system:authenticated", f"system:serviceaccounts:{place.name}"]
    for group in everybody:
        body = {
            "metadata": {"name": "b"},
            "roleRef": ADMIN,
            "subjects": [{"kind": "Group", "name": group, **RBAC_GROUP}],
        }
        refused(admin.create(place.path("RoleBinding"), body), "name those that are meant")
        passed(admin.create(f"{RBAC}/namespaces/default/rolebindings", body))
    good: list[dict[str, Any]] = [
        {"kind": "ServiceAccount", "name": "builder", "namespace": place.name},
        {"kind": "User", "name": "eve", **RBAC_GROUP},
        {"kind": "ServiceAccount", "name": "ringfence-controller", "namespace": NAMESPACE},
    ]
    body = {"metadata": {"name": "b"}, "roleRef": ADMIN, "subjects": good}
    passed(admin.create(place.path("RoleBinding"), body))
    passed(admin.create(f"{RBAC}/clusterrolebindings", body))


ALL_OPEN = [
    selecting(),
    selecting(matchLabels={AGENT_LABEL: "a"}),
    selecting(matchLabels={"app.kubernetes.io/managed-by": "ringfence"}),
    selecting(matchExpressions=[{"key": AGENT_LABEL, "operator": "Exists"}]),
    selecting(matchExpressions=[{"key": "app", "operator": "DoesNotExist"}]),
    selecting(matchExpressions=[{"key": "app", "operator": "NotIn", "values": ["x"]}]),
    selecting(matchExpressions=[{"key": AGENT_LABEL, "operator": "NotIn", "values": ["x"]}]),
]
BESIDE = [
    selecting(matchLabels={"app": "x"}),
    selecting(matchLabels={"app.kubernetes.io/managed-by": "Helm"}),
    selecting(matchExpressions=[OUT]),
    selecting(matchLabels={"app.kubernetes.io/managed-by": "ringfence"}, matchExpressions=[OUT]),
    selecting(matchExpressions=[{"key": "app", "operator": "Exists"}]),
]


def test_no_policy_of_others_lets_an_agent_through(place: Place, admin: Somebody) -> None:
    path, head = place.path("NetworkPolicy"), {"metadata": {"name": "more"}}
    for selector in ALL_OPEN:
        refused(admin.create(path, head | {"spec": selector | OPEN}), "DoesNotExist")
        refused(admin.create(path, head | {"spec": selector | {"ingress": [{}], "policyTypes": ["Ingress"]}}))
        passed(admin.create(path, head | {"spec": selector | {"policyTypes": ["Ingress", "Egress"]}}))
    for selector in BESIDE:
        passed(admin.create(path, head | {"spec": selector | OPEN}))


def test_no_policy_of_a_network_plugin_lets_an_agent_through(plugins: dict[str, str], admin: Somebody) -> None:
    def ask(group: str, **spec: Any) -> Answer:
        kind = "CiliumNetworkPolicy" if group == "cilium.io" else "NetworkPolicy"
        head = {"apiVersion": f"{group}/{PLUGINS[group][0]}", "kind": kind, "metadata": {"name": "p"}}
        return admin.create(plugins[group], head | spec)

    cilium, calico = PLUGINS
    for selector in ({}, {"matchLabels": {"app": "x"}}, {"matchExpressions": [{**OUT, "operator": "Exists"}]}):
        refused(ask(cilium, spec={"endpointSelector": selector, "egress": [{}]}), "endpointSelector.matchExpressions")
    without = {"endpointSelector": {"matchExpressions": [OUT]}}
    passed(ask(cilium, spec=without))
    passed(ask(cilium, specs=[without, without]))
    refused(ask(cilium, specs=[without, {"endpointSelector": {}}]))
    for text in ("", "all()", "app == 'x'", "!has(ringfence.dev/agent) || app == 'x'", "!has(other)"):
        refused(ask(calico, spec={"selector": text, "types": ["Egress"]}), "!has(ringfence.dev/agent)")
    for text in ("!has(ringfence.dev/agent)", "!has(ringfence.dev/agent) && app == 'x'"):
        passed(ask(calico, spec={"selector": text}))


def test_no_service_shows_an_agent_to_the_outside(place: Place, admin: Somebody) -> None:
    port, path = {"ports": [{"port": 80}]}, place.path("Service")
    outside: list[dict[str, Any]] = [{"type": "NodePort"}, {"type": "LoadBalancer"}, {"externalIPs": ["203.0.113.9"]}]
    for way in outside:
        body = {"metadata": {"name": "s"}, "spec": port | way | {"selector": {AGENT_LABEL: "a"}}}
        refused(admin.create(path, body), "network.ingress")
        passed(admin.create(path, body | {"spec": port | way | {"selector": {"app": "x"}}}))
    passed(admin.create(path, {"metadata": {"name": "ringfence-s"}, "spec": port | {"selector": {AGENT_LABEL: "a"}}}))


def test_a_namespace_with_agents_stays_open(place: Place, admin: Somebody, controller: Server) -> None:
    path = f"/api/v1/namespaces/{place.name}"
    for value in (None, "disabled"):
        refused(admin.merge(path, {"metadata": {"labels": {AGENTS_LABEL: value}}}), "delete its agents before")
    passed(admin.merge(path, {"metadata": {"labels": {"team": "x"}}}))
    passed(admin.merge("/api/v1/namespaces/default", {"metadata": {"labels": {"team": "x"}}}))
    empty = Place(controller)
    passed(admin.merge(f"/api/v1/namespaces/{empty.name}", {"metadata": {"labels": {AGENTS_LABEL: None}}}))
    empty.remove()


@pytest.mark.parametrize("name", ["kube-system", "kube-public", NAMESPACE])
def test_no_label_opens_the_clusters_namespaces_or_ringfences(place: Place, admin: Somebody, name: str) -> None:
    path = f"/api/v1/namespaces/{name}"
    opened = {"metadata": {"labels": {AGENTS_LABEL: "enabled"}}}
    for change in (opened, {"metadata": {"labels": {AGENTS_LABEL: "enabled", "team": "x"}, "annotations": {"a": "b"}}}):
        refused(admin.merge(path, change), "ringfence-guard-closed", f"namespace {name} holds the own pods")
    for value in (None, "disabled"):
        passed(admin.merge(path, {"metadata": {"labels": {AGENTS_LABEL: value, "team": "x"}}}))


def test_one_that_carries_the_label_already_is_changed_as_before(place: Place, admin: Somebody) -> None:
    path = f"/api/v1/namespaces/{OPENED_BEFORE}"
    passed(admin.merge(path, {"metadata": {"labels": {"team": "x"}, "annotations": {"a": "b"}}}))
    passed(admin.merge(path, {"metadata": {"labels": {AGENTS_LABEL: None}}}))


def test_all_other_namespaces_are_opened_by_the_label(place: Place, admin: Somebody) -> None:
    opened = {"labels": {AGENTS_LABEL: "enabled"}}
    passed(admin.merge("/api/v1/namespaces/default", {"metadata": opened}))
    passed(admin.create("/api/v1/namespaces", {"metadata": {"name": "kube-system-2"} | opened}))


def test_who_leads_is_between_the_replicas(place: Place, admin: Somebody, controller: Server) -> None:
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
    lease = {"metadata": {"name": "ringfence-controller"}, "spec": {"holderIdentity": "nobody"}}
    refused(admin.create(leases, lease), "which replica")
    passed(Somebody(controller).create(leases, lease))
    passed(admin.create(leases, lease | {"metadata": {"name": "another"}}))
    passed(admin.create(leases, {"metadata": lease["metadata"]}))  # as `helm uninstall` does
    passed(admin.create("/apis/coordination.k8s.io/v1/namespaces/default/leases", lease))


@pytest.mark.parametrize("verb", ["delete", "patch"])
def test_a_refusal_stands_in_the_audit_log(place: Place, admin: Somebody, guarded: Cluster, verb: str) -> None:
    """Who, what, where, by which guard: of deletions, too."""
    record = Record(guarded)
    path = place.path("NetworkPolicy", "ringfence-a-deny")
    refused(admin.delete(path) if verb == "delete" else admin.merge(path, {"metadata": {"labels": {"x": "y"}}}))

    def told() -> dict[str, Any] | None:
        mark = "validation.policy.admission.k8s.io/validation_failure"
        return next((one for one in record.all() if mark in one.get("annotations", {})), None)

    entry = wait_for("the entry", told)
    assert entry is not None
    (failure,) = json.loads(entry["annotations"]["validation.policy.admission.k8s.io/validation_failure"])
    assert failure["policy"].removesuffix(".static.k8s.io") == "ringfence-guard-children"
    assert (entry["user"]["username"], entry["verb"], entry["responseStatus"]["code"]) == (
        "an-administrator",
        verb,
        403,
    )
    assert (
        entry["objectRef"].items()
        >= {
            "resource": "networkpolicies",
            "namespace": place.name,
            "name": "ringfence-a-deny",
        }.items()
    )
    assert entry["auditID"]


def test_elsewhere_nothing_is_guarded(place: Place, admin: Somebody) -> None:
    """But bindings that name an agent."""
    elsewhere = "/api/v1/namespaces/default"
    passed(admin.create(f"{elsewhere}/pods", pod(place, **{AGENT_LABEL: "a"})))
    port = {"ports": [{"port": 80}], "type": "NodePort", "selector": {AGENT_LABEL: "a"}}
    passed(admin.create(f"{elsewhere}/services", {"metadata": {"name": "s"}, "spec": port}))
    policy = {"metadata": {"name": "more"}, "spec": {"podSelector": {}} | OPEN}
    passed(admin.create("/apis/networking.k8s.io/v1/namespaces/default/networkpolicies", policy))


def test_the_end_of_a_namespace_and_of_an_agent_passes(guarded: Cluster, place: Place, controller: Server) -> None:
    """Last: really, and by the cluster's own parts."""
    second = Place(controller)
    second.agent("a", FULL)
    for manifest in second.desired():
        second.create(manifest["kind"], manifest)
    wait_for("its pod", second.pods)
    admin = of_user(guarded, "an-administrator")
    assert admin.request("DELETE", second.path("AgentDeployment", "a")).ok
    # It looks for new kinds every half minute, and tries ever more rarely until then.
    wait_for("the garbage collector", lambda: not (second.items("Deployment") or second.items("Role")), timeout=240)
    assert admin.request("DELETE", f"/api/v1/namespaces/{second.name}").ok
    gone = f"/api/v1/namespaces/{second.name}"
    wait_for("the namespace's end", lambda: admin.request("GET", gone).code == 404)
    admin.close()
