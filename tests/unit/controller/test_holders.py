"""Where a namespace names no delegate, whoever asked for an agent is asked about again, as far as it is recorded."""

import json
from dataclasses import replace
from typing import Any

import pytest

from ringfence.api.names import REQUESTED_BY_ANNOTATION
from ringfence.api.status import Reason
from ringfence.controller.agent.holders import EVERY, SOON
from ringfence.policy.held import ALL, Held
from ringfence.policy.recorded import INCOMPLETE, NOT_BELIEVED, NOT_RECORDED, NOTHING_RECORDS
from ringfence.store.context import PolicyContext
from ringfence.store.records import Key
from ringfence.store.store import Store
from unit.controller.make import KEY, RULES, body
from unit.controller.test_delegates import BOTH, SECRET, Place, changes, rules

GROUPS = ["team", "system:authenticated"]
ADA, BOB = (
    json.dumps({"username": name, "uid": "", "groups": GROUPS, "extra": {}}, separators=(",", ":"))
    for name in ("ada", "bob")
)


def by(annotation: str | None) -> dict[str, Any]:
    return {"annotations": {REQUESTED_BY_ANNOTATION: annotation} if annotation is not None else {}}


class Recorded(Place):
    """An agent that Ada asked for, in a namespace without a delegate, on a cluster that records it."""

    def __init__(self, *may: str, recording: bool | None = True) -> None:
        super().__init__(None, *may)
        self.recorder.recording = recording

    async def look(self, spec: Any = None, *, status: Any = None, **metadata: Any) -> Held:
        return await super().look(spec, status=status, **(by(ADA) | metadata))


def unknown(why: str) -> Held:
    return Held(unknown=(Reason.REQUESTER_UNKNOWN, why))


async def test_who_asked_is_asked_about_as_recorded() -> None:
    place = Recorded("get pods", "get secrets")
    held = await place.settle()
    assert held == Held((), EVERY, '"ada", who asked for it')
    assert place.users == {"ada"}


async def test_what_he_lost_is_a_violation_and_says_what_to_do() -> None:
    place = Recorded()
    held = await place.settle()
    assert rules(held) == ["SecretNotReadableByRequester", "PermissionNotHeldByRequester"]
    for one in held.violations:
        assert one.message.startswith('"ada", who asked for it, may not ')
        assert "this agent is not to have it" in one.message
        assert "kubectl annotate agd NAME --overwrite ringfence.dev/requested-by=me" in one.message


async def test_config_maps_too() -> None:
    place = Recorded()
    (one,) = (await place.look({"envFrom": [{"configMap": "c", "keys": ["A"]}]})).violations
    assert (one.path, '"ada", who asked for it, may not get ConfigMap "c"' in one.message) == (
        "spec.envFrom[0].configMap",
        True,
    )


async def test_a_delegate_counts_whoever_asked() -> None:
    place = Recorded("get pods", "get secrets")
    place.delegate("group:team")
    assert (await place.look()).who == 'group "team", the delegate of this namespace'
    assert place.users == {None}


async def test_another_who_asks_is_another_question() -> None:
    place = Recorded("get pods", "get secrets")
    await place.settle()
    await place.look()
    assert place.asked == []
    assert (await place.look(**by(BOB))).who == '"bob", who asked for it'
    assert place.users == {"ada", "bob"}


@pytest.mark.parametrize("spec", [{}, {"permissions": {"level": "Admin"}}])
async def test_an_agent_that_gets_nothing_is_not_asked_about(spec: Any) -> None:
    place = Recorded()
    assert (await place.look(spec), place.asked) == (ALL, [])


@pytest.mark.parametrize(("annotation", "why"), [(None, NOT_RECORDED), ('{"incomplete":true}', INCOMPLETE)])
@pytest.mark.parametrize("spec", [RULES, SECRET, BOTH])
async def test_what_is_not_recorded_is_unknown(annotation: str | None, why: str, spec: Any) -> None:
    place = Recorded()
    assert (await place.look(spec, **by(annotation)), place.asked) == (unknown(why), [])
    place.recorder.recording = None
    assert await place.look(spec, **by(annotation)) == unknown(NOTHING_RECORDS)


@pytest.mark.parametrize(("recording", "why"), [(False, NOT_BELIEVED), (None, NOTHING_RECORDS)])
async def test_a_record_that_anybody_can_have_written_proves_nothing(recording: bool | None, why: str) -> None:
    place = Recorded("get pods", "get secrets", recording=recording)
    assert (await place.look()).unknown == (Reason.REQUESTER_UNKNOWN, why)
    place.may.clear()
    place.clock.now += SOON
    held = await place.look()
    assert (len(held.violations), held.unknown) == (2, None), "a no is a no"


async def test_without_a_record_nothing_is_kept() -> None:
    place = Recorded("get pods", "get secrets")
    await place.look()
    await place.look(**by(None))
    known = place.holders
    assert [dict(one) for one in (known._since, known._epochs, known._asked, known._found)] == [{}, {}, {}, {}]


# --- when permissions may have changed


def store_with(annotation: str | None) -> tuple[Store, list[Key]]:
    found, woken = Store(PolicyContext()), list[Key]()
    found.agents.observe("ADDED", body(RULES, **by(annotation)))
    found.wake = lambda key, _: woken.append(key)
    return found, woken


@pytest.mark.parametrize("kind", ["RoleBinding", "ClusterRoleBinding", "Role"])
@pytest.mark.parametrize("annotation", [ADA, None])
def test_only_agents_with_a_record_are_looked_at(kind: str, annotation: str | None) -> None:
    store, woken = store_with(annotation)
    store.agents.observe("ADDED", body(RULES, name="other", uid="v"))
    woken.clear()
    before = store.rights.of("team")
    changes(store, kind)()
    assert woken == ([KEY] if annotation else [])
    assert (store.rights.of("team") != before) is (annotation is not None or kind == "ClusterRoleBinding")


def test_who_takes_over_has_the_agent_looked_at() -> None:
    """The generation stays: only metadata changes."""
    store, woken = store_with(ADA)
    store.agents.observe("MODIFIED", body(RULES, resourceVersion="2", **by(BOB)))
    assert woken == [KEY]
    store.agents.observe("MODIFIED", body(RULES, resourceVersion="3", labels={"a": "b"}, **by(BOB)))
    assert woken == [KEY]


def test_agents_of_a_person_share_the_text() -> None:
    store, _ = store_with(ADA)
    store.agents.observe("ADDED", body(RULES, name="other", uid="v", **by("".join(list(ADA)))))
    one, other = store.agents.items.values()
    assert one.requested_by is other.requested_by
    assert replace(one, requested_by=None) != one
