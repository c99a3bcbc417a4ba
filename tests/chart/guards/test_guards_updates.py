"""What must not be made does not become so either: each guard asked about a change of what was made well."""

from typing import Any

import pytest

from api.controller.place import IMAGE, Place
from api.server import Server
from chart.guards.asking import (
    AGENTS_ACCOUNT,
    GATEWAY,
    OPEN,
    PLUGINS,
    RBAC,
    RBAC_GROUP,
    ROUTES,
    TO_AGENT,
    WORKLOADS,
    Kept,
    Somebody,
    kind_of,
    passed,
    refused,
    selecting,
    template,
    workload,
)
from chart.guards.test_guards_exposure import ingress, service
from chart.rendering import NAMESPACE
from cluster.shell import wait_for
from ringfence.api.names import AGENT_LABEL, AGENTS_LABEL, MANAGED_BY, MANAGED_BY_LABEL

MARKS = {MANAGED_BY_LABEL: MANAGED_BY, AGENT_LABEL: "a"}
LABELLED = {"metadata": {"labels": {AGENT_LABEL: "a"}}}


CHILDREN: dict[str, dict[str, Any]] = {
    "NetworkPolicy": {"spec": {"podSelector": {"matchLabels": {"app": "x"}}}},
    "Role": {"rules": []},
    "RoleBinding": {"roleRef": {**RBAC_GROUP, "kind": "Role", "name": "x"}, "subjects": []},
    "ServiceAccount": {},
    "Secret": {"stringData": {"a": "b"}},
    "Service": {"spec": {"selector": {"app": "x"}, "ports": [{"port": 80}]}},
    "Deployment": {"spec": workload("Deployment", template())["spec"]},
    "CronJob": {"spec": workload("CronJob", template())["spec"]},
}


@pytest.mark.parametrize("kind", CHILDREN)
def test_nothing_is_made_that_looks_like_a_child_or_becomes_one(
    place: Place, admin: Somebody, kept: Kept, kind: str
) -> None:
    path, body = place.path(kind), {"metadata": {"name": "mine"}} | CHILDREN[kind]
    refused(admin.create(path, body | {"metadata": {"name": "mine", "labels": MARKS}}), "Nobody else writes it")
    refused(admin.merge(kept.make(path, body), {"metadata": {"labels": MARKS}}), "Nobody else writes it")


ALL_WORKLOADS = WORKLOADS | {"PodTemplate": "/api/v1/namespaces/{}/podtemplates"}


def made(kind: str, of: dict[str, Any]) -> dict[str, Any]:
    if kind == "PodTemplate":
        return {"metadata": {"name": "z"}, "template": of}
    body = workload(kind, of)
    body["spec"] |= {"Job": {"suspend": True}, "Deployment": {"replicas": 0}}.get(kind, {})
    return body


@pytest.mark.parametrize("kind", ALL_WORKLOADS)
def test_what_makes_pods_does_not_turn_to_an_agents(place: Place, admin: Somebody, kept: Kept, kind: str) -> None:
    path = ALL_WORKLOADS[kind].format(place.name)
    refused(admin.create(path, made(kind, template(f"{AGENT_LABEL}=a"))), "write an AgentDeployment")
    match kind:
        case "PodTemplate":
            change: dict[str, Any] = {"template": LABELLED}
        case "CronJob":
            change = {"spec": {"jobTemplate": {"spec": {"template": LABELLED}}}}
        case _:
            change = {"spec": {"template": LABELLED}}
    one = kept.make(path, made(kind, template()))
    refused(admin.merge(one, change), "write an AgentDeployment")
    passed(admin.merge(one, {"metadata": {"labels": {"team": "x"}}}))


EVE = {"kind": "User", "name": "eve", **RBAC_GROUP}
VIEW = {**RBAC_GROUP, "kind": "ClusterRole", "name": "view"}


def test_a_binding_does_not_come_to_name_an_agent(place: Place, admin: Somebody, kept: Kept) -> None:
    agents = {"subjects": [AGENTS_ACCOUNT | {"namespace": place.name}]}
    all_of_it = {"subjects": [{"kind": "Group", "name": "system:serviceaccounts", **RBAC_GROUP}]}
    body = {"metadata": {"name": "mine"}, "roleRef": VIEW, "subjects": [EVE]}
    for path in (place.path("RoleBinding"), f"{RBAC}/clusterrolebindings"):
        refused(admin.merge(kept.make(path, body), agents), "spec.permissions of its AgentDeployment")
    refused(admin.merge(f"{place.path('RoleBinding')}/mine", all_of_it), "name those that are meant")


def test_a_policy_does_not_come_to_select_an_agent(place: Place, admin: Somebody, kept: Kept) -> None:
    body = {"metadata": {"name": "mine"}, "spec": selecting(matchLabels={"app": "x"}) | OPEN}
    path = kept.make(place.path("NetworkPolicy"), body)
    refused(admin.merge(path, {"spec": {"podSelector": {"matchLabels": None}}}), "DoesNotExist")


def test_nor_does_one_of_a_network_plugin(plugins: dict[str, str], admin: Somebody, kept: Kept) -> None:
    cilium, calico = PLUGINS
    out = {"matchExpressions": [{"key": AGENT_LABEL, "operator": "DoesNotExist"}]}
    good = {cilium: {"endpointSelector": out}, calico: {"selector": "!has(ringfence.dev/agent)"}}
    bad = {cilium: {"endpointSelector": None}, calico: {"selector": "all()"}}
    for group, path in plugins.items():
        kind = "CiliumNetworkPolicy" if group == cilium else "NetworkPolicy"
        head = {"apiVersion": f"{group}/{PLUGINS[group][0]}", "kind": kind, "metadata": {"name": "mine"}}
        one = kept.make(path, head | {"spec": good[group]})
        refused(admin.merge(one, {"spec": bad[group]}), "ringfence.dev/agent")


def test_a_service_does_not_turn_to_an_agent(place: Place, admin: Somebody, kept: Kept) -> None:
    one = kept.make(place.path("Service"), service("mine", selector={"app": "x"}))
    refused(admin.merge(one, {"spec": {"selector": {"app": None, AGENT_LABEL: "a"}}}), "ringfence-to-mine")
    there = f"{TO_AGENT}.{place.name}.svc.cluster.local"
    refused(admin.merge(one, {"spec": {"type": "ExternalName", "externalName": there}}), "another name")


def test_nor_do_its_addresses(place: Place, admin: Somebody, kept: Kept) -> None:
    target = {"targetRef": {"kind": "Pod", "name": place.pods()[0]["metadata"]["name"]}}
    one = kept.make(f"/api/v1/namespaces/{place.name}/endpoints", {"metadata": {"name": "mine"}})
    subsets = [{"addresses": [{"ip": "10.9.8.7"} | target], "ports": [{"port": 80}]}]
    refused(admin.merge(one, {"subsets": subsets}), "pod of an agent")
    slices = f"/apis/discovery.k8s.io/v1/namespaces/{place.name}/endpointslices"
    one = kept.make(slices, {"metadata": {"name": "mine"}, "addressType": "IPv4", "endpoints": []})
    refused(admin.merge(one, {"endpoints": [{"addresses": ["10.9.8.7"]} | target]}), "pod of an agent")


def test_nor_does_an_ingress(place: Place, admin: Somebody, kept: Kept) -> None:
    path = f"/apis/networking.k8s.io/v1/namespaces/{place.name}/ingresses"
    one = kept.make(path, ingress(default="other") | {"metadata": {"name": "mine"}})
    refused(admin.merge(one, {"spec": ingress(default=TO_AGENT)["spec"]}), "network.ingress")


@pytest.mark.parametrize("plural", ROUTES)
def test_nor_does_a_route(gateway: str, admin: Somebody, kept: Kept, plural: str) -> None:
    head = {"apiVersion": f"{GATEWAY}/v1", "kind": kind_of(plural), "metadata": {"name": "mine"}}
    one = kept.make(f"{gateway}/{plural}", head | {"spec": {}})
    changes: dict[str, Any] = {"rules": [{"backendRefs": [{"name": TO_AGENT, "port": 80}]}]}
    if plural == "referencegrants":
        changes = {"to": [{"group": "", "kind": "Service", "name": TO_AGENT}]}
    refused(admin.merge(one, {"spec": changes}), "ringfence-..." if "to" in changes else "network.ingress")


def test_a_token_does_not_become_an_agents(place: Place, admin: Somebody, kept: Kept) -> None:
    account = "kubernetes.io/service-account.name"
    head = {"name": "mine", "annotations": {account: "default"}}
    wait_for("its account", lambda: place.find("ServiceAccount", "default"))
    body = {"metadata": head, "type": "kubernetes.io/service-account-token"}
    one = kept.make(place.path("Secret"), body)
    refused(admin.merge(one, {"metadata": {"annotations": {account: "ringfence-a"}}}), "would never end")


def test_an_agent_does_not_begin_with_the_finalizer_either(place: Place, admin: Somebody) -> None:
    body: dict[str, Any] = {"apiVersion": "ringfence.dev/v1alpha1", "kind": "AgentDeployment", "spec": {"image": IMAGE}}
    metadata = {"name": "b", "finalizers": ["orphan"]}
    refused(admin.create(place.path("AgentDeployment"), body | {"metadata": metadata}), "finalizer orphan")
    passed(admin.create(place.path("AgentDeployment"), body | {"metadata": {"name": "b"}}))


def test_a_lease_does_not_change_hands(place: Place, admin: Somebody, controller: Server, kept: Kept) -> None:
    """The replicas' own, as one of them wrote it."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
    lease = {"metadata": {"name": "ringfence-controller"}, "spec": {"holderIdentity": "one"}}
    one = Kept(Somebody(controller), kept.made).make(path, lease)
    refused(admin.merge(one, {"spec": {"holderIdentity": "nobody"}}), "which replica")
    passed(admin.merge(one, {"metadata": {"labels": {"team": "x"}}}))


def test_a_namespace_on_its_way_out_may_be_closed(controller: Server, admin: Somebody) -> None:
    """Nothing of an agent keeps a namespace from ending."""
    found = Place(controller)
    path, close = f"/api/v1/namespaces/{found.name}", {"metadata": {"labels": {AGENTS_LABEL: None}}}
    agent = found.agent("a")
    held = found.path("AgentDeployment", agent["metadata"]["name"])
    found.merge_at(held, {"metadata": {"finalizers": ["example.com/hold"]}})
    wait_for("the guard", lambda: "delete its agents before" in admin.merge(path, close).message)
    assert admin.server.request("DELETE", path).ok
    passed(admin.merge(path, close))
    found.merge_at(held, {"metadata": {"finalizers": None}})
    wait_for("the namespace's end", lambda: admin.server.request("GET", path).code == 404)


def test_the_number_of_pods_is_set_by_the_controller(place: Place, controller: Server) -> None:
    path = next(
        place.path("Deployment", one["metadata"]["name"]) for one in place.desired() if one["kind"] == "Deployment"
    )
    passed(Somebody(controller).merge(f"{path}/scale", {"spec": {"replicas": 2}}))


def test_replicasets_of_others_are_theirs(place: Place, admin: Somebody) -> None:
    def of_others() -> list[str]:
        found = [one["metadata"] for one in place.items("ReplicaSet")]
        return [one["name"] for one in found if AGENT_LABEL not in one["labels"]]

    path = place.path("ReplicaSet", (wait_for("a ReplicaSet", of_others) or [""])[0])
    passed(admin.merge(path, {"metadata": {"labels": {"team": "x"}}}))
    passed(admin.delete(path))


def test_no_closed_namespace_is_made_open(place: Place, admin: Somebody) -> None:
    """It is there, as on every cluster; the guard is asked before that is noticed."""
    body = {"metadata": {"name": "kube-node-lease", "labels": {AGENTS_LABEL: "enabled"}}}
    refused(admin.create("/api/v1/namespaces", body), "ringfence-guard-closed")
    assert "guard" not in admin.create("/api/v1/namespaces", {"metadata": {"name": "kube-node-lease"}}).message
