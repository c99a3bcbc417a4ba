"""The chart with its guards, an agent, and people beside it; nothing of Ringfence runs."""

import json
from collections.abc import Iterator

import pytest

from api.controller.place import FULL, Place
from api.server import Server
from chart.guards.asking import (
    APPS,
    CERTIFICATE,
    CONTROLLER,
    DIGEST,
    GATEWAY,
    HERE,
    OPENED_BEFORE,
    PLUGINS,
    ROUTES,
    Kept,
    Somebody,
    kind_of,
    of_user,
    passed,
)
from chart.installing import installed
from chart.rendering import NAMESPACE
from cluster import Cluster
from cluster.shell import wait_for
from ringfence.api.names import AGENT_LABEL, AGENTS_LABEL
from ringfence.resources import build_ceiling

ROTATED = {
    "name": "k",
    "source": {"generate": {"length": 40}},
    "rotation": {"every": "720h", "overlap": "1h"},
    "delivery": {"env": {"name": "KEY"}},
}


@pytest.fixture(scope="session")
def guards_alone(cluster: Cluster) -> Iterator[Cluster]:
    """The chart without its webhook, where nothing answers. Installed once: a file leaves it as it found it."""
    label = ("label", "namespace", OPENED_BEFORE, f"{AGENTS_LABEL}=enabled")
    wait_for("the end of an earlier file's guards", lambda: cluster.kubectl(*label))
    with installed(cluster, "--set", "floor.enabled=false"):
        cluster.kubectl("delete", "validatingwebhookconfiguration", "ringfence")
        yield cluster
    cluster.kubectl("label", "namespace", OPENED_BEFORE, f"{AGENTS_LABEL}-")


@pytest.fixture(scope="module")
def guarded(guards_alone: Cluster) -> Cluster:
    """The guards at work. test_static_floor.py has its own."""
    return guards_alone


@pytest.fixture(scope="module")
def admin(guarded: Cluster) -> Iterator[Somebody]:
    """A cluster administrator: no guard makes an exception for one."""
    server = of_user(guarded, "an-administrator")
    yield Somebody(server)
    server.close()


@pytest.fixture(scope="module")
def controller(guarded: Cluster) -> Iterator[Server]:
    server = of_user(guarded, CONTROLLER)
    yield server
    server.close()


@pytest.fixture(scope="module")
def place(guarded: Cluster, controller: Server, admin: Somebody) -> Iterator[Place]:
    """An agent with everything that one has, its pod, and a stranger's workload beside it; the guards at work."""
    found = Place(controller)
    found.agent("a", FULL, secrets=[ROTATED], files=[{"path": "/etc/agent/a", "content": "a"}])
    for manifest in found.desired():
        found.create(manifest["kind"], manifest)
    groups = ["CN=sre,OU=x", "on-call"]
    found.create("RoleBinding", build_ceiling(found.name, (NAMESPACE, "ringfence-controller"), groups))
    labels = {"app.kubernetes.io/managed-by": "ringfence", AGENT_LABEL: "a"}
    found.create("Secret", {"metadata": {"name": "ringfence-a.0", "labels": labels}})
    template = {
        "metadata": {"labels": {"app": "other"}},
        "spec": {"containers": [{"name": "c", "image": DIGEST}]},
    }
    other = {
        "metadata": {"name": "other"},
        "spec": {"selector": {"matchLabels": {"app": "other"}}, "template": template},
    }
    answer = admin.server.request("POST", f"{APPS}/namespaces/{found.name}/deployments", json.dumps(other).encode())
    assert answer.ok, answer
    wait_for("its pod", found.pods)
    wait_for("the other's pod", lambda: len(found.items("Pod")) >= 2)
    deny = f"/apis/networking.k8s.io/v1/namespaces/{found.name}/networkpolicies/ringfence-a-deny"
    wait_for("the guards", lambda: not admin.delete(deny).ok)
    exec_ = f"/api/v1/namespaces/{found.name}/pods/ringfence-x/exec?command=id"
    wait_for("the guards of connections", lambda: "for the groups" in admin.server.request("GET", exec_).message)
    yield found
    found.remove()


@pytest.fixture
def plugins(guarded: Cluster, place: Place, admin: Somebody) -> Iterator[dict[str, str]]:
    """The kinds of network plugins, as far as a guard looks at them: group -> path of a collection."""
    names, found = [], {}
    for group, (version, plural) in PLUGINS.items():
        schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        served = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
        kind = "CiliumNetworkPolicy" if group == "cilium.io" else "NetworkPolicy"
        spec = {"group": group, "scope": "Namespaced", "names": {"plural": plural, "kind": kind}, "versions": [served]}
        names.append(f"{plural}.{group}")
        crd = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
        guarded.apply(crd | {"metadata": {"name": names[-1]}, "spec": spec})
        found[group] = path = f"/apis/{group}/{version}/namespaces/{place.name}/{plural}"
        wait_for(kind, lambda path=path: admin.server.request("GET", path).ok)  # type: ignore[misc]
    yield found
    guarded.kubectl("delete", "crd", *names)


@pytest.fixture(scope="module")
def strong(guarded: Cluster, place: Place) -> Iterator[Somebody]:
    """May do everything with everything but the guards themselves."""
    groups = ["", "apps", "autoscaling", "batch", "policy", "networking.k8s.io", "rbac.authorization.k8s.io"]
    groups.append("apiextensions.k8s.io")
    webhooks = {
        "apiGroups": ["admissionregistration.k8s.io"],
        "resources": ["validatingwebhookconfigurations"],
        "verbs": ["*"],
    }
    seen = {"apiGroups": webhooks["apiGroups"], "resources": ["*"], "verbs": ["get", "list"]}
    rules = [{"apiGroups": groups, "resources": ["*"], "verbs": ["*"]}, webhooks, seen]
    subject = {"kind": "User", "name": "strong", "apiGroup": "rbac.authorization.k8s.io"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "strong"}
    head = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "strong"}}
    guarded.apply(
        head | {"kind": "ClusterRole", "rules": rules},
        head | {"kind": "ClusterRoleBinding", "roleRef": role, "subjects": [subject]},
    )
    server = Server(guarded.server, guarded.user_kubeconfig("strong"))
    found = Somebody(server)
    wait_for(
        "the guard",
        lambda: (
            "ringfence-guard-own"
            in found.delete(f"{APPS}/namespaces/{NAMESPACE}/deployments/ringfence-controller").message
        ),
    )
    yield found
    server.close()
    guarded.kubectl("delete", "clusterrole,clusterrolebinding", "strong")


@pytest.fixture(scope="module")
def certificate(controller: Server) -> Iterator[str]:
    """As the controller makes it, whom the guard lets."""
    made = {"metadata": {"name": "ringfence-admission-tls"}, "stringData": {"tls.key": "x"}}
    passed(controller.request("POST", f"{HERE}/secrets", json.dumps(made).encode()))
    yield CERTIFICATE
    passed(controller.request("DELETE", CERTIFICATE))


@pytest.fixture(scope="module")
def gateway(guarded: Cluster, place: Place, admin: Somebody) -> Iterator[str]:
    """The kinds of the Gateway API, as far as a guard looks at them: the path of their collections."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    crd = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    for plural in ROUTES:
        # The API server asks for leave by somebody of the project for names under k8s.io.
        head = {"name": f"{plural}.{GATEWAY}", "annotations": {"api-approved.kubernetes.io": "unapproved, a test"}}
        names = {"plural": plural, "kind": kind_of(plural)}
        spec = {"group": GATEWAY, "scope": "Namespaced", "names": names, "versions": [version]}
        guarded.apply(crd | {"metadata": head, "spec": spec})
    path = f"/apis/{GATEWAY}/v1/namespaces/{place.name}"
    for plural in ROUTES:
        wait_for(plural, lambda plural=plural: admin.server.request("GET", f"{path}/{plural}").ok)  # type: ignore[misc]
    yield path
    guarded.kubectl("delete", "crd", *(f"{plural}.{GATEWAY}" for plural in ROUTES))


@pytest.fixture
def kept(admin: Somebody) -> Iterator[Kept]:
    found = Kept(admin)
    yield found
    for path in found.made:
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}
        admin.server.request("DELETE", path, json.dumps(options).encode())
        wait_for("its end", lambda path=path: admin.server.request("GET", path).code == 404)  # type: ignore[misc]
