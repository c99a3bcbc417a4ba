"""The guards of what could show an agent to the outside: Services, their addresses, Ingresses, routes, proxies."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from api.controller.place import Place
from api.server import Server
from chart.guards.asking import DIGEST, GATEWAY, ROUTES, TO_AGENT, Somebody, kind_of, passed, refused
from chart.rendering import NAMESPACE
from cluster.shell import wait_for
from ringfence.api.names import AGENT_LABEL

PORT = {"ports": [{"port": 80}]}


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": PORT | spec}


def test_a_service_for_agents_is_told_by_its_name(place: Place, admin: Somebody) -> None:
    path = place.path("Service")
    for selector in (
        {AGENT_LABEL: "a"},
        {"app.kubernetes.io/managed-by": "ringfence"},
        {AGENT_LABEL: "a", "pod-template-hash": "1"},
    ):
        refused(admin.create(path, service("s", selector=selector)), "call it ringfence-to-s")
        passed(admin.create(path, service(TO_AGENT, selector=selector)))
    for selector in ({"app": "x"}, {AGENT_LABEL: "a", "app": "x"}, {"app.kubernetes.io/managed-by": "Helm"}):
        passed(admin.create(path, service("s", selector=selector)))
    passed(admin.create(path, service("s")))


def test_nor_has_it_another_name(place: Place, admin: Somebody) -> None:
    path, there = place.path("Service"), f"{TO_AGENT}.{place.name}.svc.cluster.local"
    refused(admin.create(path, service("s", type="ExternalName", externalName=there)), "another name")
    passed(admin.create(path, service("s", type="ExternalName", externalName="db.example.com")))


def test_the_service_of_an_agent_is_the_controllers(place: Place, admin: Somebody) -> None:
    path = place.path("Service", "ringfence-a")
    refused(admin.merge(path, {"spec": {"externalIPs": ["192.0.2.1"]}}))
    for change in ({"spec": {"selector": {"app": "x"}}}, UNMARKED):
        refused(admin.merge(path, change), "Service ringfence-a is made by Ringfence for AgentDeployment a")
    refused(admin.merge(f"{path}/status", UNMARKED), "change or delete that one")
    refused(admin.delete(path), "change or delete that one")


UNMARKED = {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}}
OWNED = {
    "ownerReferences": [{"apiVersion": "ringfence.dev/v1alpha1", "kind": "AgentDeployment", "name": "a", "uid": "u"}]
}
OF_AN_AGENT: dict[str, Any] = {"selector": {AGENT_LABEL: "z"}}


@pytest.mark.parametrize(
    ("metadata", "spec"),
    [
        (OWNED | {"name": "kubernetes-api"}, {"selector": {"app": "x"}}),
        (OWNED | {"name": "z"}, OF_AN_AGENT),
        ({"name": "ringfence-z"}, OF_AN_AGENT),
        (OWNED | {"name": "ringfence-z"}, {"selector": {"app": "x"}}),
        (OWNED | {"name": "ringfence-z"}, {}),
        (OWNED | {"name": "ringfence-z"}, OF_AN_AGENT | {"externalIPs": ["192.0.2.1"]}),
        (OWNED | {"name": "ringfence-z"}, OF_AN_AGENT | {"type": "LoadBalancer"}),
    ],
    ids=["a name", "a name alone", "no owner", "others", "none", "an address", "a type"],
)
def test_the_controller_makes_services_for_agents_alone(
    place: Place, controller: Server, metadata: dict[str, Any], spec: dict[str, Any]
) -> None:
    """Whoever took it over would lead others' traffic to himself with any other."""
    somebody = Somebody(controller)
    for namespace in (place.name, "default", NAMESPACE):
        body = {"metadata": metadata, "spec": PORT | spec}
        answer = somebody.create(f"/api/v1/namespaces/{namespace}/services", body)
        refused(answer, *(["guard-own-services"] if namespace == "default" else []))  # there no other guard looks
    good = {"metadata": OWNED | {"name": "ringfence-z"}, "spec": PORT | OF_AN_AGENT}
    passed(somebody.create(place.path("Service"), good))
    refused(somebody.create(f"/api/v1/namespaces/{NAMESPACE}/services", good), "guard-own-services")
    passed(somebody.merge(place.path("Service", "ringfence-a"), {"metadata": {"annotations": {"a": "b"}}}))
    for change in ({"spec": {"externalIPs": ["192.0.2.1"]}}, {"spec": {"selector": None}}):
        refused(somebody.merge(place.path("Service", "ringfence-a"), change))
    refused(somebody.delete("/api/v1/namespaces/default/services/kubernetes"), "guard-own-services")


def test_the_controller_changes_one_annotation_of_gateways_pods(place: Place, controller: Server) -> None:
    """So that a gateway takes up at once what changed; whoever took the controller over runs nothing else by it."""
    ours = {"app.kubernetes.io/managed-by": "ringfence"}
    labels = ours | {AGENT_LABEL: "a.gateway"}
    container = {"name": "c", "image": DIGEST}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    metadata = {"name": "ringfence--a-gateway", "labels": ours | {AGENT_LABEL: "a"}}
    body = {"metadata": metadata, "spec": {"selector": {"matchLabels": labels}, "template": template}}
    place.create("Deployment", body)

    def pods(agent: str) -> list[dict[str, Any]]:
        found = place.items("Pod")
        return [pod for pod in found if pod["metadata"].get("labels", {}).get(AGENT_LABEL) == agent]

    (gateway, *_) = wait_for("its pod", lambda: pods("a.gateway"))
    (of_agent, *_) = pods("a")
    somebody, mark = Somebody(controller), {"metadata": {"annotations": {"ringfence.dev/gateway-config": "1"}}}
    path = place.path("Pod", gateway["metadata"]["name"])
    passed(somebody.merge(path, mark))
    refused(somebody.merge(place.path("Pod", of_agent["metadata"]["name"]), mark), "guard-own-pod-updates")
    for change in (
        {"metadata": {"annotations": {"x": "y"}}},
        {"metadata": {"annotations": {"ringfence.dev/gateway-config": "1", "x": "y"}}},
        {"metadata": {"labels": {"x": "y"}}},
        {"metadata": {"ownerReferences": None}},
        {"metadata": {"finalizers": ["x.example/y"]}},
        {"spec": {"activeDeadlineSeconds": 1}},
    ):
        refused(somebody.merge(path, change))


def ingress(*names: str, default: str | None = None) -> dict[str, Any]:
    paths = [{"path": "/", "pathType": "Prefix", "backend": _backend(name)} for name in names]
    spec: dict[str, Any] = {"rules": [{"host": "x.example", "http": {"paths": paths}}]} if names else {}
    return {"metadata": {"name": "i"}, "spec": spec | ({"defaultBackend": _backend(default)} if default else {})}


def _backend(name: str) -> dict[str, Any]:
    return {"service": {"name": name, "port": {"number": 80}}}


def test_no_ingress_leads_to_an_agent(place: Place, admin: Somebody) -> None:
    path = f"/apis/networking.k8s.io/v1/namespaces/{place.name}/ingresses"
    for body in (
        ingress(TO_AGENT),
        ingress("other", TO_AGENT),
        ingress(default=TO_AGENT),
        ingress("x", default=TO_AGENT),
    ):
        refused(admin.create(path, body), "network.ingress")
    for body in (ingress("other"), ingress(default="other"), ingress("other", "more", default="other")):
        passed(admin.create(path, body))
    rules = {"metadata": {"name": "i"}, "spec": {"rules": [{"host": "x.example"}], "defaultBackend": _backend("o")}}
    passed(admin.create(path, rules))


def test_what_the_api_server_names_is_told_by_that_name(place: Place, admin: Somebody, gateway: str) -> None:
    """By generateName: the API server has made the name when it asks a guard, and request.name is that name."""
    networking = f"/apis/networking.k8s.io/v1/namespaces/{place.name}"
    others = service("", selector={"app": "x"}) | {"metadata": {"generateName": "made-"}}
    endpoint = {"addresses": ["192.0.2.1"], "targetRef": {"kind": "Pod", "name": "ringfence-a-x"}}
    slices = f"/apis/discovery.k8s.io/v1/namespaces/{place.name}/endpointslices"
    bodies: list[tuple[str, str, dict[str, Any]]] = [
        ("Service", place.path("Service"), service("", selector={AGENT_LABEL: "a"})),
        ("Service", place.path("Service"), service("", selector={AGENT_LABEL: "a"}, type="NodePort")),
        ("Ingress", f"{networking}/ingresses", ingress(TO_AGENT)),
        ("NetworkPolicy", f"{networking}/networkpolicies", {"spec": {"podSelector": {}, "egress": [{}]}}),
        ("HTTPRoute", f"{gateway}/httproutes", _object("httproutes", rules=LEADING["alone"])),
        ("EndpointSlice", slices, {"addressType": "IPv4", "endpoints": [endpoint], "ports": [{"port": 80}]}),
    ]
    for kind, path, body in bodies:
        answer = admin.create(path, body | {"metadata": {"generateName": "made-"}})
        refused(answer)
        assert f"{kind} made-" in answer.message, answer.message
        assert "failed expression" not in answer.message
    passed(admin.create(place.path("Service"), others))


def _object(plural: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": f"{GATEWAY}/v1", "kind": kind_of(plural), "metadata": {"name": "r"}, "spec": spec}


AWAY = {"name": "other", "port": 80}
AT_AGENT = {"name": TO_AGENT, "port": 80}
MIRROR = {"type": "RequestMirror", "requestMirror": {"backendRef": AT_AGENT}}
LEADING: dict[str, list[dict[str, Any]]] = {
    "alone": [{"backendRefs": [AT_AGENT]}],
    "second": [{"backendRefs": [AWAY]}, {"backendRefs": [AWAY, AT_AGENT]}],
    "mirrored": [{"backendRefs": [AWAY], "filters": [MIRROR]}],
    "mirrored by one backend": [{"backendRefs": [AWAY | {"filters": [MIRROR]}]}],
}


@pytest.mark.parametrize("plural", ROUTES[:-1])
@pytest.mark.parametrize("how", LEADING)
def test_no_route_leads_to_an_agent(gateway: str, admin: Somebody, plural: str, how: str) -> None:
    refused(admin.create(f"{gateway}/{plural}", _object(plural, rules=LEADING[how])), "network.ingress")
    elsewhere = {"type": "RequestMirror", "requestMirror": {"backendRef": AWAY}}
    header = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x"]}}
    rules = [{"backendRefs": [AWAY | {"filters": [header]}], "filters": [elsewhere]}, {"filters": [header]}]
    passed(admin.create(f"{gateway}/{plural}", _object(plural, rules=rules)))
    passed(admin.create(f"{gateway}/{plural}", _object(plural)))


def test_no_route_of_another_namespace_does(gateway: str, admin: Somebody) -> None:
    path, given = f"{gateway}/referencegrants", [{"group": GATEWAY, "kind": "HTTPRoute", "namespace": "edge"}]
    for to in ({}, {"name": ""}, {"name": TO_AGENT}):
        entries = [{"group": "", "kind": "Secret"}, {"group": "", "kind": "Service"} | to]
        refused(admin.create(path, _object("referencegrants", **{"from": given, "to": entries})), "ringfence-...")
    for entry in ({"kind": "Service", "name": "other"}, {"kind": "Secret"}):
        passed(admin.create(path, _object("referencegrants", **{"from": given, "to": [{"group": ""} | entry]})))


def _slice(of: str | None = None, pod: str | None = None) -> dict[str, Any]:
    labels = {"labels": {"kubernetes.io/service-name": of}} if of else {}
    target = {"targetRef": {"kind": "Pod", "name": pod}} if pod else {}
    endpoints = [{"addresses": ["10.9.8.7"]}, {"addresses": ["10.9.8.6"]} | target]
    return {"metadata": {"name": "e"} | labels, "addressType": "IPv4", "endpoints": endpoints}


def test_nobody_writes_where_a_service_for_agents_leads(place: Place, admin: Somebody, kept_by_kubernetes: str) -> None:
    path, pod = f"/apis/discovery.k8s.io/v1/namespaces/{place.name}/endpointslices", place.pods()[0]["metadata"]["name"]
    refused(admin.create(path, _slice(pod=pod)), "pod of an agent")
    refused(admin.create(path, _slice(of=TO_AGENT)), "from its selector")
    for body in (_slice(), _slice(of="other"), _slice("other", "other-1"), _slice() | {"endpoints": []}):
        passed(admin.create(path, body))
    found = f"{path}/{kept_by_kubernetes}"
    refused(admin.merge(found, {"metadata": {"labels": {"kubernetes.io/service-name": "x"}}}), "selector")
    passed(admin.delete(found))


@pytest.fixture
def kept_by_kubernetes(place: Place, admin: Somebody) -> Iterator[str]:
    """The EndpointSlice that Kubernetes itself writes for a Service for agents, which is really made."""
    path = f"/apis/discovery.k8s.io/v1/namespaces/{place.name}/endpointslices"
    body = json.dumps(service(TO_AGENT, selector={AGENT_LABEL: "a"})).encode()
    assert admin.server.request("POST", place.path("Service"), body).ok

    def look() -> list[str]:
        items = place.server.request("GET", f"{path}?labelSelector=kubernetes.io/service-name%3D{TO_AGENT}").body[
            "items"
        ]
        return [one["metadata"]["name"] for one in items]

    try:
        (found,) = wait_for("its addresses", look) or []
        yield found
    finally:
        admin.server.request("DELETE", place.path("Service", TO_AGENT))
        wait_for("their end", lambda: not look())


def test_nor_in_the_older_kind(place: Place, admin: Somebody) -> None:
    path, pod = f"/api/v1/namespaces/{place.name}/endpoints", place.pods()[0]["metadata"]["name"]

    def to(name: str | None, which: str = "addresses") -> list[dict[str, Any]]:
        target = {"targetRef": {"kind": "Pod", "name": name}} if name else {}
        return [{which: [{"ip": "10.9.8.7"} | target], "ports": [{"port": 80}]}]

    for which in ("addresses", "notReadyAddresses"):
        refused(admin.create(path, {"metadata": {"name": "e"}, "subsets": to(pod, which)}), "pod of an agent")
        passed(admin.create(path, {"metadata": {"name": "e"}, "subsets": to("other-1", which)}))
    refused(admin.create(path, {"metadata": {"name": "ringfence-to-b"}, "subsets": to(None)}), "from its selector")
    passed(admin.create(path, {"metadata": {"name": "e"}}))


def test_no_proxy_leads_to_an_agent(place: Place, admin: Somebody) -> None:
    name, base = place.pods()[0]["metadata"]["name"], f"/api/v1/namespaces/{place.name}"
    pods = [
        f"pods/{way}/proxy/" for way in (name, f"{name}:80", f"http:{name}:80", f"https:{name}:8443", f"https:{name}:")
    ]
    services = [
        f"services/{way}/proxy/"
        for way in (TO_AGENT, f"{TO_AGENT}:80", f"https:{TO_AGENT}:8443", f"HTTPS:{TO_AGENT}:1")
    ]
    for way in (*pods, *services):
        for method in ("GET", "POST"):
            refused(admin.server.request(method, f"{base}/{way}"), "is for the groups that")
    for way in ("services/other/proxy/", "services/https:other:443/proxy/", "pods/http:other:80/proxy/"):
        assert "guard" not in admin.server.request("GET", f"{base}/{way}").message


def test_nor_does_a_kubelet(place: Place, admin: Somebody) -> None:
    name, base = place.pods()[0]["metadata"]["name"], "/api/v1/nodes/some-node/proxy"
    ways = [f"{verb}/{place.name}/{name}/agent?cmd=id" for verb in ("exec", "run", "attach", "portForward")]
    for way in (*ways, f"exec/{place.name}/{name}/uid/agent", f"/exec/{place.name}/%72{name[1:]}/agent"):
        for method in ("GET", "POST"):
            refused(admin.server.request(method, f"{base}/{way}"), "by way of its node")
    for way in ("metrics", f"containerLogs/{place.name}/{name}/agent", f"exec/{place.name}/other/c", "pods"):
        assert "guard" not in admin.server.request("GET", f"{base}/{way}").message
