"""What a delegate does not hold any more: asked again, remembered, and never asked too often."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from structlog.testing import capture_logs

from ringfence.api import AgentDeploymentSpec, parse
from ringfence.api.names import DELEGATE_ANNOTATION
from ringfence.api.status import Reason
from ringfence.controller.agent.holders import ASKED_AGAIN, DEADLINE, EVERY, KEPT, SOON, UNANSWERED, Holders
from ringfence.controller.agent.plan import Mode, plan
from ringfence.kube import ApiError
from ringfence.kube.access import AccessReviews
from ringfence.policy.held import ALL, Held
from ringfence.policy.model import RuleName, Violation
from ringfence.policy.recorded import NOTHING_RECORDS
from ringfence.store.context import PolicyContext
from ringfence.store.records import read_agent
from ringfence.store.sources import NAMESPACE
from ringfence.store.store import Store
from unit.controller.make import KEY, RULES, all_children, body, observed, told
from unit.fakes.clock import Clock
from unit.fakes.kube import FakeKube

SECRET = {
    "secrets": [
        {"name": "k", "source": {"existing": {"secretName": "llm", "key": "k"}}, "delivery": {"env": {"name": "K"}}}
    ]
}
BOTH: dict[str, Any] = RULES | SECRET
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
CLEAN = {"acceptedGeneration": 1, "conditions": [{"type": "Accepted", "status": "True"}]}
UNKNOWN = Held(unknown=(Reason.REQUESTER_UNKNOWN, NOTHING_RECORDS))
TEAM = 'group "team", the delegate of this namespace'
DIRTY = {"acceptedGeneration": 1, "conditions": [{"type": "Accepted", "status": "False"}]}


@dataclass
class Recorder:
    """What is known of the record of who asks."""

    recording: bool | None = None


class Place:
    """A namespace with a delegate, and an API server that says what he holds: VERB RESOURCE."""

    def __init__(self, delegate: str | None = "group:team", *may: str) -> None:
        self.may, self.asked, self.users = set(may), list[str](), set[str | None]()
        self.kube, self.clock, self.store = FakeKube(), Clock(), Store(PolicyContext())
        self.kube.cluster.answers[REVIEWS] = self._answer
        self.recorder = Recorder()
        self.holders = Holders(AccessReviews(self.kube, KEPT), self.store, self.recorder, self.clock)
        self.delegate(delegate)

    def _answer(self, review: dict[str, Any]) -> dict[str, Any]:
        assert review["spec"]["groups"] == ["team", "system:authenticated"]
        self.users.add(review["spec"].get("user"))
        where = review["spec"]["resourceAttributes"]
        question = f"{where['verb']} {where['resource']}"
        self.asked.append(question)
        return {"status": {"allowed": question in self.may}}

    def delegate(self, named: str | None) -> None:
        annotations = {DELEGATE_ANNOTATION: named} if named else {}
        self.store.context.observe(NAMESPACE, "ADDED", {"metadata": {"name": "team", "annotations": annotations}})

    async def look(self, spec: Any = None, *, status: Any = None, **metadata: Any) -> Held:
        agent = read_agent(body(BOTH if spec is None else spec, status=status, **metadata))
        self.asked.clear()
        return await self.holders.of(KEY, agent, parse(AgentDeploymentSpec, agent.spec).value)

    async def settle(self) -> Held:
        """The first answers, and those that count."""
        await self.look()
        self.clock.now += SOON
        return await self.look()


def rules(held: Held) -> list[str]:
    return [str(one.rule) for one in held.violations]


@pytest.mark.parametrize(
    ("delegate", "spec"), [(None, {}), ("group:team", {}), ("group:team", {"permissions": {"level": "Admin"}})]
)
async def test_nobody_is_asked_without_what_he_could_hold(delegate: str | None, spec: Any) -> None:
    place = Place(delegate)
    assert await place.look(spec) == ALL
    assert place.asked == []


@pytest.mark.parametrize(
    ("may", "broken"),
    [
        ({"get pods", "get secrets"}, []),
        ({"get pods"}, [("spec.secrets[0].source.existing.secretName", RuleName.SECRET_UNREADABLE)]),
        ({"get secrets"}, [("spec.permissions.rules[0]", RuleName.PERMISSION_NOT_HELD)]),
    ],
)
async def test_what_he_does_not_hold_is_a_violation(may: set[str], broken: list[Any]) -> None:
    held = await Place("group:team", *may).look()
    assert [(one.path, one.rule) for one in held.violations] == broken
    assert all("the delegate of this namespace" in one.message for one in held.violations)
    assert held.again == SOON, "the API server may decide by what was before"


async def test_a_delegate_that_names_nobody_is_said() -> None:
    place = Place("deployer")
    (one,) = (await place.look()).violations
    assert (one.path, "names nobody" in one.message, place.asked) == ("metadata.namespace", True, [])


async def test_an_answer_counts_until_permissions_may_have_changed_or_its_time_is_up() -> None:
    place = Place("group:team", "get pods", "get secrets")
    await place.settle()
    place.may.clear()
    place.clock.now += EVERY - 1
    assert await place.look() == Held((), 1.0, TEAM)
    assert place.asked == []
    place.store.rights.changed("team")
    assert len(rules(await place.look())) == 2


async def test_what_is_answered_in_the_moment_of_a_change_is_asked_once_more() -> None:
    """The API server has the binding and decides, for some milliseconds, as if it had not."""
    place = Place("group:team")
    await place.settle()
    place.clock.now += 60
    place.store.rights.changed("team")
    held = await place.look()
    assert (len(held.violations), held.again) == (2, SOON)
    place.may |= {"get pods", "get secrets"}
    place.clock.now += SOON
    assert await place.look() == Held((), EVERY, TEAM)
    place.clock.now += SOON
    await place.look()
    assert place.asked == []


@pytest.mark.parametrize("where", ["team", None])
async def test_who_edits_bindings_in_a_loop_has_it_asked_at_most_so_often(where: str | None) -> None:
    place = Place("group:team", "get pods", "get secrets")
    await place.settle()
    place.may.clear()
    place.store.rights.changed(where)
    place.clock.now += 0.5
    held = await place.look()
    assert (rules(held), held.again, place.asked) == ([], SOON - 0.5, [])
    place.clock.now += SOON
    assert len(rules(await place.look())) == 2, "within five seconds"


@pytest.mark.parametrize("how", ["gone", "no delegate", "nothing to ask"])
async def test_with_the_last_agent_all_of_its_namespace_is_forgotten(how: str) -> None:
    place = Place("group:team", "get pods", "get secrets")
    await place.settle()
    known = place.holders
    assert known._since.keys() == known._epochs.keys() == known._asked.keys() == {"team"}
    if how == "gone":
        known.forget(KEY)
    elif how == "no delegate":
        place.delegate(None)
        await place.look()
    else:
        await place.look({})
    assert [dict(one) for one in (known._since, known._epochs, known._asked, known._found)] == [{}, {}, {}, {}]
    known.forget(KEY)
    place.delegate("group:team")
    await place.look()
    assert place.asked, "it is asked anew"


async def test_another_spec_or_another_delegate_is_another_question() -> None:
    place = Place("group:team", "get pods", "get secrets")
    await place.look()
    assert rules(await place.look(generation=2)) == []
    place.delegate("deployer")
    assert rules(await place.look(generation=2)) == ["PermissionNotHeldByRequester"]
    place.delegate(None)
    assert await place.look(generation=2) == UNKNOWN


async def test_agents_of_a_namespace_share_the_answers() -> None:
    place = Place("group:team", "get pods", "get secrets")
    await place.look()
    await place.look(generation=2)
    assert place.asked == []


class TestWithoutAnAnswer:
    @pytest.fixture
    def place(self) -> Place:
        found = Place("group:team", "get secrets")
        found.kube.refuse(ApiError(403, "Forbidden", "no"), path=REVIEWS)
        return found

    @pytest.mark.parametrize(("status", "told"), [(None, True), (CLEAN, False), (DIRTY, True)])
    async def test_what_is_not_in_force_is_not_given_and_what_is_stays(
        self, place: Place, status: Any, told: bool
    ) -> None:
        held = await place.look(status=status)
        sentence = UNANSWERED.format(who=TEAM)
        wanted = (Violation("spec.permissions.rules", RuleName.PERMISSION_NOT_HELD, sentence),) if told else ()
        unknown = None if told else (Reason.NOT_ANSWERED, ASKED_AGAIN.format(who=TEAM))
        assert held == Held(wanted, SOON, TEAM, unknown)

    async def test_what_was_found_before_stays_found(self, place: Place) -> None:
        place.kube.allow()
        assert rules(await place.settle()) == ["PermissionNotHeldByRequester"]
        place.kube.refuse(ApiError(500, "InternalError", "no"), path=REVIEWS)
        place.clock.now += EVERY + 1
        held = await place.look()
        assert (rules(held), held.again) == (["PermissionNotHeldByRequester"], SOON)

    async def test_it_is_logged_once(self, place: Place) -> None:
        with capture_logs() as logs:
            await place.look()
            await place.look(generation=2)
        assert [one["event"] for one in logs] == ["no answer about what somebody holds"]


def test_five_seconds_are_met() -> None:
    assert SOON + DEADLINE / 2 < 5


# --- what is made of it

LOST = Held((Violation("spec.permissions.rules[0]", RuleName.PERMISSION_NOT_HELD, "lost"),), EVERY)


def test_one_that_was_accepted_is_kept_and_says_so() -> None:
    planned = plan(observed(RULES, accepted=1, children=all_children(RULES), held=LOST))
    assert (planned.mode, planned.violations, told(planned)) == (Mode.APPLY, LOST.violations, [])


def test_one_that_was_not_is_given_nothing() -> None:
    planned = plan(observed(RULES, held=LOST))
    assert (planned.mode, told(planned)) == (Mode.HOLD, ["absent NetworkPolicy/-deny"])


# --- when permissions may have changed


@pytest.fixture
def woken() -> tuple[Store, list[Any]]:
    store, found = Place().store, list[Any]()
    store.agents.observe("ADDED", body(RULES))
    store.wake = lambda key, _: found.append(key)
    return store, found


def binding(name: str = "b", **metadata: Any) -> dict[str, Any]:
    about = {"namespace": "team", "name": name, "uid": name, "resourceVersion": "5"}
    return {"kind": "RoleBinding", "metadata": about | metadata, "subjects": [], "roleRef": {"name": "x"}}


def changes(store: Store, kind: str) -> Callable[[], Any]:
    cluster = binding() | {"kind": "ClusterRoleBinding"}
    return {
        "RoleBinding": lambda: store.children.observe("ADDED", binding()),
        "ClusterRoleBinding": lambda: store.wider.cluster_wide["ClusterRoleBinding"].observe("ADDED", cluster),
        "Role": lambda: store.rights.passed_over({"kind": "Role", "metadata": {"namespace": "team"}}),
    }[kind]


@pytest.mark.parametrize("kind", ["RoleBinding", "ClusterRoleBinding", "Role"])
def test_who_has_a_delegate_is_looked_at(woken: tuple[Store, list[Any]], kind: str) -> None:
    store, found = woken
    before = store.rights.of("team")
    changes(store, kind)()
    assert found == [KEY]
    assert store.rights.of("team") != before


@pytest.mark.parametrize("kind", ["RoleBinding", "ClusterRoleBinding", "Role"])
def test_who_has_none_is_not(woken: tuple[Store, list[Any]], kind: str) -> None:
    store, found = woken
    store.context.observe(NAMESPACE, "MODIFIED", {"metadata": {"name": "team"}})
    changes(store, kind)()
    assert found == []


def test_an_agents_own_binding_is_nobody_elses(woken: tuple[Store, list[Any]]) -> None:
    store, _ = woken
    before = store.rights.of("team")
    (own,) = [one for one in all_children(RULES) if one.ref.kind == "RoleBinding"]
    store.children.take(own)
    store.rights.passed_over({"kind": "CronJob", "metadata": {"namespace": "team"}})
    assert store.rights.of("team") == before
    store.children.observe("ADDED", binding())
    after = store.rights.of("team")
    store.children.observe("MODIFIED", binding(resourceVersion="6", labels={"a": "b"}))
    assert store.rights.of("team") == after, "its metadata gives nobody anything"
