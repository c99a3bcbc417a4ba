"""The guards: who may do what beside an agent. The API server decides it, while nothing of Ringfence runs."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from api.controller.place import FULL, Place
from api.controller.process import Record
from api.server import Answer, Server
from chart.rendering import CHART, IMAGE, NAMESPACE
from cluster import Cluster
from cluster.shell import run, wait_for
from ringfence.api.names import AGENT_LABEL, AGENTS_LABEL
from ringfence.resources import build_ceiling

CONTROLLER = f"system:serviceaccount:{NAMESPACE}:ringfence-controller"
RBAC, APPS, BATCH = "/apis/rbac.authorization.k8s.io/v1", "/apis/apps/v1", "/apis/batch/v1"
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
ADMIN = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"}
DIGEST = f"registry.example/x@sha256:{'0' * 64}"
OPENED_BEFORE = "kube-node-lease"
"""Of the cluster's own namespaces, the one that carried the label before the guards came."""
MERGE = "application/merge-patch+json"
ROTATED = {
    "name": "k",
    "source": {"generate": {"length": 40}},
    "rotation": {"every": "720h", "overlap": "1h"},
    "delivery": {"env": {"name": "KEY"}},
}


@dataclass(frozen=True)
class Somebody:
    """Asks without anything being stored (dry run)."""

    server: Server

    def ask(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Answer:
        data = json.dumps(body).encode() if body is not None else b""
        return self.server.request(method, f"{path}{'&' if '?' in path else '?'}dryRun=All", data, kind)

    def create(self, path: str, body: Any) -> Answer:
        return self.ask("POST", path, body)

    def merge(self, path: str, body: Any) -> Answer:
        return self.ask("PATCH", path, body, MERGE)

    def delete(self, path: str, **options: Any) -> Answer:
        given = {"kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"]}  # in a body, or it is not seen
        return self.ask("DELETE", path, given | options)


@pytest.fixture(scope="module")
def guarded(cluster: Cluster) -> Iterator[Cluster]:
    """The chart without its webhook, where nothing answers: the guards alone."""
    label = ("label", "namespace", OPENED_BEFORE, f"{AGENTS_LABEL}=enabled")
    wait_for("the end of an earlier file's guards", lambda: cluster.kubectl(*label))
    run(
        ["helm", "-n", NAMESPACE, "install", "ringfence", str(CHART), *IMAGE, "--set", "floor.enabled=false"],
        env=cluster.env,
    )
    cluster.kubectl("delete", "validatingwebhookconfiguration", "ringfence")
    yield cluster
    run(["helm", "-n", NAMESPACE, "uninstall", "ringfence"], env=cluster.env)
    cluster.kubectl("label", "namespace", OPENED_BEFORE, f"{AGENTS_LABEL}-")


def of_user(cluster: Cluster, user: str, *groups: str) -> Server:
    return Server(cluster.server, cluster.user_kubeconfig(user, ["system:masters", *groups]))


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


def refused(answer: Answer, *words: str) -> None:
    assert answer.code in {403, 422}, (answer.code, answer.message)
    assert "ringfence-guard-" in answer.message, answer.message
    for word in words:
        assert word in answer.message, answer.message


def passed(answer: Answer) -> None:
    assert answer.ok, (answer.code, answer.message)


def paths(place: Place) -> dict[str, str]:
    """The children by their kinds (the last of each), as URL paths."""
    return {one["kind"]: place.path(one["kind"], one["metadata"]["name"]) for one in place.desired()}


EDITS: dict[str, Any] = {
    "NetworkPolicy": {"spec": {"egress": [{}]}},
    "Role": {"rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]},
    "RoleBinding": {"subjects": [{"kind": "User", "name": "eve", "apiGroup": "rbac.authorization.k8s.io"}]},
    "ServiceAccount": {"automountServiceAccountToken": True},
    "Deployment": {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 3600}}}},
    "CronJob": {"spec": {"suspend": True}},
}


@pytest.mark.parametrize("kind", EDITS)
@pytest.mark.parametrize("what", ["edit", "labels", "owner", "finalizer", "delete", "orphan"])
def test_nobody_changes_a_child(place: Place, admin: Somebody, kind: str, what: str) -> None:
    path = paths(place)[kind]
    change = {
        "edit": EDITS[kind],
        "labels": {"metadata": {"labels": None}},
        "owner": {"metadata": {"ownerReferences": None}},
        "finalizer": {"metadata": {"finalizers": ["example.com/hold"]}},
    }
    if what in change:  # a binding's own guard may answer first
        words = () if kind == "RoleBinding" else (kind, "is made by Ringfence for AgentDeployment a")
        refused(admin.merge(path, change[what]), *words)
    else:
        refused(admin.delete(path, propagationPolicy="Orphan" if what == "orphan" else "Background"), kind)


@pytest.mark.parametrize("kind", EDITS)
def test_the_controller_and_the_clusters_own_parts_do(place: Place, guarded: Cluster, kind: str) -> None:
    for user in (CONTROLLER, "system:serviceaccount:kube-system:generic-garbage-collector"):
        server = of_user(guarded, user)
        passed(Somebody(server).merge(paths(place)[kind], {"metadata": {"annotations": {"x": "y"}}}))
        passed(Somebody(server).delete(paths(place)[kind]))
        server.close()


def test_nobody_makes_what_looks_like_a_child(place: Place, admin: Somebody) -> None:
    labels = {"app.kubernetes.io/managed-by": "ringfence", AGENT_LABEL: "a"}
    role = {"metadata": {"name": "ringfence-b", "labels": labels}, "rules": []}
    refused(admin.create(place.path("Role"), role), "Nobody else writes it")
    passed(admin.create(place.path("Role"), {"metadata": {"name": "b"}, "rules": []}))


def test_a_generated_secret_is_written_by_nobody(place: Place, admin: Somebody, guarded: Cluster) -> None:
    path = place.path("Secret", "ringfence-a.0")
    refused(admin.merge(path, {"stringData": {"value": "mine"}}), "Secret ringfence-a.0")
    job = of_user(guarded, f"system:serviceaccount:{place.name}:ringfence-a.0")
    passed(Somebody(job).merge(path, {"stringData": {"value": "new"}}))
    agent = of_user(guarded, f"system:serviceaccount:{place.name}:ringfence-a")
    refused(Somebody(agent).merge(path, {"stringData": {"value": "mine"}}))
    for server in (job, agent):
        server.close()


def test_a_rotation_job_restarts_its_agent_and_nothing_else(place: Place, guarded: Cluster) -> None:
    server = of_user(guarded, f"system:serviceaccount:{place.name}:ringfence-a.0")
    job, path = Somebody(server), paths(place)["Deployment"]
    passed(job.merge(path, {"spec": {"template": {"metadata": {"annotations": {"ringfence.dev/restarted": "now"}}}}}))
    files = {"spec": {"template": {"metadata": {"annotations": {"ringfence.dev/file-0": "b"}}}}}
    for change in (EDITS["Deployment"], {"spec": {"replicas": 7}}, {"metadata": {"labels": None}}, files):
        refused(job.merge(path, change))
    refused(job.merge(paths(place)["Role"], EDITS["Role"]))
    refused(job.delete(path))
    server.close()


def test_the_number_of_pods_is_the_agents(place: Place, admin: Somebody) -> None:
    scale = {"spec": {"replicas": 5}}
    refused(admin.merge(f"{paths(place)['Deployment']}/scale", scale), "spec.suspended")
    passed(admin.merge(f"{place.path('Deployment', 'other')}/scale", scale))


def test_an_agent_is_not_deleted_without_its_children(place: Place, admin: Somebody) -> None:
    path = place.path("AgentDeployment", "a")
    refused(admin.delete(path, propagationPolicy="Orphan"), "--cascade=orphan")
    refused(admin.delete(path, orphanDependents=True), "--cascade=orphan")
    refused(admin.merge(path, {"metadata": {"finalizers": ["orphan"]}}), "finalizer orphan")
    for policy in ("Background", "Foreground"):
        passed(admin.delete(path, propagationPolicy=policy))


def test_its_status_is_the_controllers(place: Place, admin: Somebody, controller: Server) -> None:
    path, status = f"{place.path('AgentDeployment', 'a')}/status", {"status": {"acceptedGeneration": 9}}
    refused(admin.merge(path, status), "written by Ringfence alone")
    passed(Somebody(controller).merge(path, status))


def pod(place: Place, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": "p", "labels": labels}, "spec": {"containers": [{"name": "c", "image": DIGEST}]}}


def test_nobody_makes_an_agents_pod(place: Place, admin: Somebody) -> None:
    path = place.path("Pod")
    refused(admin.create(path, pod(place, **{AGENT_LABEL: "a"})), "write an AgentDeployment")
    refused(admin.create(path, pod(place, **{"ringfence.dev/rotation": "x"})))
    borrowed = pod(place)
    borrowed["spec"]["serviceAccountName"] = "ringfence-a"
    refused(admin.create(path, borrowed))
    passed(admin.create(path, pod(place, app="other")))


def test_an_agents_pod_keeps_its_labels_and_its_owner(place: Place, admin: Somebody) -> None:
    path = place.path("Pod", place.pods()[0]["metadata"]["name"])
    for labels in ({AGENT_LABEL: None}, {AGENT_LABEL: "b"}, {"app.kubernetes.io/managed-by": None}):
        for where in (path, f"{path}/status"):
            refused(admin.merge(where, {"metadata": {"labels": labels}}), "labels of an agent's pod")
    refused(admin.merge(path, {"metadata": {"ownerReferences": None}}), "owner of an agent's pod")
    passed(admin.merge(path, {"metadata": {"labels": {"note": "x"}, "annotations": {"note": "y"}}}))
    passed(admin.delete(path))
    others = next(one["metadata"]["name"] for one in place.items("Pod") if AGENT_LABEL not in one["metadata"]["labels"])
    refused(admin.merge(place.path("Pod", others), {"metadata": {"labels": {AGENT_LABEL: "a"}}}))
    passed(admin.merge(place.path("Pod", others), {"metadata": {"labels": {"app": "y"}, "ownerReferences": None}}))


@pytest.mark.parametrize("change", [{"file-0": "b"}, {"file-0": None}, {"file-1": "b"}], ids=str)
def test_an_agents_pod_keeps_its_files(place: Place, admin: Somebody, change: dict[str, str | None]) -> None:
    """The kubelet makes files of these annotations, for a container that starts again too."""
    path = place.path("Pod", place.pods()[0]["metadata"]["name"])
    annotations = {f"ringfence.dev/{key}": value for key, value in change.items()}
    for where in (path, f"{path}/status"):
        refused(admin.merge(where, {"metadata": {"annotations": annotations}}), "spec.files of its AgentDeployment")


def test_an_agents_pod_keeps_what_it_runs(place: Place, admin: Somebody) -> None:
    found = place.pods()[0]
    path, container = place.path("Pod", found["metadata"]["name"]), found["spec"]["containers"][0]["name"]
    other = [{"op": "replace", "path": "/spec/containers/0/image", "value": DIGEST}]
    for changes in (other, [{"op": "add", "path": "/spec/activeDeadlineSeconds", "value": 9}]):
        refused(admin.ask("PATCH", path, changes, "application/json-patch+json"), "is in its AgentDeployment")
    more = {"spec": {"containers": [{"name": container, "resources": {"requests": {"cpu": "1m"}}}]}}
    strategic = "application/strategic-merge-patch+json"
    refused(admin.ask("PATCH", f"{path}/resize", more, strategic), "is in its AgentDeployment")
    others = next(one["metadata"]["name"] for one in place.items("Pod") if AGENT_LABEL not in one["metadata"]["labels"])
    another = [{"op": "replace", "path": "/spec/containers/0/image", "value": DIGEST.replace("/x@", "/y@")}]
    passed(admin.ask("PATCH", place.path("Pod", others), another, "application/json-patch+json"))


def template(label: str = "", account: str = "") -> dict[str, Any]:
    labels = {"app": "z"} | ({label.partition("=")[0]: label.partition("=")[2]} if label else {})
    spec: dict[str, Any] = {"containers": [{"name": "c", "image": DIGEST}], "restartPolicy": "Always"}
    return {"metadata": {"labels": labels}, "spec": spec | ({"serviceAccountName": account} if account else {})}


def workload(kind: str, of: dict[str, Any]) -> dict[str, Any]:
    once = of | {"spec": of["spec"] | {"restartPolicy": "Never"}}
    match kind:
        case "CronJob":
            spec: dict[str, Any] = {"schedule": "0 0 * * *", "jobTemplate": {"spec": {"template": once}}}
        case "Job":
            spec = {"template": once}
        case "ReplicationController":
            spec = {"selector": {"app": "z"}, "template": of}
        case _:
            spec = {"selector": {"matchLabels": {"app": "z"}}, "template": of, "serviceName": "z"}
            spec = spec if kind == "StatefulSet" else {key: spec[key] for key in ("selector", "template")}
    return {"metadata": {"name": "z"}, "spec": spec}


WORKLOADS = {
    "Deployment": f"{APPS}/namespaces/{{}}/deployments",
    "ReplicaSet": f"{APPS}/namespaces/{{}}/replicasets",
    "StatefulSet": f"{APPS}/namespaces/{{}}/statefulsets",
    "DaemonSet": f"{APPS}/namespaces/{{}}/daemonsets",
    "ReplicationController": "/api/v1/namespaces/{}/replicationcontrollers",
    "Job": f"{BATCH}/namespaces/{{}}/jobs",
    "CronJob": f"{BATCH}/namespaces/{{}}/cronjobs",
}


@pytest.mark.parametrize("kind", WORKLOADS)
def test_nobody_makes_what_makes_an_agents_pods(place: Place, admin: Somebody, kind: str) -> None:
    path = WORKLOADS[kind].format(place.name)
    for of in (
        template(f"{AGENT_LABEL}=a"),
        template("ringfence.dev/rotation=x"),
        template(account="ringfence-a"),
        template("ringfence.dev/rotation=ringfence-a", "ringfence-a"),
        template("ringfence.dev/rotation=ringfence-b.0", "ringfence-a.0"),
    ):
        refused(admin.create(path, workload(kind, of)), "write an AgentDeployment")
    passed(admin.create(path, workload(kind, template())))


def test_a_key_is_rotated_by_hand_with_a_job(place: Place, admin: Somebody) -> None:
    """As `ringfence rotate` and `kubectl create job --from` do."""
    (found,) = place.items("CronJob")
    name = found["metadata"]["name"]
    job = {"metadata": {"name": "by-hand"}, "spec": found["spec"]["jobTemplate"]["spec"]}
    assert job["spec"]["template"]["spec"]["serviceAccountName"] == name
    passed(admin.create(WORKLOADS["Job"].format(place.name), job))


def test_an_agents_replicaset_stays_its_deployments(place: Place, admin: Somebody) -> None:
    def of_the_agent() -> str | None:
        names = [
            one["metadata"]["name"] for one in place.items("ReplicaSet") if AGENT_LABEL in one["metadata"]["labels"]
        ]
        return names[0] if names else None

    path = place.path("ReplicaSet", wait_for("a ReplicaSet", of_the_agent))
    for change in ({"metadata": {"labels": None, "ownerReferences": None}}, {"spec": {"replicas": 3}}):
        refused(admin.merge(path, change), "belongs to AgentDeployment a")
    refused(admin.delete(path, propagationPolicy="Orphan"))
    refused(admin.merge(f"{path}/scale", {"spec": {"replicas": 3}}))


def test_nobody_gets_into_an_agent(place: Place, admin: Somebody, guarded: Cluster) -> None:
    name = place.pods()[0]["metadata"]["name"]
    pods = f"/api/v1/namespaces/{place.name}/pods"
    ways = [f"{name}/exec?command=id", f"{name}/attach", f"{name}/portforward", f"{name}/proxy/", f"{name}:80/proxy/x"]
    for way in ways:
        refused(admin.server.request("GET", f"{pods}/{way}"), "is for the groups that", "AgentPolic")
    added = {"spec": {"ephemeralContainers": [{"name": "e", "image": DIGEST}]}}
    refused(admin.merge(f"{pods}/{name}/ephemeralcontainers", added))
    passed(admin.server.request("GET", f"{pods}/{name}"))
    other = next(
        one["metadata"]["name"] for one in place.items("Pod") if one["metadata"]["labels"].get("app") == "other"
    )
    assert "guard" not in admin.server.request("GET", f"{pods}/{other}/exec?command=id").message


def test_no_token_of_an_agent_but_by_its_kubelet(place: Place, admin: Somebody) -> None:
    accounts = f"/api/v1/namespaces/{place.name}/serviceaccounts"
    asked: dict[str, Any] = {"spec": {"audiences": [], "expirationSeconds": 31536000}}
    for name in ("ringfence-a", paths(place)["CronJob"].rpartition("/")[2]):
        refused(admin.create(f"{accounts}/{name}/token", asked), "kubelet alone")
    passed(admin.create(f"{accounts}/default/token", asked))
    owner = {"annotations": {"kubernetes.io/service-account.name": "ringfence-a"}, "name": "t"}
    endless = {"metadata": owner, "type": "kubernetes.io/service-account-token"}
    refused(admin.create(place.path("Secret"), endless), "would never end")


AGENTS_ACCOUNT = {"kind": "ServiceAccount", "name": "ringfence-a"}
RBAC_GROUP = {"apiGroup": "rbac.authorization.k8s.io"}


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


def selecting(**selector: Any) -> dict[str, Any]:
    return {"podSelector": selector}


OPEN: dict[str, Any] = {"egress": [{}], "policyTypes": ["Egress"]}
OUT = {"key": AGENT_LABEL, "operator": "DoesNotExist"}
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


PLUGINS = {"cilium.io": ("v2", "ciliumnetworkpolicies"), "crd.projectcalico.org": ("v1", "networkpolicies")}


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


@pytest.mark.timeout(600)
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
    wait_for("the namespace's end", lambda: admin.request("GET", gone).code == 404, timeout=120)
    admin.close()
