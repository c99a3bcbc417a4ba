"""With the guards on, all that is not about agents works as before: in an opened namespace, and beside it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.controller.place import NODE, Place
from chart.conftest import AGENTS
from chart.guards.asking import APPS, Somebody, of_user, passed
from chart.rendering import NAMESPACE
from cluster import Cluster
from cluster.shell import run, wait_for

SYSTEM = "system:serviceaccount:kube-system:"
LABELS = {"app": "shop"}
IMAGE = f"registry.example/shop@sha256:{'1' * 64}"


def template() -> dict[str, Any]:
    container = {"name": "c", "image": IMAGE, "resources": {"requests": {"cpu": "10m"}}}
    return {"metadata": {"labels": LABELS}, "spec": {"serviceAccountName": "shop", "containers": [container]}}


def manifests() -> list[dict[str, Any]]:
    """What a team's chart has, next to agents."""
    rbac = {"apiGroup": "rbac.authorization.k8s.io"}
    backend = {"service": {"name": "shop", "port": {"number": 80}}}
    job = template()
    job["spec"]["restartPolicy"] = "Never"
    selected = {"selector": {"matchLabels": LABELS}}

    def one(version: str, kind: str, **fields: Any) -> dict[str, Any]:
        return {"apiVersion": version, "kind": kind, "metadata": {"name": "shop", "labels": LABELS}, **fields}

    return [
        one("v1", "ServiceAccount"),
        one("v1", "ConfigMap", data={"a": "b"}),
        one("v1", "Secret", stringData={"a": "b"}),
        one("v1", "Service", spec={"selector": LABELS, "ports": [{"port": 80}], "type": "NodePort"}),
        one("apps/v1", "Deployment", spec=selected | {"replicas": 2, "template": template()}),
        one("batch/v1", "CronJob", spec={"schedule": "0 0 * * *", "jobTemplate": {"spec": {"template": job}}}),
        one("policy/v1", "PodDisruptionBudget", spec=selected | {"maxUnavailable": 1}),
        one("networking.k8s.io/v1", "Ingress", spec={"defaultBackend": backend}),
        one("networking.k8s.io/v1", "NetworkPolicy", spec={"podSelector": {"matchLabels": LABELS}, "ingress": [{}]}),
        one(
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            spec={"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}},
        ),
        one("rbac.authorization.k8s.io/v1", "Role", rules=[]),
        one(
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            roleRef=rbac | {"kind": "Role", "name": "shop"},
            subjects=[{"kind": "ServiceAccount", "name": "shop"}],
        ),
    ]


@pytest.fixture(scope="module", params=["opened", "default"])
def where(request: pytest.FixtureRequest, place: Place) -> str:
    return place.name if request.param == "opened" else "default"


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("chart")
    (found / "templates").mkdir()
    (found / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": "shop", "version": "0.1.0"}))
    for body in manifests():
        text = yaml.safe_dump(body).replace("a: b", "a: {{ .Values.word | default `b` }}")
        (found / "templates" / f"{body['kind'].lower()}.yaml").write_text(text)
    return found


@pytest.fixture(scope="module")
def shop(guarded: Cluster, chart: Path, where: str) -> Iterator[str]:
    """A release of helm's, upgraded once. Its namespace."""
    for verb, word in (("install", "b"), ("upgrade", "c")):
        run(["helm", "-n", where, verb, "shop", str(chart), "--set", f"word={word}"], env=guarded.env)
    yield where
    run(["helm", "-n", where, "uninstall", "shop"], env=guarded.env)


def pods(who: Somebody, namespace: str) -> list[dict[str, Any]]:
    items = who.server.request("GET", f"/api/v1/namespaces/{namespace}/pods?labelSelector=app%3Dshop").body["items"]
    return [one for one in items if "deletionTimestamp" not in one["metadata"]]


def test_kubectl(guarded: Cluster, admin: Somebody, shop: str) -> None:
    wait_for("its pods", lambda: len(pods(admin, shop)) == 2)
    before = {one["metadata"]["name"] for one in pods(admin, shop)}
    kubectl = ("-n", shop)
    guarded.kubectl(*kubectl, "rollout", "restart", "deploy/shop")
    wait_for("a pod of the restart", lambda: {one["metadata"]["name"] for one in pods(admin, shop)} - before)
    guarded.kubectl(*kubectl, "set", "image", "deploy/shop", f"c={IMAGE.replace('1', '2')}")
    guarded.kubectl(*kubectl, "scale", "deploy/shop", "--replicas=3")
    wait_for("three", lambda: len(pods(admin, shop)) >= 3)
    guarded.kubectl(*kubectl, "annotate", "deploy,service,ingress,networkpolicy,pod", "-l", "app=shop", "note=x")
    guarded.kubectl(*kubectl, "label", "service/shop", "team=x")
    guarded.kubectl(*kubectl, "expose", "deploy/shop", "--name=again", "--port=80")
    guarded.kubectl(*kubectl, "create", "job", "once", "--from=cronjob/shop")
    wait_for("the Job's pod", lambda: any("job-name" in one["metadata"]["labels"] for one in pods(admin, shop)))
    guarded.kubectl(*kubectl, "run", "alone", f"--image={IMAGE}")
    guarded.kubectl(*kubectl, "delete", "job/once", "pod/alone", "service/again", "--grace-period=0", "--force")


def test_autoscalers(guarded: Cluster, admin: Somebody, shop: str) -> None:
    scaler = of_user(guarded, f"{SYSTEM}horizontal-pod-autoscaler")
    path = f"{APPS}/namespaces/{shop}/deployments/shop"
    passed(Somebody(scaler).merge(f"{path}/scale", {"spec": {"replicas": 4}}))
    scaler.close()
    updater = of_user(guarded, f"{SYSTEM}vpa-updater")
    vertical = Somebody(updater)
    more = {"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "20m"}}}]}}
    (pod, *_) = wait_for("a pod", lambda: pods(admin, shop)) or []
    at = f"/api/v1/namespaces/{shop}/pods/{pod['metadata']['name']}"
    passed(vertical.ask("PATCH", f"{at}/resize", more, "application/strategic-merge-patch+json"))
    # Where the new size cannot be had in place, the pod is evicted; what admits the next one writes its requests.
    changes = [{"op": "add", "path": "/metadata/annotations", "value": {"vpaInPlaceUpdated": "true"}}]
    passed(vertical.ask("PATCH", at, changes, "application/json-patch+json"))
    evict(vertical, shop, pod["metadata"]["name"])
    updater.close()


def evict(who: Somebody, namespace: str, name: str) -> None:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace}}
    passed(who.create(f"/api/v1/namespaces/{namespace}/pods/{name}/eviction", body))


def test_a_node_is_drained(guarded: Cluster, place: Place, admin: Somebody, shop: str) -> None:
    """Agents' pods, too, and our own."""
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
    guarded.apply(node)
    guarded.kubectl("cordon", NODE)
    (pod, *_) = wait_for("a pod", lambda: pods(admin, shop)) or []
    bind = {"apiVersion": "v1", "kind": "Binding", "target": {"kind": "Node", "name": NODE}}
    bind["metadata"] = {"name": pod["metadata"]["name"]}
    at = f"/api/v1/namespaces/{shop}/pods/{pod['metadata']['name']}/binding"
    assert admin.server.request("POST", at, json.dumps(bind).encode()).ok
    # As kubectl does it, of all pods of the node: evictions, which the API server decides but does not carry out.
    drained = guarded.kubectl("drain", NODE, "--dry-run=server", "--force", "--delete-emptydir-data")
    assert f"evicting pod {shop}/{pod['metadata']['name']} (server dry run)" in drained
    guarded.kubectl("delete", "pod", "-n", shop, pod["metadata"]["name"], "--grace-period=0", "--force")
    (pod, *_) = wait_for("a pod", lambda: pods(admin, shop)) or []
    evict(admin, shop, pod["metadata"]["name"])
    evict(admin, place.name, place.pods()[0]["metadata"]["name"])
    ours = admin.server.request("GET", f"/api/v1/namespaces/{NAMESPACE}/pods").body["items"]
    evict(admin, NAMESPACE, ours[0]["metadata"]["name"])
    kubelet = of_user(guarded, f"system:node:{NODE}", "system:nodes")
    Place.at(admin.server, place.name).run_pods()  # bound to the node, and their status written
    lease = {"metadata": {"name": NODE}, "spec": {"holderIdentity": NODE}}
    passed(Somebody(kubelet).create("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", lease))
    kubelet.close()
    guarded.kubectl("delete", "node", NODE)


def test_the_garbage_collector(guarded: Cluster, admin: Somebody, shop: str) -> None:
    wait_for("its pods", lambda: pods(admin, shop))
    path = f"{APPS}/namespaces/{shop}/deployments/shop"
    before = admin.server.request("GET", path).body
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Foreground"}
    assert admin.server.request("DELETE", path, json.dumps(options).encode()).ok
    wait_for("all of it to go", lambda: not admin.server.request("GET", path).ok)
    assert not pods(admin, shop)
    again = {"metadata": {"name": "shop", "labels": LABELS}, "spec": before["spec"]}
    again["metadata"]["annotations"] = before["metadata"]["annotations"]
    again["metadata"]["labels"] = before["metadata"]["labels"]  # helm's own
    assert admin.server.request("POST", path.rpartition("/")[0], json.dumps(again).encode()).ok


@pytest.mark.parametrize("labels", [{}, AGENTS], ids=["plain", "opened"])
def test_the_end_of_a_namespace_with_all_that_is_in_it(guarded: Cluster, chart: Path, labels: dict[str, str]) -> None:
    name = f"ends-{len(labels)}"
    guarded.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    run(["helm", "-n", name, "install", "shop", str(chart)], env=guarded.env)
    guarded.kubectl("delete", "namespace", name, "--wait=false")
    listed = ("get", "namespace", name, "--ignore-not-found", "-o", "name")
    wait_for("its end", lambda: not guarded.kubectl(*listed), timeout=180)


def plural(body: dict[str, Any]) -> str:
    lower = str(body["kind"]).lower()
    return {"networkpolicy": "networkpolicies", "ingress": "ingresses"}.get(lower, f"{lower}s")


def test_an_applier(guarded: Cluster, admin: Somebody, shop: str) -> None:
    """As a GitOps tool does it, by server-side apply: no guard names the account."""
    applier = of_user(guarded, f"{SYSTEM}applier")
    for body in manifests():
        version = body["apiVersion"]
        base = f"/api/{version}" if "/" not in version else f"/apis/{version}"
        path = f"{base}/namespaces/{shop}/{plural(body)}/shop?fieldManager=applier&force=true"
        passed(Somebody(applier).ask("PATCH", path, body, "application/apply-patch+yaml"))
    applier.close()


TRACKED: dict[str, dict[str, Any]] = {
    "Argo CD": {"annotations": {"argocd.argoproj.io/tracking-id": "shop:x"}},
    "Argo CD, by label": {"labels": {"app.kubernetes.io/instance": "shop"}},
    "Flux": {"labels": {"kustomize.toolkit.fluxcd.io/name": "shop", "kustomize.toolkit.fluxcd.io/namespace": "flux"}},
}


@pytest.mark.parametrize("tool", TRACKED)
def test_a_gitops_tool_applies_compares_and_prunes(guarded: Cluster, where: str, tool: str) -> None:
    """With its marks, by kubectl's library, as Argo CD does it."""
    bodies = json.loads(json.dumps(manifests()))
    for body in bodies:
        body["metadata"]["namespace"] = where
        for field, marks in TRACKED[tool].items():
            body["metadata"].setdefault(field, {}).update(marks)
    text = yaml.safe_dump_all(bodies).replace("shop", "tracked")
    guarded.kubectl("apply", "--dry-run=server", "-f", "-", stdin=text)
    guarded.kubectl("apply", "-f", "-", stdin=text)
    by_server = ("--server-side", "--force-conflicts", "--field-manager=gitops", "-f", "-")
    fewer = text.replace("replicas: 2", "replicas: 1")
    guarded.kubectl("apply", *by_server, stdin=fewer)
    assert "replicas" not in guarded.kubectl("diff", *by_server, stdin=fewer)
    guarded.kubectl("delete", "--cascade=foreground", "--wait=false", "-f", "-", stdin=text)
    kinds = "deployment,cronjob,service,ingress,networkpolicy,rolebinding,serviceaccount"
    listed = ("get", kinds, "-n", where, "-o", "name", "-l", "app=tracked")
    wait_for("all of it to go", lambda: not guarded.kubectl(*listed))
