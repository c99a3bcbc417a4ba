"""The guards: who may do what beside an agent. The API server decides it, while nothing of Ringfence runs."""

from typing import Any

import pytest

from api.controller.place import Place
from api.server import Server
from chart.guards.asking import (
    CONTROLLER,
    DIGEST,
    EDITS,
    WORKLOADS,
    Somebody,
    of_user,
    passed,
    paths,
    pod,
    refused,
    template,
    workload,
)
from cluster import Cluster
from cluster.shell import wait_for
from ringfence.api.names import AGENT_LABEL


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
