"""What becomes of the runs of an agent, and what is told of them."""

import copy
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ringfence.api.names import RUN_ANNOTATION
from ringfence.controller.agent import conditions, runs
from ringfence.controller.agent.actions import EnsureChild, RemoveRun, StopWorkload
from ringfence.controller.agent.observed import Observed
from ringfence.controller.agent.plan import plan
from ringfence.resources import Ref, build
from ringfence.resources.model import Runs
from ringfence.resources.runs import request_digest, requested_run, spec_run
from ringfence.resources.secrets import stamp
from ringfence.resources.stored import StoredChild, stored
from ringfence.store.records import read_pod
from unit.controller import make
from unit.controller.make import KEY, NOW, UID, all_children, as_stored, body, observed, remembered, told

JOB: dict[str, Any] = {"run": {"mode": "Job"}}
NIGHTLY: dict[str, Any] = {"run": {"mode": "Schedule", "schedule": "0 3 * * *"}}
OWN = spec_run("a", make.agent(JOB).spec)
ASKED = requested_run("a", request_digest("please"))
SCHEDULED = "ringfence-a-29000000"
CRON = Ref("CronJob", "team", "ringfence-a")
THEN, LATER = "2026-01-31T11:00:00Z", "2026-01-31T11:30:00Z"


def job(name: str, spec: Any, *, state: str = "active", ended: str = LATER, **metadata: Any) -> StoredChild:
    """A Job of the agent. `state`: active, Complete, or why it failed."""
    agent = replace(make.agent(spec), runs=Runs(by_spec=name == OWN, request=None if name == OWN else name))
    manifest = copy.deepcopy(next(one for one in build(agent) if one["kind"] == "Job"))
    status: dict[str, Any] = {"startTime": THEN}
    if state == "active":
        status |= {"active": 1, "ready": 1}
    else:
        kind, reason = ("Complete", "") if state == "Complete" else ("Failed", state)
        status["conditions"] = [{"type": kind, "status": "True", "reason": reason, "lastTransitionTime": ended}]
    manifest["metadata"] |= {"uid": f"uid-{name}", "resourceVersion": "7", "creationTimestamp": THEN} | metadata
    if name == SCHEDULED:
        owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": CRON.name, "uid": f"uid-{CRON.name}"}
        manifest["metadata"]["ownerReferences"] = [owner | {"controller": True, "blockOwnerDeletion": True}]
    return stored(manifest | {"status": status})


def seen(
    spec: Any, jobs: Iterable[StoredChild] = (), *, status: Any = None, request: str = "", **more: Any
) -> Observed:
    """An accepted agent with its children but for Jobs, and those Jobs."""
    children = [one for one in all_children(spec) if one.ref.kind != "Job"] if "children" not in more else []
    children = more.pop("children", children)
    found = list(jobs)
    annotations = {"annotations": {RUN_ANNOTATION: request}} if request else {}
    about = body(spec, status={"acceptedGeneration": 1, **(status or {})}, **annotations)
    every = [*children, *found]
    return observed(spec, children=every, agent_body=about, runs=found, ownership=remembered(children), **more)


def wanted(what: Observed) -> list[str]:
    """Names of the Jobs that are written."""
    actions = plan(what).actions
    return [one.desired.ref.name for one in actions if isinstance(one, EnsureChild) and one.desired.ref.kind == "Job"]


def removed(what: Observed) -> list[str]:
    return [one.child.ref.name for one in plan(what).actions if isinstance(one, RemoveRun)]


def entries(what: Observed) -> list[tuple[str, str, str | None]]:
    found = runs.history(what, plan(what).runs, stamp(what.now))
    return [(one["name"], one["outcome"], one.get("reason")) for one in found.get("runs") or []]


def status_after(what: Observed) -> dict[str, Any]:
    return runs.history(what, plan(what).runs, stamp(what.now))


class TestJob:
    def test_a_run_begins_and_is_no_repair(self) -> None:
        (action,) = [one for one in plan(seen(JOB)).actions if isinstance(one, EnsureChild)]
        assert (action.desired.ref.name, action.known) == (OWN, False)

    def test_one_at_work_is_kept_as_it_is(self) -> None:
        what = seen(JOB, [job(OWN, JOB)])
        assert told(plan(what)) == []
        assert entries(what) == [(OWN, "Running", None)]

    def test_one_that_somebody_deleted_at_work_is_put_back(self) -> None:
        what = seen(JOB, status={"runs": [{"name": OWN, "cause": "Spec", "outcome": "Running", "started": THEN}]})
        (action,) = [one for one in plan(what).actions if isinstance(one, EnsureChild)]
        assert action.known

    @pytest.mark.parametrize(("state", "outcome"), [("Complete", "Succeeded"), ("DeadlineExceeded", "Failed")])
    def test_one_that_ended_is_told_and_not_repeated(self, state: str, outcome: str) -> None:
        what = seen(JOB, [job(OWN, JOB, state=state)])
        assert told(plan(what)) == []
        after = status_after(what)
        assert (after["runs"][0]["outcome"], after["lastSpecRun"]) == (outcome, OWN)
        assert wanted(seen(JOB, status=after)) == [], "also when the Job is not kept any more"

    def test_what_runs_is_changed_so_the_one_at_work_ends_first(self) -> None:
        changed = JOB | {"args": ["x"]}
        what = seen(changed, [job(OWN, JOB)])
        assert removed(what) == [OWN]
        assert wanted(what) == []
        assert entries(what) == [(OWN, "Ended", "SpecChanged")]
        going = seen(changed, [job(OWN, JOB, deletionTimestamp=LATER)])
        assert wanted(going) == [], "its pods may take half a minute"
        assert wanted(seen(changed)) == [spec_run("a", make.agent(changed).spec)]

    def test_a_spec_that_goes_back_runs_again(self) -> None:
        entry = {"name": OWN, "cause": "Spec", "outcome": "Succeeded", "started": THEN, "ended": LATER}
        other = {"runs": [entry], "lastSpecRun": "ringfence-a-s00000000"}
        assert removed(seen(JOB, [job(OWN, JOB, state="Complete")], status=other)) == [OWN]
        assert wanted(seen(JOB, status=other)) == [OWN]

    def test_suspended(self) -> None:
        spec = JOB | {"suspended": True}
        assert wanted(seen(spec)) == []
        what = seen(spec, [job(OWN, JOB)])
        assert wanted(what) == [OWN]
        assert removed(what) == []

    def test_a_stop_suspends_it(self) -> None:
        what = seen(JOB, [job(OWN, JOB)])
        (stop,) = [one for one in plan(replace(what, agent=_deleting(what))).actions if isinstance(one, StopWorkload)]
        assert stop.ref == Ref("Job", "team", OWN)


class TestSchedule:
    def test_what_the_schedule_began_is_left_to_it(self) -> None:
        what = seen(NIGHTLY, [job(SCHEDULED, NIGHTLY)])
        assert told(plan(what)) == []
        assert entries(what) == [(SCHEDULED, "Running", None)]

    def test_suspended_it_ends(self) -> None:
        what = seen(NIGHTLY | {"suspended": True}, [job(SCHEDULED, NIGHTLY)])
        assert removed(what) == [SCHEDULED]
        assert entries(what) == [(SCHEDULED, "Ended", "Suspended")]

    def test_one_of_another_template_ends_and_its_pods_at_once(self) -> None:
        """Whether the spec was changed or somebody edited the CronJob."""
        strange = job(SCHEDULED, NIGHTLY | {"args": ["x"]})
        owner = {"kind": "Job", "name": SCHEDULED, "uid": strange.uid, "controller": True}
        pods = []
        for name, grace in (("ours", 30), ("slow", 3600)):
            metadata: dict[str, Any] = {"namespace": "team", "name": name, "resourceVersion": "9"}
            metadata["ownerReferences"] = [owner]
            metadata["labels"] = {"ringfence.dev/agent": "a"}
            pods.append(read_pod({"metadata": metadata, "spec": {"terminationGracePeriodSeconds": grace}}))
        what = seen(NIGHTLY, [strange], pods=pods)
        (action,) = [one for one in plan(what).actions if isinstance(one, RemoveRun)]
        assert [pod.key.name for pod in action.pods] == ["slow"]

    def test_a_stop_ends_it_and_suspends_the_schedule(self) -> None:
        what = seen(NIGHTLY, [job(SCHEDULED, NIGHTLY)])
        (stop,) = [one for one in plan(replace(what, agent=_deleting(what))).actions if isinstance(one, StopWorkload)]
        assert stop.ref == CRON
        assert [run.ref.name for run in stop.runs] == [SCHEDULED]


class TestRequest:
    @pytest.mark.parametrize("spec", [JOB, NIGHTLY], ids=["Job", "Schedule"])
    def test_it_is_answered_once(self, spec: dict[str, Any]) -> None:
        done = {"lastSpecRun": OWN}
        assert wanted(seen(spec, request="please", status=done)) == [ASKED]
        at_work = seen(spec, [job(ASKED, spec)], request="please", status=done)
        assert removed(at_work) == []
        ended = seen(spec, [job(ASKED, spec, state="Complete")], request="please", status=done)
        after = done | status_after(ended)
        assert after["lastRequestedRun"] == ASKED
        assert wanted(seen(spec, request="please", status=after)) == []
        assert wanted(seen(spec, request="again", status=after)) == [requested_run("a", request_digest("again"))]

    @pytest.mark.parametrize(
        ("spec", "why"),
        [({}, "NoRuns"), (NIGHTLY | {"suspended": True}, "Suspended"), (NIGHTLY | {"image": "x"}, "NotAccepted")],
    )
    def test_it_is_refused_and_stays_so(self, spec: dict[str, Any], why: str) -> None:
        what = seen(spec, request="please", children=[])
        assert wanted(what) == []
        after = status_after(what)
        assert [(one["outcome"], one["reason"]) for one in after["runs"]] == [("Refused", why)]
        assert wanted(seen(NIGHTLY, request="please", status=after)) == [], "resumed, it does not begin late"

    @pytest.mark.parametrize(
        ("concurrency", "begins", "ends"),
        [("Forbid", [], []), ("Replace", [], [SCHEDULED]), ("Allow", [ASKED], [])],
    )
    def test_a_request_beside_another_run(self, concurrency: str, begins: list[str], ends: list[str]) -> None:
        spec = {"run": NIGHTLY["run"] | {"concurrency": concurrency}}
        what = seen(spec, [job(SCHEDULED, spec)], request="please")
        assert (wanted(what), removed(what)) == (begins, ends)
        assert [one[1:] for one in entries(what) if one[0] == ASKED] == (
            [("Refused", "AnotherRun")] if concurrency == "Forbid" else []
        )
        if concurrency == "Replace":
            going = seen(spec, [job(SCHEDULED, spec, deletionTimestamp=LATER)], request="please")
            assert wanted(going) == []

    def test_while_it_is_at_work_the_schedule_waits(self) -> None:
        what = seen(NIGHTLY, [job(ASKED, NIGHTLY)], request="please")
        (action,) = [one for one in plan(what).actions if isinstance(one, EnsureChild)]
        assert (action.desired.ref, action.desired.manifest["spec"]["suspend"]) == (CRON, True)


class TestMode:
    def test_another_workload_waits_for_the_one_before(self) -> None:
        what = seen(JOB, children=all_children({}))
        assert told(plan(what)) == ["remove Deployment/", "waits until Deployment ringfence-a has ended"]
        back = seen({}, [job(OWN, JOB)], children=[one for one in all_children(JOB) if one.ref.kind != "Job"])
        assert told(plan(back)) == [f"remove run Job/-{OWN[12:]}", f"waits until Job {OWN} has ended"]

    def test_and_for_its_pods(self) -> None:
        what = seen(NIGHTLY, pods=[read_pod(make.left_pod(grace=30))], children=[*all_children({})][:-1])
        assert told(plan(what)) == ["waits until pod left has ended"]

    def test_a_rotation_is_no_workload(self) -> None:
        what = seen(JOB | make.SECRETS, children=all_children(make.SECRETS, job_image=make.JOBS), job_image=make.JOBS)
        assert "remove CronJob" not in " ".join(told(plan(what)))


def test_what_is_not_kept_goes() -> None:
    spec = {"run": NIGHTLY["run"] | {"keep": {"succeeded": 1, "failed": 0, "time": "1h"}}}
    names = [f"ringfence-a-r0000000{number}" for number in range(4)]
    jobs = [
        job(names[0], spec, state="Complete", ended=stamp(NOW - timedelta(minutes=1))),
        job(names[1], spec, state="Complete", ended=stamp(NOW - timedelta(minutes=2))),
        job(names[2], spec, state="BackoffLimitExceeded"),
        job(names[3], spec),
    ]
    assert set(removed(seen(spec, jobs))) == {names[1], names[2]} or set(removed(seen(spec, jobs))) == {
        names[0],
        names[2],
    }
    old = [job(names[0], spec, state="Complete", ended=stamp(NOW - timedelta(hours=1)))]
    assert removed(seen(spec, old)) == names[:1]
    asked = [job(ASKED, spec, state="BackoffLimitExceeded")]
    assert removed(seen(spec, asked, request="please")) == [], "not before its end is told"


def test_the_history_is_bounded() -> None:
    over = {"cause": "Schedule", "outcome": "Succeeded", "ended": THEN}
    before = [
        over | {"name": f"ringfence-a-2900000{number}", "started": f"2026-01-0{number}"} for number in range(1, 10)
    ]
    what = seen(NIGHTLY, [job(SCHEDULED, NIGHTLY), job(ASKED, NIGHTLY)], status={"runs": before})
    found = status_after(what)["runs"]
    assert len(found) == runs.MOST
    assert {one["outcome"] for one in found[:2]} == {"Running"}


def test_one_that_vanished_is_told() -> None:
    gone = {"name": SCHEDULED, "cause": "Schedule", "outcome": "Running", "started": THEN}
    assert entries(seen(NIGHTLY, status={"runs": [gone]})) == [(SCHEDULED, "Ended", "Removed")]


@pytest.mark.parametrize(
    ("outcomes", "suspended", "status", "reason"),
    [
        ([], False, "True", "Scheduled"),
        (["Running"], False, "True", "Running"),
        (["Running", "Failed"], False, "True", "Running"),
        (["Succeeded", "Failed"], False, "True", "RunSucceeded"),
        (["Failed", "Succeeded"], False, "False", "RunFailed"),
        (["Refused", "Ended", "Failed"], False, "False", "RunFailed"),
        (["Succeeded"], True, "False", "Suspended"),
    ],
)
def test_the_condition(outcomes: list[str], suspended: bool, status: str, reason: str) -> None:
    listed = [{"name": f"r{number}", "outcome": outcome} for number, outcome in enumerate(outcomes)]
    run = make.agent(NIGHTLY).spec.run
    found = conditions.runs(run, listed, started=True, suspended=suspended, diagnosis=None)
    assert (found.status, found.reason) == (status, reason)
    sum_of_all = conditions.ready([found])
    assert (sum_of_all.status, sum_of_all.reason) == (status, reason)


def _deleting(what: Observed) -> Any:
    assert what.agent is not None
    return replace(what.agent, deleting=True)


def test_names_are_apart() -> None:
    """A stored child of each kind is told from the others by its name."""
    assert as_stored(build(make.agent(JOB))[-1]).ref.name == OWN
    assert (KEY.name, UID) == ("a", "u")
