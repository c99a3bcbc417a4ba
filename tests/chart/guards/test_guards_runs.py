"""Runs of agents: begun by the controller or by their schedule, changed by nobody else."""

from collections.abc import Iterator
from typing import Any

import pytest

from api.controller.place import Place
from api.server import Server
from chart.guards.asking import Somebody, of_user, passed, refused
from cluster import Cluster
from cluster.shell import wait_for

PARTS = ("job-controller", "ttl-after-finished-controller", "generic-garbage-collector", "cronjob-controller")


@pytest.fixture(scope="module")
def nightly(controller: Server, admin: Somebody) -> Iterator[Place]:
    """An agent with a schedule, and its CronJob as the controller makes it."""
    found = Place(controller)
    found.agent("a", run={"mode": "Schedule", "schedule": "0 0 1 1 *"})
    for manifest in found.desired():
        found.create(manifest["kind"], manifest)
    cron_job = found.path("CronJob", "ringfence-a")
    wait_for("the guards", lambda: not admin.delete(cron_job).ok)
    yield found
    found.remove()


def by_hand(place: Place) -> dict[str, Any]:
    """As `kubectl create job --from=cronjob/ringfence-a` makes it."""
    found = place.get("CronJob", "ringfence-a")
    template = found["spec"]["jobTemplate"]
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "ringfence-a", "uid": found["metadata"]["uid"]}
    metadata = {"name": "by-hand", "labels": template["metadata"]["labels"], "ownerReferences": [owner]}
    return {"metadata": metadata, "spec": template["spec"]}


def test_nobody_begins_one_by_hand(nightly: Place, admin: Somebody) -> None:
    job, path = by_hand(nightly), nightly.path("Job")
    refused(admin.create(path, job), "ringfence run")
    refused(admin.create(path, job | {"metadata": {"name": "x"}}), "ringfence run")
    twin = {**job["spec"], "manualSelector": True, "selector": {"matchLabels": {"ringfence.dev/agent": "a"}}}
    refused(admin.create(path, {"metadata": {"name": "x"}, "spec": twin}))


@pytest.mark.parametrize("part", PARTS)
def test_the_controller_and_the_clusters_own_parts_do(
    nightly: Place, guarded: Cluster, controller: Server, part: str
) -> None:
    another = by_hand(nightly)
    another["metadata"]["name"] = "another"
    passed(Somebody(controller).create(nightly.path("Job"), another))
    server = of_user(guarded, f"system:serviceaccount:kube-system:{part}")
    name = next(iter(jobs(nightly)))
    passed(Somebody(server).merge(nightly.path("Job", name), {"metadata": {"annotations": {"x": "y"}}}))
    passed(Somebody(server).delete(nightly.path("Job", name)))
    server.close()


def jobs(place: Place) -> list[str]:
    """Names of the runs; one at least."""
    if not place.items("Job"):
        place.create("Job", by_hand(place))
    return [one["metadata"]["name"] for one in place.items("Job")]


@pytest.mark.parametrize(
    "change",
    [
        {"spec": {"suspend": True}},
        {"spec": {"activeDeadlineSeconds": 9}},
        {"spec": {"backoffLimit": 9}},
        {"metadata": {"labels": None}},
        {"metadata": {"ownerReferences": None}},
    ],
    ids=str,
)
def test_nobody_changes_one(nightly: Place, admin: Somebody, change: dict[str, Any]) -> None:
    (name,) = jobs(nightly)
    refused(admin.merge(nightly.path("Job", name), change), "is made by Ringfence for AgentDeployment a")


def test_nobody_deletes_one(nightly: Place, admin: Somebody) -> None:
    (name,) = jobs(nightly)
    for policy in ("Background", "Foreground", "Orphan"):
        refused(admin.delete(nightly.path("Job", name), propagationPolicy=policy), "is made by Ringfence")


def test_nobody_turns_the_schedule(nightly: Place, admin: Somebody) -> None:
    for spec in ({"schedule": "* * * * *"}, {"suspend": True}, {"jobTemplate": {"spec": {"parallelism": 9}}}):
        refused(admin.merge(nightly.path("CronJob", "ringfence-a"), {"spec": spec}), "is made by Ringfence")


def test_other_jobs_are_anybodys(nightly: Place, admin: Somebody) -> None:
    container = {"name": "c", "image": f"registry.example/x@sha256:{'0' * 64}"}
    spec = {"template": {"spec": {"containers": [container], "restartPolicy": "Never"}}}
    passed(admin.create(nightly.path("Job"), {"metadata": {"name": "other"}, "spec": spec}))
