"""What a CronJob says of itself when a tick ends, by Kubernetes' own controllers: `failed_tick` reads nothing else."""

from datetime import UTC, datetime, timedelta
from typing import Any

from api.controller.place import IMAGE, Place
from cluster.shell import wait_for
from ringfence.controller.agent.ages import failed_tick, job_of
from ringfence.resources import Manifest

DEADLINE = 150.0
"""Seconds; if Kubernetes waits for the next full minute all the same, it comes within that, on a busy machine, too."""


def cron_job(name: str, **job: Any) -> Manifest:
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": IMAGE}]}
    template = {"spec": {"backoffLimit": 0, "template": {"spec": pod}} | job}
    return {"metadata": {"name": name}, "spec": {"schedule": "* * * * *", "jobTemplate": template}}


def test_a_tick_has_failed_when_its_job_ended_without_success(place: Place) -> None:
    place.create("CronJob", cron_job("fails", activeDeadlineSeconds=1))
    place.create("CronJob", cron_job("succeeds"))
    for name in ("fails", "succeeds"):  # as if the last tick were due: it comes at once
        past = datetime.now(UTC) - timedelta(minutes=2)
        place.merge("CronJob", name, {"status": {"lastScheduleTime": f"{past:%Y-%m-%dT%H:%M:%SZ}"}}, "/status")

    def status(name: str) -> Manifest:
        found: Manifest = place.get("CronJob", name).get("status") or {}
        return found

    wait_for(
        "both have begun", lambda: status("fails").get("active") and status("succeeds").get("active"), timeout=DEADLINE
    )
    place.merge("CronJob", "fails", {"spec": {"suspend": True}})  # one tick is enough
    place.merge("CronJob", "succeeds", {"spec": {"suspend": True}})
    assert failed_tick(place.get("CronJob", "succeeds")) is None, "it runs"

    tick = wait_for("the tick that failed", lambda: failed_tick(place.get("CronJob", "fails")), timeout=DEADLINE)
    job = job_of(place.get("CronJob", "fails"), tick)
    owned = place.server.request("GET", f"/apis/batch/v1/namespaces/{place.name}/jobs/{job}")
    assert owned.ok, "the name is that of the job"
    assert "Failed" in [one["type"] for one in owned.body["status"]["conditions"]]
    assert "lastSuccessfulTime" not in status("fails")

    for pod in place.items("Pod"):  # a kubelet's part: it has run, and ended well
        if pod["metadata"]["labels"]["batch.kubernetes.io/job-name"].startswith("succeeds"):
            place.merge("Pod", pod["metadata"]["name"], {"status": {"phase": "Succeeded"}}, "/status")

    accused: list[Manifest] = []

    def succeeded() -> bool:
        found = place.get("CronJob", "succeeds")
        if failed_tick(found):  # not for a moment may it look like a failure
            accused.append(found["status"])
        return "lastSuccessfulTime" in found["status"]

    wait_for("success", succeeded, timeout=DEADLINE)
    assert accused == []
