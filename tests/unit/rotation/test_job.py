"""The job against an API server that dies, loses replies and lets others be faster."""

import asyncio
import base64
import contextlib
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import structlog

from ringfence.kube import ApiError, NotFound, Unreachable
from ringfence.resources.secrets import PREVIOUS_UNTIL, ROTATED_AT, ROTATED_BY, stamp
from ringfence.rotation.job import Unfinished, run
from ringfence.rotation.plan import Order, Step
from unit.fakes.kube import FakeKube, Request

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECRET = "/api/v1/namespaces/team/secrets/s"
WORKLOAD = "/apis/apps/v1/namespaces/team/deployments/d"
FILE = Order(secret="s", cron_job="rotate-a", length=40, every=720 * HOUR, overlap=HOUR)
ENV = Order(secret="s", cron_job="rotate-a", length=40, every=720 * HOUR, overlap=HOUR, restart="d", annotation="x")
TICK = "rotate-a-29000000"
FIRST = "a-first-value-that-nobody-may-see"


class Killed(BaseException):
    """The process ends here."""


class Kube(FakeKube):
    """One Secret and one Deployment. `fault`: number of a write -> what befalls it, before or after it is stored."""

    def __init__(self, *, age: timedelta, restarted: bool = True) -> None:
        super().__init__()
        born = stamp(NOW - age)
        self.secret = self.cluster.put(
            SECRET,
            {
                "metadata": {"name": "s", "annotations": {ROTATED_AT: born}},
                "data": {"value": base64.b64encode(FIRST.encode()).decode()},
            },
        )
        annotations = {"x": born} if restarted else {}
        self.workload = self.cluster.put(
            WORKLOAD,
            {
                "metadata": {"generation": 1},
                "spec": {"replicas": 1, "template": {"metadata": {"annotations": annotations}}},
            },
        )
        self.roll_out()
        self.values = [str(self.secret["data"]["value"])]
        """Every value that was ever stored."""
        self.done: list[str] = []
        self.fault: dict[int, tuple[str, BaseException]] = {}
        self.interfere: Callable[[], None] | None = None
        self._number = 0
        self.before.append(self._before)
        self.after.append(self._after)

    def roll_out(self, available: int = 1) -> None:
        """What the Deployment's controller would report of its pods."""
        generation = self.workload["metadata"]["generation"]
        self.workload["status"] = {
            "observedGeneration": generation,
            "updatedReplicas": 1,
            "availableReplicas": available,
        }

    def edit(self, **data: str) -> None:
        """Somebody's hand."""
        version = str(int(self.secret["metadata"]["resourceVersion"]) + 1000)
        metadata = self.secret["metadata"] | {"resourceVersion": version}
        self.secret = self.cluster.put(SECRET, self.secret | {"metadata": metadata, "data": self.secret["data"] | data})

    def _before(self, request: Request) -> None:
        if request.verb == "get":
            return
        self._number += 1
        if (fault := self.fault.get(self._number)) and fault[0] == "before":
            raise fault[1]
        if request.verb == "replace" and self.interfere:
            change, self.interfere = self.interfere, None
            change()

    def _after(self, request: Request) -> None:
        if request.verb == "get":
            return
        assert (request.verb, request.path) in {("replace", SECRET), ("merge", WORKLOAD)}
        self.done.append({"replace": "secret", "merge": "restart"}[request.verb])
        self.secret, self.workload = self.objects[SECRET], self.objects[WORKLOAD]
        if request.verb == "merge":
            self.roll_out()
        if self.secret["data"]["value"] != self.values[-1]:
            self.values.append(str(self.secret["data"]["value"]))
        if (fault := self.fault.get(self._number)) and fault[0] == "after":
            raise fault[1]


async def tick(kube: Kube, order: Order, *, job: str = TICK, now: datetime = NOW) -> list[Step]:
    return await run(kube, order, namespace="team", job=job, clock=lambda: now)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(_: float) -> None: ...

    monkeypatch.setattr(asyncio, "sleep", at_once)


async def test_a_fresh_key_is_left_alone() -> None:
    kube = Kube(age=HOUR)
    assert await tick(kube, FILE) == []
    assert kube.done == []


@pytest.mark.parametrize("length", [20, 40, 256])
async def test_a_value_has_the_length_asked_for(length: int) -> None:
    kube = Kube(age=720 * HOUR)
    await tick(kube, Order("s", "rotate-a", length, 720 * HOUR, HOUR))
    value = base64.b64decode(kube.values[-1]).decode()
    assert len(value) == length
    assert value.isalnum()
    assert value.isascii()


async def test_pods_are_restarted_after_the_value_is_stored() -> None:
    kube = Kube(age=720 * HOUR)
    assert await tick(kube, ENV) == [Step.ROTATE, Step.RESTART]
    assert kube.done == ["secret", "restart"]


async def test_each_step_is_a_line_that_says_of_what() -> None:
    with structlog.testing.capture_logs() as said:
        await tick(Kube(age=720 * HOUR), ENV)
    about = {"secret": "s", "namespace": "team", "job": TICK, "log_level": "info"}
    assert said == [{"event": "rotate", **about}, {"event": "restart", **about}]


async def test_files_need_no_restart() -> None:
    kube = Kube(age=720 * HOUR)
    assert await tick(kube, FILE) == [Step.ROTATE]
    assert kube.done == ["secret"]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("write", [1, 2, 3])
@pytest.mark.parametrize("death", [Killed(), Unreachable("reset"), ApiError(500, "InternalError", "no")])
async def test_killed_after_any_write_the_next_try_goes_on(write: int, moment: str, death: BaseException) -> None:
    """R1, R2, R15: rotated once, the value before kept for the whole overlap, restarted, and then dropped."""
    kube = Kube(age=720 * HOUR)
    kube.fault = {write: (moment, death)}
    last = NOW + ENV.overlap - timedelta(seconds=1)
    for now in (NOW, NOW, last, last, NOW + ENV.overlap, NOW + ENV.overlap):
        with contextlib.suppress(Killed, Unreachable, ApiError):
            await tick(kube, ENV, now=now)
        assert kube.secret["data"]["value"]
        if now <= last and len(kube.values) == 2:
            assert kube.secret["data"]["previous"] == kube.values[0], "within the overlap both are valid"
    assert len(kube.values) == 2
    assert kube.done == ["secret", "restart", "secret"]
    assert kube.secret["data"] == {"value": kube.values[-1]}


async def test_of_two_jobs_at_once_one_rotates() -> None:
    kube = Kube(age=720 * HOUR)
    done = await asyncio.gather(tick(kube, FILE), tick(kube, FILE, job="rotate-a-29000001"))
    assert sorted(map(len, done)) == [0, 1]
    assert len(kube.values) == 2


async def test_a_hand_that_edits_in_mid_rotation_loses_nothing() -> None:
    kube = Kube(age=720 * HOUR)
    theirs = base64.b64encode(b"set-by-hand").decode()
    kube.interfere = lambda: kube.edit(value=theirs)
    assert await tick(kube, FILE) == [Step.ROTATE]
    assert kube.secret["data"]["previous"] == theirs, "whoever uses what was set by hand has the overlap to follow"


async def test_a_secret_deleted_in_mid_rotation_is_said() -> None:
    kube = Kube(age=720 * HOUR)
    kube.cluster.remove(SECRET)
    with pytest.raises(NotFound):
        await tick(kube, FILE)


async def test_a_race_that_never_ends_does() -> None:
    kube = Kube(age=720 * HOUR)

    def again() -> None:
        kube.edit(other="x")
        kube.interfere = again

    kube.interfere = again
    with pytest.raises(Unfinished):
        await tick(kube, FILE)
    assert kube.values == [base64.b64encode(FIRST.encode()).decode()]


async def test_pods_that_are_not_there_keep_the_value_before() -> None:
    """The value that running pods hold is dropped neither by time nor by one more rotation."""
    kube = Kube(age=720 * HOUR)
    await tick(kube, ENV)
    kube.roll_out(available=0)
    kept = kube.values[0]
    assert await tick(kube, ENV, now=NOW + 5 * HOUR, job="rotate-a-29000002") == []
    assert await tick(kube, ENV, now=NOW + 5000 * HOUR, job="rotate-a-29000003") == []
    with pytest.raises(Unfinished, match="both values stay valid"):
        await tick(kube, ENV, now=NOW + 5 * HOUR, job="by-hand")
    assert kube.secret["data"] == {"value": kube.values[-1], "previous": kept}
    kube.roll_out()
    assert await tick(kube, ENV, now=NOW + 5 * HOUR, job="by-hand") == [Step.ROTATE, Step.RESTART]


async def test_no_value_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """Not in logs, and not in what is raised."""
    kube = Kube(age=720 * HOUR)
    kube.fault = {1: ("after", Unreachable("reset"))}
    with structlog.testing.capture_logs() as said, caplog.at_level(logging.DEBUG):
        with pytest.raises(Unreachable) as failure:
            await tick(kube, ENV)
        await tick(kube, ENV)
    text = json.dumps(said, default=str) + caplog.text + repr(failure.value) + repr(failure.value.__cause__)
    assert said
    for value in (FIRST, *kube.values, *(base64.b64decode(one).decode() for one in kube.values)):
        assert value not in text


async def test_marks_say_when_and_by_whom() -> None:
    kube = Kube(age=720 * HOUR)
    await tick(kube, FILE)
    marks = kube.secret["metadata"]["annotations"]
    assert marks == {ROTATED_AT: stamp(NOW), ROTATED_BY: TICK, PREVIOUS_UNTIL: stamp(NOW + HOUR)}
