"""Agents whose work ends, on a real API server with its own Job and CronJob controllers. There is no kubelet."""

from typing import Any

from api.controller.place import Place
from api.controller.process import Controller
from cluster.shell import wait_for
from ringfence.api.names import RUN_ANNOTATION

JOB = {"mode": "Job"}
YEARLY = {"mode": "Schedule", "schedule": "0 0 1 1 *"}


def jobs(place: Place) -> list[Any]:
    return [one for one in place.items("Job") if "deletionTimestamp" not in one["metadata"]]


def going(place: Place) -> list[Any]:
    return [one for one in place.pods() if "deletionTimestamp" in one["metadata"]]


def runs(place: Place) -> list[tuple[str, str]]:
    """(cause, outcome), the newest first."""
    return [(one["cause"], one["outcome"]) for one in place.status().get("runs") or []]


def end(place: Place, *, phase: str = "Succeeded") -> None:
    """Do a kubelet's part for all pods at work."""
    for name in place.run_pods():
        place.merge("Pod", name, {"status": {"phase": phase}}, "/status")


def ask(place: Place, text: str) -> None:
    place.merge("AgentDeployment", "a", {"metadata": {"annotations": {RUN_ANNOTATION: text}}})


def test_a_job_is_stored_as_built_and_not_repeated(place: Place, controller: Controller) -> None:
    place.agent("a", run=JOB)
    place.wait_applied()
    place.wait_right()
    wait_for("it is at work", lambda: runs(place) == [("Spec", "Running")])
    assert place.child("workload") is None
    end(place)
    place.wait_condition("Ready", "True", "RunSucceeded")
    assert place.delete("Job", jobs(place)[0]["metadata"]["name"]).ok
    wait_for("the Job is gone", lambda: not place.items("Job"))
    place.change(run=JOB | {"retries": 2})
    place.wait_applied()
    assert place.items("Job") == []
    assert runs(place) == [("Spec", "Succeeded")]
    place.change(args=["other"])
    wait_for("the next one", lambda: sorted(runs(place)) == [("Spec", "Running"), ("Spec", "Succeeded")])
    assert controller.drift(place.name) == 0


def test_an_edit_of_a_job_is_put_right(place: Place, controller: Controller) -> None:
    place.agent("a", run=JOB)
    place.wait_applied()
    name = wait_for("the Job", lambda: jobs(place))[0]["metadata"]["name"]
    for edit in ({"parallelism": 5, "suspend": True}, {"activeDeadlineSeconds": 999999, "backoffLimit": 100}):
        place.merge("Job", name, {"spec": edit})
        place.wait_right()
    assert controller.counted_drift(2, place.name) == 2  # a third one in a row would stop the agent


def test_an_edit_of_a_schedule_is_put_right(place: Place, controller: Controller) -> None:
    place.agent("a", run=YEARLY)
    place.wait_applied()
    place.wait_right()
    for edit in ({"schedule": "* * * * *"}, {"suspend": True, "concurrencyPolicy": "Allow"}):
        place.merge("CronJob", "ringfence-a", {"spec": edit})
        place.wait_right()
    assert controller.counted_drift(2, place.name) == 2


def test_a_request_is_answered_by_one_job(place: Place, controller: Controller) -> None:
    place.agent("a", run=YEARLY)
    place.wait_condition("Ready", "True", "Scheduled")
    ask(place, "one")
    wait_for("it is at work", lambda: runs(place) == [("Request", "Running")])
    ask(place, "two")
    wait_for("the second is refused", lambda: ("Request", "Refused") in runs(place))
    end(place)
    wait_for("the end", lambda: ("Request", "Succeeded") in runs(place))
    assert len(place.items("Job")) == 1
    ask(place, "three")
    wait_for("the third", lambda: ("Request", "Running") in runs(place))
    assert controller.drift(place.name) == 0


def test_suspended_no_run_begins(place: Place) -> None:
    place.agent("a", run=YEARLY, suspended=True)
    place.wait_condition("WorkloadAvailable", "False", "Suspended")
    assert place.get("CronJob", "ringfence-a")["spec"]["suspend"] is True
    ask(place, "one")
    wait_for("it is refused", lambda: runs(place) == [("Request", "Refused")])
    place.change(suspended=False)
    place.wait_condition("Ready", "True")
    assert place.items("Job") == []
    ask(place, "two")
    wait_for("a pod", place.pods)
    place.change(suspended=True)
    wait_for("it ends", lambda: ("Request", "Ended") in runs(place))
    place.end_pods()
    wait_for("the Job is gone", lambda: not place.items("Job"))


def test_another_mode_begins_when_the_one_before_has_ended(place: Place, controller: Controller) -> None:
    place.agent("a")
    place.wait_applied()
    place.run_pods()
    fence = place.child("deny")
    place.change(run=JOB)
    found = place.wait_condition("WorkloadAvailable", "False", "Progressing")
    assert "waits until" in found["message"]
    assert place.items("Job") == [], "its pod is there still"
    wait_for("its pod is to go", lambda: going(place))
    place.end_pods()
    wait_for("the Job", lambda: jobs(place))
    assert place.child("workload") is None
    place.wait_right()
    place.change(run=YEARLY)
    wait_for("the run ends", lambda: not jobs(place))
    place.wait_right()
    place.change(run=None)
    wait_for("the Deployment", lambda: place.child("workload"))
    wait_for("no CronJob", lambda: place.find("CronJob", "ringfence-a") is None)
    assert place.child("deny")["metadata"]["uid"] == fence["metadata"]["uid"]  # type: ignore[index]
    assert controller.drift(place.name) == 0


def test_the_fence_outlives_the_last_pod_of_a_run(place: Place) -> None:
    place.agent("a", run=JOB)
    place.wait_applied()
    place.run_pods()
    assert place.delete("AgentDeployment", "a").ok
    wait_for("the pod is to go", lambda: going(place))
    assert place.child("deny") is not None
    place.end_pods()
    wait_for("all of it is gone", lambda: place.child("deny") is None and not place.items("Job"))
