"""What an agent becomes whose work ends."""

from dataclasses import replace
from typing import Any

import pytest

from ringfence.resources import Agent, JobImage, Manifest, build
from ringfence.resources.compare import matches, whole
from ringfence.resources.kinds import pod_template
from ringfence.resources.model import Runs
from ringfence.resources.runs import request_digest, requested_run, spec_run
from ringfence.resources.stored import Desired, immutable_differs, stored
from unit.resources import agents

JOB: dict[str, Any] = {"run": {"mode": "Job"}}
IMAGE = "registry.example/acme/a@sha256:" + "a" * 64
NIGHTLY: dict[str, Any] = {"run": {"mode": "Schedule", "schedule": "0 3 * * *"}}


def make(spec: dict[str, Any]) -> Agent:
    return agents.make({"spec": {"image": IMAGE} | spec, "fence_uid": "fence"})


def workloads(agent: Agent) -> list[Manifest]:
    return [one for one in build(agent) if one["kind"] in {"Deployment", "CronJob", "Job"}]


def only(agent: Agent) -> Manifest:
    (found,) = workloads(agent)
    return found


@pytest.mark.parametrize("spec", [JOB, NIGHTLY], ids=["Job", "CronJob"])
def test_the_pod_is_that_of_a_service_but_for_its_restarts(spec: dict[str, Any]) -> None:
    rest = {"scratch": [{"path": "/data", "size": "1Mi"}], "files": [{"path": "/etc/a", "content": "x"}]}
    service, run = only(make(rest)), only(make(rest | spec))
    wanted, found = pod_template("Deployment", service), pod_template(run["kind"], run)
    assert found["metadata"] == wanted["metadata"]
    assert found["spec"] == wanted["spec"] | {"restartPolicy": "Never"}


@pytest.mark.parametrize("spec", [JOB, NIGHTLY], ids=["Job", "CronJob"])
def test_the_fence_outlives_it(spec: dict[str, Any]) -> None:
    found = only(make(spec))["metadata"]
    assert [one["kind"] for one in found["ownerReferences"]] == ["AgentDeployment", "NetworkPolicy"]
    assert found["finalizers"] == ["foregroundDeletion"]


@pytest.mark.parametrize("edit", [{"hostAliases": [{"ip": "10.96.0.7", "hostnames": ["s"]}]}, {"dnsPolicy": "None"}])
def test_a_run_keeps_the_names_that_it_began_with(edit: dict[str, Any]) -> None:
    """A Service that another one takes the place of ends no run, and the next one begins with its new address."""
    wanted, live = only(make(JOB)), only(make(JOB))
    pod_template("Job", live)["spec"].update(edit)
    live["metadata"] |= {"uid": "u", "resourceVersion": "7"}
    live["spec"]["selector"] = {}
    assert matches(wanted, live)
    assert not immutable_differs(Desired(wanted), stored(live))
    assert (stored(live).shown or {})["template"] == Desired(wanted).template
    assert pod_template("Job", whole(wanted, live))["spec"] == pod_template("Job", live)["spec"]
    schedule = only(make(NIGHTLY))
    pod_template("CronJob", schedule)["spec"].update(edit)
    assert not matches(only(make(NIGHTLY)), schedule | {"metadata": schedule["metadata"] | {"uid": "u"}})
    other = only(make(JOB | {"runAsUser": 2000}))
    assert immutable_differs(Desired(other), stored(live))


def test_a_job() -> None:
    fields = {"deadline": "90m", "retries": 2}
    spec = only(make({"run": {"mode": "Job", **fields}}))["spec"]
    assert (spec["activeDeadlineSeconds"], spec["backoffLimit"], spec["suspend"]) == (5400, 2, False)
    assert (spec["parallelism"], spec["completions"], spec["podReplacementPolicy"]) == (1, 1, "Failed")
    bare = only(make(JOB))["spec"]
    assert (bare["activeDeadlineSeconds"], bare["backoffLimit"]) == (3600, 0)
    assert only(make(JOB | {"suspended": True}))["spec"]["suspend"] is True


def test_a_schedule() -> None:
    more = {"timeZone": "Europe/Paris", "concurrency": "Replace", "keep": {"succeeded": 1, "failed": 0, "time": "2h"}}
    spec = only(make({"run": NIGHTLY["run"] | more}))["spec"]
    assert (spec["schedule"], spec["timeZone"], spec["concurrencyPolicy"]) == ("0 3 * * *", "Europe/Paris", "Replace")
    assert (spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == (1, 0)
    assert spec["jobTemplate"]["spec"]["ttlSecondsAfterFinished"] == 7200
    assert spec["startingDeadlineSeconds"] / 60 < 100, "each minute missed, and still under Kubernetes' hundred"
    bare = only(make(NIGHTLY))["spec"]
    assert (bare["timeZone"], bare["concurrencyPolicy"], bare["suspend"]) == ("Etc/UTC", "Forbid", False)
    held = replace(make(NIGHTLY), runs=Runs(held=True))
    assert only(held)["spec"]["suspend"] is True


def test_a_run_is_named_for_what_runs() -> None:
    name = spec_run("a", make(JOB).spec)
    unchanged: tuple[dict[str, Any], ...] = (
        {"suspended": True},
        {"network": {"egress": [{"cidr": "203.0.113.0/28", "ports": [443]}]}},
        {"run": {"mode": "Job", "retries": 3, "deadline": "2h"}},
        {"env": [], "scratch": []},
    )
    for same in unchanged:
        assert spec_run("a", make(JOB | same).spec) == name, same
    for other in ({"args": ["x"]}, {"env": [{"name": "A", "value": "b"}]}, {"resources": {"limits": {"cpu": "2"}}}):
        assert spec_run("a", make(JOB | other).spec) != name, other
    assert name.startswith("ringfence-a-s")
    assert len(spec_run("a" * 42, make(JOB).spec)) <= 63


def test_a_request_has_a_run_of_its_own() -> None:
    one, two = (requested_run("a", request_digest(text)) for text in ("x", "y"))
    assert one != two
    assert one == requested_run("a", request_digest("x"))
    assert request_digest("") == request_digest(None) == ""
    found = workloads(replace(make(NIGHTLY), runs=Runs(by_spec=False, request=one)))
    assert [(child["kind"], child["metadata"]["name"]) for child in found][1:] == [("Job", one)]
    cron_job, job = found
    assert pod_template("Job", job) == pod_template("CronJob", cron_job)


def test_what_the_api_server_adds_to_a_job_is_no_edit() -> None:
    wanted = only(make(JOB))
    live = {**wanted, "metadata": wanted["metadata"] | {"uid": "u"}, "spec": dict(wanted["spec"])}
    live["spec"]["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}}
    generated = dict.fromkeys(("controller-uid", "job-name", "batch.kubernetes.io/job-name"), "u")
    template = wanted["spec"]["template"]
    labels = template["metadata"]["labels"] | generated
    metadata = template["metadata"] | {"labels": labels, "creationTimestamp": None}
    live["spec"]["template"] = template | {"metadata": metadata}
    assert matches(wanted, live)
    live["spec"]["template"] = template | {"metadata": metadata | {"labels": labels | {"app": "x"}}}
    assert not matches(wanted, live)
    live["spec"]["template"] = template | {"metadata": {"labels": labels}}
    live["spec"]["parallelism"] = 2
    assert not matches(wanted, live)
    live["metadata"]["resourceVersion"] = "7"
    put = whole(wanted, live)
    assert put["spec"]["selector"] == live["spec"]["selector"]
    assert put["spec"]["template"]["metadata"]["labels"] == labels
    assert put["spec"]["parallelism"] == 1


def test_a_rotation_restarts_no_run() -> None:
    """And so has no right on any workload: a run that is ended at its deadline has nothing to do with it."""
    secret = {
        "name": "signing",
        "source": {"generate": {"length": 32}},
        "rotation": {"every": "720h", "overlap": "1h"},
        "delivery": {"env": {"name": "KEY"}},
    }
    children = build(replace(make(NIGHTLY | {"secrets": [secret]}), job_image=JobImage("registry.example/ringfence")))
    role = next(one for one in children if one["kind"] == "Role")
    assert [rule["resources"] for rule in role["rules"]] == [["secrets"]]
    job = next(one for one in children if one["kind"] == "CronJob" and "." in one["metadata"]["name"])
    (container,) = pod_template("CronJob", job)["spec"]["containers"]
    assert not [word for word in container["args"] if word.startswith("--restart")]
