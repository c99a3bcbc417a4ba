"""What a tick does: what is due and nothing else, whatever it was interrupted by."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.resources.rotation import tick
from ringfence.resources.secrets import PREVIOUS_UNTIL, ROTATED_AT, ROTATED_BY, stamp, when
from ringfence.rotation.plan import Order, Seen, Step, look, next_step, rotated, scheduled, without_previous

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FILE = Order(secret="s", cron_job="rotate-a", length=40, every=720 * HOUR, overlap=HOUR)
ENV = Order(secret="s", cron_job="rotate-a", length=40, every=720 * HOUR, overlap=HOUR, restart="d", annotation="x")
TICK = "rotate-a-29000000"
MANUAL = "now-please"


def seen(**fields: Any) -> Seen:
    start: dict[str, Any] = {"has_value": True, "has_previous": False, "rotated_at": NOW - HOUR, "rotated_by": "other"}
    return Seen(**(start | fields))


@pytest.mark.parametrize(
    ("order", "found", "job", "expected"),
    [
        pytest.param(FILE, seen(), TICK, None, id="fresh"),
        pytest.param(FILE, seen(rotated_at=NOW - 696 * HOUR), TICK, Step.ROTATE, id="too old before the next tick"),
        pytest.param(FILE, seen(rotated_at=NOW - 695 * HOUR), TICK, None, id="the next tick is early enough"),
        pytest.param(FILE, seen(rotated_at=NOW - 5000 * HOUR), TICK, Step.ROTATE, id="missed ticks are caught up"),
        pytest.param(FILE, seen(), MANUAL, Step.ROTATE, id="a job made by hand rotates at once"),
        pytest.param(FILE, seen(rotated_by=MANUAL), MANUAL, None, id="and once, however often its pod starts"),
        pytest.param(FILE, seen(has_value=False), TICK, Step.ROTATE, id="emptied by hand"),
        pytest.param(FILE, seen(rotated_at=None), TICK, Step.ROTATE, id="date marred by hand"),
        pytest.param(FILE, seen(rotated_at=NOW + 9999 * HOUR), TICK, Step.ROTATE, id="dated into the future"),
        pytest.param(
            FILE,
            seen(has_previous=True, previous_until=NOW + HOUR, rotated_at=NOW - 719 * HOUR),
            TICK,
            None,
            id="a schedule never cuts an overlap",
        ),
        pytest.param(
            FILE, seen(has_previous=True, previous_until=NOW - HOUR), TICK, Step.DROP_PREVIOUS, id="overlap over"
        ),
        pytest.param(FILE, seen(has_previous=True, previous_until=NOW + HOUR), TICK, None, id="overlap not over"),
        pytest.param(FILE, seen(has_previous=True), TICK, Step.DROP_PREVIOUS, id="an overlap without end has ended"),
        pytest.param(ENV, seen(), TICK, Step.RESTART, id="pods have not seen the value"),
        pytest.param(ENV, seen(restarted=stamp(NOW - HOUR)), TICK, None, id="pods have seen it"),
        pytest.param(
            ENV,
            seen(restarted=stamp(NOW - HOUR), has_previous=True, previous_until=NOW - HOUR, rolled_out=False),
            TICK,
            None,
            id="pods never got ready: the old value stays valid",
        ),
        pytest.param(
            ENV,
            seen(restarted=stamp(NOW - HOUR), has_previous=True, previous_until=NOW - HOUR, rolled_out=False),
            MANUAL,
            None,
            id="nor does a job made by hand take it away",
        ),
        pytest.param(
            ENV,
            seen(rotated_at=NOW - 5000 * HOUR, has_previous=True, previous_until=NOW - HOUR),
            TICK,
            Step.RESTART,
            id="nor a late tick: the restart comes first",
        ),
    ],
)
def test_the_step_that_is_due(order: Order, found: Seen, job: str, expected: Step | None) -> None:
    assert next_step(order, found, job=job, now=NOW) == expected


def secret(value: str = "b2xk", **marks: str) -> dict[str, Any]:
    metadata = {"name": "s", "resourceVersion": "7", "annotations": marks}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"value": value}}


def test_one_write_brings_the_new_value_and_keeps_the_old() -> None:
    after = rotated(secret(other="kept"), FILE, "bmV3", job=MANUAL, now=NOW)
    assert after["data"] == {"value": "bmV3", "previous": "b2xk"}
    assert after["metadata"]["resourceVersion"] == "7"
    assert after["metadata"]["annotations"] == {
        "other": "kept",
        ROTATED_AT: stamp(NOW),
        ROTATED_BY: MANUAL,
        PREVIOUS_UNTIL: stamp(NOW + HOUR),
    }
    before = secret(other="kept")
    assert (after["apiVersion"], after["kind"], after["metadata"]["name"]) == ("v1", "Secret", "s"), "a whole object"
    dropped = without_previous(after)
    assert dropped == before | {"metadata": after["metadata"], "data": {"value": "bmV3"}}


@pytest.mark.parametrize(
    ("job", "expected"),
    [("rotate-a-29000000", True), ("rotate-a", False), ("rotate-ab-29000000", False), ("rotate-a-now", False)],
)
def test_the_schedulers_jobs_are_told_from_ours(job: str, expected: bool) -> None:
    assert scheduled("rotate-a", job) is expected


@pytest.mark.parametrize("text", [None, "", "yesterday", "2026-13-01T00:00:00Z", 5])
def test_what_is_no_time_is_none(text: Any) -> None:
    assert when(text) is None


def test_times_survive_being_stored() -> None:
    assert when(stamp(NOW)) == NOW


class PolicyContext:
    """A Secret and a Deployment, and a job that may be stopped after any write."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.secret = secret(base64.b64encode(b"first").decode(), **{ROTATED_AT: stamp(NOW)})
        self.template: dict[str, Any] = {"annotations": {}}
        self.history = [self.secret["data"]["value"]]
        self.rotations = [NOW]

    def deployment(self) -> dict[str, Any]:
        status = {"observedGeneration": 1, "updatedReplicas": 1, "availableReplicas": 1}
        template = {"metadata": self.template}
        return {"metadata": {"generation": 1}, "spec": {"replicas": 1, "template": template}, "status": status}

    def write(self, job: str, now: datetime) -> Step | None:
        deployment = self.deployment() if self.order.restart else None
        found = look(self.secret, deployment, self.order)
        step = next_step(self.order, found, job=job, now=now)
        if step is Step.ROTATE:
            new = f"v{len(self.history)}"
            self.secret = rotated(self.secret, self.order, new, job=job, now=now)
            self.history.append(new)
            self.rotations.append(now)
        elif step is Step.RESTART:
            assert found.rotated_at
            self.template = {"annotations": {str(self.order.annotation): stamp(found.rotated_at)}}
        elif step is Step.DROP_PREVIOUS:
            assert now >= self.rotations[-1] + self.order.overlap, "the value before is valid for the whole overlap"
            self.secret = without_previous(self.secret)
        return step


@given(
    order=st.sampled_from([FILE, ENV, Order("s", "rotate-a", 40, 2 * HOUR, timedelta(minutes=30))]),
    runs=st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.integers(1, 50)), max_size=30),
)
def test_interrupted_anywhere_there_is_always_a_valid_value(order: Order, runs: list[tuple[bool, int, int]]) -> None:
    world, now = PolicyContext(order), NOW
    for number, (manual, writes, ticks) in enumerate(runs):
        job = f"manual-{number}" if manual else f"rotate-a-{29000000 + number}"
        before = len(world.history)
        for _ in range(writes):  # then it is killed, and its next try begins anew
            world.write(job, now)
            assert world.secret["data"]["value"] == world.history[-1]
            assert world.secret["data"].get("previous") in {None, *world.history[-2:-1]}
            if len(world.history) > 1 and now < world.rotations[-1] + order.overlap:
                assert world.secret["data"]["previous"] == world.history[-2], "kept until the overlap is over"
        assert len(world.history) <= before + 1, "one job rotates at most once"
        if writes == 4 and len(world.history) == before and now >= world.rotations[-1] + order.overlap:
            assert "previous" not in world.secret["data"], "a job that is not stopped drops it once the overlap is over"
        now += ticks * tick(order.every)


@given(every=st.integers(1, 10_000))
def test_undisturbed_no_value_outlives_its_period(every: int) -> None:
    period = every * HOUR
    order = Order("s", "rotate-a", 40, period, period / 10)
    world, now, step = PolicyContext(order), NOW, tick(period)
    last = when(world.secret["metadata"]["annotations"][ROTATED_AT])
    for number in range(12):
        now += step
        while world.write(f"rotate-a-{29000000 + number}", now):
            pass
        assert last
        assert now - last <= period
        last = when(world.secret["metadata"]["annotations"][ROTATED_AT])
