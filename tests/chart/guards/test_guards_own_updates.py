"""What Ringfence itself consists of is not made anew by others, and nothing else turns into a part of it."""

from typing import Any

import pytest

from api.controller.place import Place
from api.server import Server
from chart.guards.asking import APPS, BATCH, HERE, WEBHOOKS, Kept, Somebody, passed, refused
from chart.guards.test_guards_own import PARTS, cron_job, deployment, pod
from chart.rendering import NAMESPACE
from cluster import Cluster
from cluster.shell import wait_for

ACCOUNT = "ringfence-controller"
PART = "is a part of Ringfence"


@pytest.mark.parametrize("what", [what for what in PARTS if not what.endswith("scale")])
def test_no_part_is_made_by_others(certificate: str, strong: Somebody, admin: Somebody, what: str) -> None:
    """As it stands there, once more: of an administrator the API server says that there is one."""
    path = PARTS[what][0]
    body = admin.server.request("GET", path).body
    body["metadata"] = {
        key: body["metadata"][key] for key in ("name", "labels", "annotations") if key in body["metadata"]
    }
    for field in ("clusterIP", "clusterIPs"):
        body.get("spec", {}).pop(field, None)
    if what == "Deployment":  # so that the guard of what runs as Ringfence has nothing to say
        body["spec"]["template"]["spec"]["serviceAccountName"] = "default"
    collection = path.rpartition("/")[0]
    others = {"RoleBinding", "ClusterRoleBinding"}  # another guard may answer first
    refused(strong.create(collection, body), "Ringfence" if what in others else PART)
    assert admin.create(collection, body).code == 409


def test_the_webhooks_registration_is_neither_made_nor_changed(strong: Somebody, admin: Somebody, kept: Kept) -> None:
    body = {"metadata": {"name": "ringfence"}, "webhooks": []}
    refused(strong.create(WEBHOOKS, body), PART)
    refused(strong.merge(one := kept.make(WEBHOOKS, body), {"metadata": {"labels": {"x": "y"}}}), PART)
    refused(strong.delete(one), PART)
    passed(admin.merge(one, {"metadata": {"labels": {"x": "y"}}}))


def bodies(account: str) -> dict[str, dict[str, Any]]:
    """What makes no pod, by the path of its collection."""
    apps, batch = f"{APPS}/namespaces/{NAMESPACE}", f"{BATCH}/namespaces/{NAMESPACE}"
    of = deployment(account)
    none = of | {"spec": of["spec"] | {"replicas": 0}}
    spec = of["spec"]
    controller = spec | {"selector": {"app": "x"}, "replicas": 0}
    return {
        f"{HERE}/podtemplates": {"metadata": {"name": "x"}, "template": spec["template"]},
        f"{HERE}/replicationcontrollers": {"metadata": {"name": "x"}, "spec": controller},
        f"{apps}/deployments": none,
        f"{apps}/replicasets": none,
        f"{apps}/statefulsets": none | {"spec": none["spec"] | {"serviceName": "x"}},
        f"{apps}/daemonsets": of,
        f"{batch}/cronjobs": cron_job(account),
    }


@pytest.mark.parametrize("collection", bodies(""))
def test_nothing_turns_into_what_runs_as_ringfence(
    place: Place, strong: Somebody, admin: Somebody, kept: Kept, collection: str
) -> None:
    refused(strong.create(collection, bodies(ACCOUNT)[collection]), "has its rights")
    of: dict[str, Any] = {"spec": {"serviceAccountName": ACCOUNT}}
    change: dict[str, Any] = {"spec": {"template": of}}
    if collection.endswith("podtemplates"):
        change = {"template": of}
    elif collection.endswith("cronjobs"):
        change = {"spec": {"jobTemplate": {"spec": {"template": of}}}}
    one = kept.make(collection, bodies("default")[collection])
    refused(strong.merge(one, change), "has its rights")
    passed(strong.merge(one, {"metadata": {"labels": {"x": "y"}}}))
    passed(admin.merge(one, change))


def test_its_pods_are_not_resized(guarded: Cluster, strong: Somebody, admin: Somebody) -> None:
    def ours() -> list[str]:
        selector = "labelSelector=app.kubernetes.io/component%3Dcontroller"
        items = admin.server.request("GET", f"{HERE}/pods?{selector}").body["items"]
        return [f"{HERE}/pods/{one['metadata']['name']}" for one in items]

    found = (wait_for("its pods", ours) or [""])[0]
    name = admin.server.request("GET", found).body["spec"]["containers"][0]["name"]
    more = {"spec": {"containers": [{"name": name, "resources": {"requests": {"cpu": "11m"}}}]}}
    strategic = "application/strategic-merge-patch+json"
    refused(strong.ask("PATCH", f"{found}/resize", more, strategic), "has its rights")


def test_a_token_does_not_become_ringfences(place: Place, strong: Somebody, admin: Somebody, kept: Kept) -> None:
    account = "kubernetes.io/service-account.name"
    body = {
        "metadata": {"name": "x", "annotations": {account: "default"}},
        "type": "kubernetes.io/service-account-token",
    }
    wait_for("its account", lambda: admin.server.request("GET", f"{HERE}/serviceaccounts/default").ok)
    one = kept.make(f"{HERE}/secrets", body)
    refused(strong.merge(one, {"metadata": {"annotations": {account: ACCOUNT}}}), "rights of Ringfence")
    passed(strong.merge(one, {"metadata": {"labels": {"x": "y"}}}))


SYSTEM = "system:serviceaccount:kube-system:"
MAKERS = {
    "deployment-controller": f"{APPS}/namespaces/{NAMESPACE}/replicasets",
    "replicaset-controller": f"{HERE}/pods",
    "replication-controller": f"{HERE}/pods",
    "statefulset-controller": f"{HERE}/pods",
    "daemon-set-controller": f"{HERE}/pods",
    "job-controller": f"{HERE}/pods",
    "cronjob-controller": f"{BATCH}/namespaces/{NAMESPACE}/jobs",
}


def alone(cluster: Cluster, name: str) -> Somebody:
    """A part of the cluster, with the rights that Kubernetes gives it: it may not change guards."""
    return Somebody(Server(cluster.server, cluster.user_kubeconfig(f"{SYSTEM}{name}")))


@pytest.mark.parametrize("name", MAKERS)
def test_what_makes_its_pods_goes_on(guarded: Cluster, strong: Somebody, name: str) -> None:
    path, part = MAKERS[name], alone(guarded, name)
    body: dict[str, Any] = {"metadata": {"name": "x"}, "spec": pod(ACCOUNT)}
    if path.endswith("replicasets"):
        body = bodies(ACCOUNT)[path]
    elif path.endswith("jobs"):
        body = {"metadata": {"name": "x"}} | cron_job(ACCOUNT)["spec"]["jobTemplate"]
    refused(strong.create(path, body), "has its rights")
    passed(part.create(path, body))
    part.server.close()


def test_the_clusters_own_parts_go_on(guarded: Cluster, strong: Somebody) -> None:
    one = PARTS["Deployment"][0]
    for name in ("generic-garbage-collector", "namespace-controller"):
        part = alone(guarded, name)
        passed(part.delete(one))
        part.server.close()
    rollout, found = alone(guarded, "deployment-controller"), strong.server.request("GET", one).body
    found["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "9"}
    passed(rollout.ask("PUT", one, found))
    refused(strong.ask("PUT", one, found))
    rollout.server.close()
    # Its name is longer than a certificate's may be.
    aggregation, noted = f"--as={SYSTEM}clusterrole-aggregation-controller", ("ringfence-agent-ceiling", "x=y")
    guarded.kubectl("annotate", "clusterrole", *noted, aggregation, "--dry-run=server")
