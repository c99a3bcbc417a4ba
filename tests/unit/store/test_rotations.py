"""Which rotations run, and whom that wakes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ringfence.store.context import PolicyContext
from ringfence.store.records import Key
from ringfence.store.store import Store
from unit.store import make

A = Key("ns", "a")
JOB = Key("ns", "ringfence-a.0123456789")
BEGUN = "2026-11-29T12:00:00Z"
NOW = datetime(2026, 11, 29, 12, 0, 1, tzinfo=UTC)


@pytest.fixture
def store() -> Store:
    made = Store(PolicyContext())
    made.agents.observe("ADDED", make.agent())
    made.children.observe("ADDED", make.owned(kind="CronJob", name=JOB.name))
    return made


@pytest.fixture
def woken(store: Store) -> list[Key]:
    found: list[Key] = []
    store.wake = lambda key, _: found.append(key)
    return found


def pod(version: int, phase: str, name: str = "p", job: str = JOB.name) -> dict[str, Any]:
    metadata = {"namespace": "ns", "name": name, "resourceVersion": str(version), "labels": {}}
    metadata["labels"] = {"ringfence.dev/rotation": job}
    return {"metadata": metadata, "status": {"phase": phase, "startTime": BEGUN}}


def test_a_rotation_runs_from_its_pods_first_to_its_last_container(store: Store, woken: list[Key]) -> None:
    pods = store.rotations.pods
    for version, phase, runs in (
        (1, "Pending", False),
        (2, "Running", True),
        (3, "Running", True),
        (4, "Failed", False),
    ):
        pods.observe("MODIFIED", pod(version, phase))
        assert store.rotations.run(JOB, NOW) is runs, phase
    assert woken == [A, A], "when it begins and when it ends"


def test_a_pod_that_is_gone_does_not_run(store: Store, woken: list[Key]) -> None:
    store.rotations.pods.observe("ADDED", pod(1, "Running"))
    store.rotations.pods.observe("ADDED", pod(1, "Running", "q"))
    store.rotations.pods.observe("DELETED", pod(2, "Running"))
    assert store.rotations.run(JOB, NOW), "of two at once the other one"
    store.rotations.pods.observe("DELETED", pod(2, "Running", "q"))
    assert not store.rotations.run(JOB, NOW)
    assert woken == [A] * 4


def test_no_pod_runs_longer_than_a_job_may(store: Store) -> None:
    store.rotations.pods.observe("ADDED", pod(1, "Running"))
    assert store.rotations.run(JOB, NOW + timedelta(seconds=290))
    assert not store.rotations.run(JOB, NOW + timedelta(seconds=300))


def test_a_pod_with_the_label_of_no_cronjob_of_an_agent_wakes_nobody(store: Store, woken: list[Key]) -> None:
    store.children.observe("ADDED", make.owned(kind="CronJob", name="other", owner="nobody"))
    woken.clear()
    store.rotations.pods.observe("ADDED", pod(1, "Running", job="x"))
    store.rotations.pods.observe("ADDED", pod(1, "Running", "q", job="other"))
    assert woken == []
    assert not store.rotations.run(JOB, NOW)
