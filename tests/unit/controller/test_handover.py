"""Existing Secrets while admission may be passed: whole passes over an agent, on the fake API server."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from ringfence.controller.agent.plan import (
    Mode,
    plan,
)
from ringfence.kube import ApiError, Unreachable, path_of
from ringfence.policy.handover import HandOver
from ringfence.store.records import agent_path, child_path
from ringfence.telemetry.events import ConditionChanged, HandOverUnchecked, HandOverUndecided, ViolationFound
from unit.controller.make import DEPLOYMENT, KEY, POLICY_DENY, all_children, observed, remembered, told
from unit.controller.planning import FRESH
from unit.controller.test_reconciler import Place

VERSION, NAME = "admissionregistration.k8s.io/v1", "ringfence"
REGISTRATION = path_of(VERSION, "validatingwebhookconfigurations", name=NAME)
WEBHOOKS = [{"name": "admission.ringfence.dev", "failurePolicy": "Fail"}]
BLUNTED = [WEBHOOKS[0] | {"objectSelector": {"matchLabels": {"never": "there"}}}]
DIFFERENCE = "ValidatingWebhookConfiguration ringfence: webhooks[0].objectSelector: was added"
LLM = {
    "name": "llm",
    "source": {"existing": {"secretName": "payroll", "key": "k"}},
    "delivery": {"env": {"name": "KEY"}},
}
NAMING = {"secrets": [LLM]}
UNDECIDED = ("False", "HandOverUndecided")
ACCEPTED = ("True", "Accepted")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "registration.json"
    entry = {"apiVersion": VERSION, "kind": "ValidatingWebhookConfiguration", "name": NAME, "content": WEBHOOKS}
    found.write_bytes(orjson.dumps([entry]))
    return found


@pytest.fixture
def place(file: Path) -> Place:
    found = Place(file)
    register(found, WEBHOOKS)
    return found


def register(place: Place, webhooks: Any) -> None:
    place.kube.cluster.put(REGISTRATION, {"metadata": {"name": NAME}, "webhooks": webhooks})


def looks(place: Place) -> int:
    """How often somebody looked at the registration since the last time."""
    return sum("validatingwebhookconfigurations" in one for one in place.take())


def count(place: Place, kind: type) -> int:
    return sum(isinstance(one, kind) for one in place.told)


def begin_anew(place: Place, file: Path) -> Place:
    """Another controller on the same cluster: it knows what is stored, and nothing else."""
    other = Place(file)
    other.kube = other.writer.kube = other.reconciler.observer.kube = place.kube
    other.reconciler.observer.secrets.kube = place.kube
    other.reconciler.executor.secrets.kube = place.kube
    object.__setattr__(other.hand_overs.registration, "kube", place.kube)
    other.store.agents.observe("ADDED", place.kube.objects[agent_path(KEY)])
    for path, stored in place.kube.objects.items():
        if "/ringfence-a" in path:
            other.store.children.observe("ADDED", stored)
    return other


async def test_as_installed_it_is_handed_over_after_one_look(place: Place) -> None:
    place.deploy(NAMING)
    await place.reconcile()
    assert place.condition("Accepted") == ACCEPTED
    assert child_path(DEPLOYMENT) in place.kube.objects
    assert looks(place) == 1
    register(place, BLUNTED)
    await place.reconcile()
    assert (place.condition("Accepted"), looks(place)) == (ACCEPTED, 0), "an accepted generation is not looked at again"


async def test_without_existing_secrets_nobody_looks(place: Place) -> None:
    register(place, BLUNTED)
    place.deploy()
    await place.reconcile()
    assert (place.condition("Accepted"), looks(place)) == (ACCEPTED, 0)


async def test_blunted_it_is_undecided_until_it_is_written_anew(place: Place, file: Path) -> None:
    register(place, BLUNTED)
    place.deploy(NAMING)
    await place.reconcile()
    assert place.condition("Accepted") == place.condition("Ready") == UNDECIDED
    assert child_path(POLICY_DENY) in place.kube.objects
    assert child_path(DEPLOYMENT) not in place.kube.objects
    (found,) = [one for one in place.told if isinstance(one, HandOverUndecided)]
    assert (found.generation, found.secrets, found.differences) == (1, ("payroll",), (DIFFERENCE,))
    (violation,) = [one for one in place.told if isinstance(one, ViolationFound)]
    assert (violation.rule, violation.path) == ("HandOverUndecided", "spec.secrets[0].source.existing.secretName")
    assert [one.told for one in place.told if isinstance(one, ConditionChanged) and one.type == "Accepted"] == [True]

    register(place, WEBHOOKS)
    looks(place)
    for again in (place, begin_anew(place, file)):
        await again.reconcile()
        assert (again.condition("Accepted"), looks(again)) == (UNDECIDED, 0), "nobody looks again"
        assert child_path(DEPLOYMENT) not in again.kube.objects

    place.deploy(NAMING | {"replicas": 2}, generation=2)
    await place.reconcile()
    assert place.condition("Accepted") == ACCEPTED
    assert child_path(DEPLOYMENT) in place.kube.objects
    assert count(place, HandOverUndecided) == 1


async def test_one_that_runs_keeps_what_it_has(place: Place) -> None:
    place.deploy()
    await place.reconcile()
    before = place.kube.objects[child_path(DEPLOYMENT)]["spec"]
    register(place, BLUNTED)
    place.deploy(NAMING, generation=2)
    await place.reconcile()
    assert place.condition("Accepted") == UNDECIDED
    assert place.status["acceptedGeneration"] == 1
    assert place.kube.objects[child_path(DEPLOYMENT)]["spec"] == before


async def test_one_that_is_refused_as_well_is_not_handed_over_later(place: Place) -> None:
    register(place, BLUNTED)
    place.deploy(NAMING | {"image": "x"})
    await place.reconcile()
    assert place.condition("Accepted") == UNDECIDED
    message = next(one["message"] for one in place.status["conditions"] if one["type"] == "Accepted")
    assert all(rule in message for rule in ("ImageNoDigest", "HandOverUndecided"))


async def test_the_first_look_counts_also_where_the_status_could_not_be_written(place: Place) -> None:
    register(place, BLUNTED)
    place.deploy(NAMING)
    place.kube.refuse(Unreachable("away"), path=agent_path(KEY, "/status"), times=1)
    with pytest.raises(Unreachable):
        await place.reconcile()
    register(place, WEBHOOKS)
    await place.reconcile()
    assert place.condition("Accepted") == UNDECIDED
    assert count(place, HandOverUndecided) == 1


@pytest.mark.parametrize("failure", [ApiError(429, "TooManyRequests", "later"), Unreachable("away")])
async def test_an_api_server_that_does_not_answer_decides_nothing(place: Place, failure: Exception) -> None:
    place.deploy(NAMING)
    place.kube.refuse(failure, path=REGISTRATION, times=1)
    with pytest.raises(type(failure)):
        await place.reconcile()
    assert place.status == {}
    await place.reconcile()
    assert place.condition("Accepted") == ACCEPTED


Spoil = Callable[[Place, Path], Any]


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda place, _: place.kube.cluster.remove(REGISTRATION), id="it is gone"),
        pytest.param(
            lambda place, _: place.kube.refuse(ApiError(403, "Forbidden", "no"), path=REGISTRATION), id="no right"
        ),
        pytest.param(lambda _, file: file.unlink(), id="what is installed cannot be read"),
    ],
)
async def test_what_cannot_be_compared_is_undecided(place: Place, file: Path, spoil: Spoil) -> None:
    spoil(place, file)
    place.deploy(NAMING)
    await place.reconcile()
    assert place.condition("Accepted") == UNDECIDED


async def test_where_nobody_said_what_is_installed_that_is_said_once() -> None:
    place = Place()
    place.deploy()
    await place.reconcile()
    assert count(place, HandOverUnchecked) == 0
    for generation in (2, 3):
        place.deploy(NAMING | {"replicas": generation}, generation=generation)
        await place.reconcile()
        assert place.condition("Accepted") == ACCEPTED
    assert count(place, HandOverUnchecked) == 1


@pytest.mark.parametrize(
    ("hand_over", "accepted", "mode", "actions"),
    [
        (HandOver.DECIDED, None, Mode.APPLY, FRESH),
        (HandOver.UNDECIDED, None, Mode.HOLD, ["absent NetworkPolicy/-deny"]),
        (HandOver.UNDECIDED, 0, Mode.HOLD, ["absent NetworkPolicy/-deny known"]),
    ],
)
def test_the_plan_holds_what_is_undecided(
    hand_over: HandOver, accepted: int | None, mode: Mode, actions: list[str]
) -> None:
    children = [] if accepted is None else all_children(without=[POLICY_DENY])
    known = remembered(children)
    planned = plan(observed(NAMING, children=children, accepted=accepted, hand_over=hand_over, ownership=known))
    assert planned.mode is mode
    assert bool(planned.violations) is (mode is Mode.HOLD)
    assert told(planned) == actions
