"""The trial of an agent's fence: when its Job is to be, what is told of it, and when it goes."""

import copy
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ringfence.api.names import AGENT_LABEL, VERIFY_ANNOTATION
from ringfence.api.status import AgentStatus, ConditionType, Reason
from ringfence.controller.agent import verification
from ringfence.controller.agent.actions import EnsureChild, RemoveChild
from ringfence.controller.agent.execute import Blocked, Outcome
from ringfence.controller.agent.observe import Observer
from ringfence.controller.agent.observed import Observed
from ringfence.controller.agent.plan import plan
from ringfence.controller.agent.report import After, Report, report
from ringfence.kube import path_of
from ringfence.packets.trying import Result, Verdict, message
from ringfence.proof.attempts import Surroundings
from ringfence.resources import build
from ringfence.resources.model import Verification
from ringfence.resources.secrets import stamp
from ringfence.resources.stored import StoredChild, stored
from ringfence.resources.verification import is_verification, verification_name
from ringfence.store.records import StoredPod, read_pod
from unit.controller import make
from unit.controller.make import NOW, all_children, body, observed, remembered
from unit.fakes.kube import FakeKube

REQUEST = "2026-01-31T12:00:00Z"
NAME = verification_name("a", REQUEST)
RUNNING = {
    "metadata": {"name": "ringfence-a", "generation": 1},
    "spec": {"replicas": 1},
    "status": {"observedGeneration": 1, **dict.fromkeys(make.NUMBERS, 1)},
}
ROWS: list[dict[str, Any]] = [
    {"id": "canary: 10.96.0.9:8080", "want": "closed", "why": "it answers everybody", "do": "connect"},
    {"id": "service tools/search: 10.96.7.7:8443", "want": "open", "why": "the spec allows it", "do": "connect"},
]
HELD = [Result(ROWS[0], Verdict.HELD, "Silent"), Result(ROWS[1], Verdict.HELD, "Answered")]
THROUGH = [Result(ROWS[0], Verdict.FAILED, "Answered"), HELD[1]]
LOST = [HELD[0], Result(ROWS[1], Verdict.FAILED, "Silent")]
UNTRIED = [HELD[0], Result(ROWS[1], Verdict.UNTRIED, "EMFILE")]
QUIET = [Result(ROWS[0] | {"sure": False}, Verdict.SILENT, "Silent"), HELD[1]]


def job(*, ended: int | None = None) -> StoredChild:
    """The Job as it is stored. `ended`: seconds ago, by its deadline."""
    agent = replace(make.agent(), verification=Verification(NAME, "[]"), job_image=make.JOBS)
    manifest = copy.deepcopy(next(one for one in build(agent) if one["kind"] == "Job"))
    manifest["metadata"] |= {"uid": "uid-job", "resourceVersion": "7", "creationTimestamp": REQUEST}
    end = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}
    when = stamp(NOW - timedelta(seconds=ended or 0))
    conditions = [] if ended is None else [end | {"lastTransitionTime": when}]
    return stored(manifest | {"status": {"conditions": conditions}})


def pod(text: str | None = None, **state: Any) -> StoredPod:
    """Its pod. `text`: the termination message."""
    ended = {"terminated": {"exitCode": 0, "reason": "Completed", "message": text}} if text is not None else state
    owner = {"kind": "Job", "name": NAME, "uid": "uid-job", "controller": True}
    metadata = {"namespace": "team", "name": f"{NAME}-x", "labels": {AGENT_LABEL: "a"}, "ownerReferences": [owner]}
    status = {"phase": "Pending" if state else "Succeeded", "containerStatuses": [{"ready": False, "state": ended}]}
    return read_pod({"metadata": metadata, "spec": {}, "status": status})


def seen(spec: Any = None, *, request: str = REQUEST, status: Any = None, trial: Any = None, **more: Any) -> Observed:
    children = all_children(spec)
    about = body(spec, status={"acceptedGeneration": 1, **(status or {})}, annotations={VERIFY_ANNOTATION: request})
    found = [*children, *([trial] if trial else [])]
    known: dict[str, Any] = {"job_image": make.JOBS, "ownership": remembered(found)} | more
    return observed(spec, children=found, agent_body=about, trial=trial, **known)


def come_to(what: Observed, *, blocked: Blocked | None = None, trouble: str = "") -> Report:
    after = After(workload=RUNNING, secrets=[], trouble=trouble)
    return report(what, plan(what), Outcome(blocked=blocked), after)


def made(what: Observed) -> list[EnsureChild]:
    return [
        one for one in plan(what).actions if isinstance(one, EnsureChild) and is_verification(*one.desired.ref[::2])
    ]


def removed(what: Observed) -> list[str]:
    return [one.child.ref.name for one in plan(what).actions if isinstance(one, RemoveChild)]


async def trouble(watching: Observer, what: Observed) -> str:
    return await watching._trial_trouble(what)


def verdict(found: Report) -> tuple[str, str]:
    one = next(one for one in found.findings if one.type is ConditionType.FENCE_VERIFIED)
    return one.status, str(one.reason)


class TestWhen:
    def test_a_request_makes_one_job_and_is_no_repair(self) -> None:
        (action,) = made(seen())
        assert (action.desired.ref.name, action.known) == (NAME, False)
        env = action.desired.manifest["spec"]["template"]["spec"]["containers"][0]["env"]
        ids = [row["id"] for row in json.loads(env[0]["value"])]
        assert "kubelet: node:10250" in ids

    def test_without_a_request_nothing_is_tried_or_told(self) -> None:
        what = seen(request="")
        assert made(what) == []
        assert ConditionType.FENCE_VERIFIED not in [one.type for one in come_to(what).findings]

    def test_one_that_has_begun_goes_on_though_other_things_are_around_the_agent(self) -> None:
        begun = seen(trial=job(), around=Surroundings(gateways=("10.96.0.77",)))
        assert made(begun) == []
        assert removed(begun) == []

    def test_one_that_was_answered_is_not_repeated_and_its_job_goes(self) -> None:
        answered = come_to(seen(trial=job(), trial_pods=[pod(message(HELD, 1))])).status
        after = seen(status=answered, trial=job())
        assert made(after) == []
        assert removed(after) == [NAME]
        assert made(seen(status=answered, request="another")) != []

    @pytest.mark.parametrize(
        ("spec", "more", "words"),
        [
            ({"suspended": True}, {}, "suspended"),
            ({"replicas": 0}, {}, "no replicas"),
            (None, {"job_image": None}, "--job-image"),
            (
                {"network": {"egress": [{"cidr": "10.0.0.0/8", "ports": [443]}]}},
                {"status": {"acceptedGeneration": None}},
                "not accepted",
            ),
        ],
    )
    def test_what_cannot_be_tried_is_said_at_once(self, spec: Any, more: Any, words: str) -> None:
        what = seen(spec, **more)
        assert made(what) == []
        found = come_to(what)
        assert found.status["verification"]["outcome"] == "NotTried"
        assert words in found.status["verification"]["message"]
        assert verdict(found) == ("Unknown", "NotTried")

    def test_a_fence_that_is_not_in_its_place_is_not_tried(self) -> None:
        blocked = Blocked(ConditionType.NETWORK_POLICY_APPLIED, Reason.WRITE_FAILED, "quota")
        found = come_to(seen(), blocked=blocked)
        assert found.status["verification"]["message"].endswith("NetworkPolicyApplied: quota")


class TestWhatCameOfIt:
    @pytest.mark.parametrize(
        ("results", "condition", "outcome", "words"),
        [
            (HELD, ("True", "FenceHolds"), "Held", "2 attempts came out as they must"),
            (QUIET, ("True", "FenceHolds"), "Held", "1 of them were silent"),
            (
                THROUGH,
                ("False", "FenceOpen"),
                "Failed",
                "1 of 2 attempts failed: canary: 10.96.0.9:8080 must be closed",
            ),
            (LOST, ("False", "NotReached"), "Failed", "must be open (the spec allows it), and came to: Silent"),
            (UNTRIED, ("Unknown", "NotTried"), "NotTried", "1 of 2 attempts could not be made"),
        ],
    )
    def test_of_each_result(self, results: Any, condition: Any, outcome: str, words: str) -> None:
        found = come_to(seen(trial=job(), trial_pods=[pod(message(results, 1))]))
        told = found.status["verification"]
        assert (verdict(found), told["outcome"], told["tried"]) == (condition, outcome, 2)
        assert words in told["message"]
        assert found.look.after == 0.0, "its Job is taken away"
        AgentStatus.model_validate(found.status)

    def test_a_fence_that_is_open_does_not_end_the_agent_but_is_told(self) -> None:
        found = come_to(seen(trial=job(), trial_pods=[pod(message(THROUGH, 1))]))
        ready = next(one for one in found.findings if one.type is ConditionType.READY)
        assert ready.status == "True"
        assert [one.told for one in found.changed if one.type == "FenceVerified"] == [True]

    @pytest.mark.parametrize("text", ["", "Traceback (most recent call last)", "[]", '{"tried":1}', '{"tried":"x"}'])
    def test_what_cannot_be_read_proves_nothing(self, text: str) -> None:
        found = come_to(seen(trial=job(ended=10), trial_pods=[pod(text)]))
        assert verdict(found) == ("Unknown", "NotTried")

    def test_of_another_pod_nothing_is_taken(self) -> None:
        other = replace(pod(message(THROUGH, 1)), job=("ringfence-a.verify-x00000000", "uid"))
        found = come_to(seen(trial=job(), trial_pods=[other]))
        assert verdict(found) == ("Unknown", "Progressing")
        assert found.look.after == verification.LOOK

    def test_another_spec_makes_it_unknown(self) -> None:
        answered = come_to(seen(trial=job(), trial_pods=[pod(message(HELD, 1))])).status
        later = seen(status=answered)
        assert later.agent is not None
        assert verdict(come_to(later)) == ("True", "FenceHolds"), "it stands as long as the spec does"
        changed = replace(later, agent=replace(later.agent, generation=2))
        assert verdict(come_to(changed)) == ("Unknown", "SpecChanged")


class TestWhatHindersIt:
    def test_it_is_said_meanwhile(self) -> None:
        found = come_to(seen(trial=job()), trouble="ImagePullBackOff")
        assert verdict(found) == ("Unknown", "Progressing")
        (told,) = [one.message for one in found.findings if one.type is ConditionType.FENCE_VERIFIED]
        assert told == "is being tried: ImagePullBackOff"

    async def test_what_the_pod_said_is_known_when_it_is_gone(self) -> None:
        watching = Observer(FakeKube(), *[None] * 3)  # type: ignore[arg-type] # nothing else is asked
        waiting = pod(waiting={"reason": "ImagePullBackOff", "message": "not found"})
        assert "ImagePullBackOff" in await trouble(watching, seen(trial=job(), trial_pods=[waiting]))
        assert "ImagePullBackOff" in await trouble(watching, seen(trial=job(ended=1)))
        assert await trouble(watching, seen()) == ""
        assert await trouble(watching, seen(trial=job(ended=1))) == "", "it is over"

    async def test_why_a_job_makes_no_pod_is_in_its_events(self) -> None:
        kube = FakeKube()
        for number, (reason, text) in enumerate(
            [("FailedCreate", "exceeded  quota"), ("DeadlineExceeded", "too long")]
        ):
            about = {"kind": "Job", "name": NAME}
            event = {"type": "Warning", "reason": reason, "message": text, "involvedObject": about}
            place = path_of("v1", "events", "team", f"e{number}")
            kube.cluster.put(place, event | {"metadata": {"name": f"e{number}", "namespace": "team"}})
        watching = Observer(kube, *[None] * 3)  # type: ignore[arg-type] # nothing else is asked
        assert await trouble(watching, seen(trial=job())) == "exceeded quota"

    def test_a_quota_is_said(self) -> None:
        found = come_to(seen(trial=job(ended=10)), trouble="exceeded quota: pods=1")
        assert "exceeded quota" in found.status["verification"]["message"]

    def test_a_pod_that_is_told_late_is_waited_for(self) -> None:
        assert "verification" not in come_to(seen(trial=job(ended=1))).status
