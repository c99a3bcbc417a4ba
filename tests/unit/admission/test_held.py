"""Whoever may not do a thing himself does not have an agent do it."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from ringfence.admission import requester
from ringfence.admission.answer import Verdict
from ringfence.admission.request import Request, read
from ringfence.admission.requester import Requester, newly_named, newly_permitted
from ringfence.kube import ApiError, Unreachable, access
from ringfence.policy.atoms import NAMELESS_VERBS, Atom, Names, PermissionSet
from ringfence.policy.levels import CATALOGUE, CEILING
from ringfence.policy.model import RuleName
from unit.admission.make import IMAGE, agent, encoded, review
from unit.fakes.kube import FakeCluster, FakeKube

ASKER = {"username": "dev", "uid": "7", "groups": ["developers"], "extra": {"scopes": ["x"]}}
READS = {"apiGroups": ["", "apps"], "resources": ["pods", "pods/log", "deployments"], "verbs": ["get", "list"]}
READS_ATOMS = {"get pods", "list pods", "get pods/log", "get deployments.apps", "list deployments.apps"}
NAMED = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["a", "b", "c"], "verbs": ["get"]}


def asking(*rules: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return agent({"image": IMAGE, "permissions": {"level": "Critical", "rules": list(rules)}, **spec})


def asked(new: Any, old: Any = None, **user: Any) -> Request:
    return read(encoded(review(new, old, userInfo=ASKER | user)))


def with_secret(key: str = "k", path: str = "/var/run/ringfence/k", **spec: Any) -> dict[str, Any]:
    secret = {
        "name": "llm",
        "source": {"existing": {"secretName": "llm", "key": key}},
        "delivery": {"file": {"path": path}},
    }
    return agent({"image": IMAGE, "secrets": [secret], **spec})


def test_custom_resources_are_asked_about_too() -> None:
    widgets = {"apiGroups": ["example.com"], "resources": ["widgets"], "verbs": ["get"]}
    permitted = newly_permitted(asked(asking(widgets, READS)))
    assert {str(atom) for atom in permitted["team"].atoms} == {"get widgets.example.com", *READS_ATOMS}


def of_team(found: Mapping[str, PermissionSet]) -> Mapping[Atom, Names]:
    """Of what is newly permitted, that of the agent's own namespace: nothing else is."""
    assert set(found) <= {"team"}
    return found.get("team", PermissionSet()).atoms


class Reviewer(FakeKube):
    """Answers as RBAC does. `may`: VERB RESOURCE[.GROUP] [NAME], or `*`; `of`: user or groups that hold it."""

    def __init__(self, *may: str, of: str = "dev") -> None:
        super().__init__(FakeCluster())
        self.may, self.of, self.reviews = set(may), of, list[dict[str, Any]]()
        self.cluster.answers["/apis/authorization.k8s.io/v1/subjectaccessreviews"] = self._review

    def _review(self, body: dict[str, Any]) -> dict[str, Any]:
        spec = body["spec"]
        self.reviews.append(spec)
        where = spec["resourceAttributes"]
        assert where["namespace"] == "team"
        full = "/".join(filter(None, (where["resource"], where.get("subresource"))))
        atom = f"{where['verb']} {full}" + (f".{where['group']}" if where.get("group") else "")
        named = f"{atom} {where.get('name')}"
        known = self.of in {spec.get("user"), *spec.get("groups", ())}
        return {"status": {"allowed": known and bool(self.may & {"*", atom, named})}}

    @property
    def questions(self) -> list[str]:
        found = [spec["resourceAttributes"] for spec in self.reviews]
        return [" ".join(filter(None, (one["verb"], one["resource"], one.get("name")))) for one in found]


async def check(kube: FakeKube, request: Request, delegate: str | None = None) -> Verdict | None:
    return await Requester(kube).check(request, delegate)


async def refused(kube: FakeKube, request: Request, delegate: str | None = None) -> Verdict:
    verdict = await check(kube, request, delegate)
    assert verdict is not None
    assert not verdict.allowed
    return verdict


CHANGES: list[tuple[dict[str, Any], bool]] = [
    ({"replicas": 2}, False),
    ({"resources": {"limits": {"cpu": "1"}}}, False),
    ({"suspended": True}, False),
    ({"args": []}, False),
    ({"image": IMAGE[:-1] + "b"}, True),
    ({"command": ["sh"]}, True),
    ({"args": ["-c", "cat"]}, True),
    ({"env": [{"name": "A", "value": "b"}]}, True),
    ({"storage": {"mountPath": "/app", "size": "1Gi"}}, True),
]
"""Of a spec, and whether another program is run after it."""


class TestWhatIsAsked:
    async def test_nothing_of_an_agent_without_permissions(self) -> None:
        kube = Reviewer()
        for spec in ({"image": IMAGE}, {"image": IMAGE, "permissions": {"level": "Admin"}}):
            assert await check(kube, asked(agent(spec))) is None
        assert kube.requests == []

    async def test_one_question_of_who_may_do_everything(self) -> None:
        kube = Reviewer("*")
        assert await check(kube, asked(asking(READS, NAMED))) is None
        assert kube.questions == ["* *"]
        assert kube.reviews[0]["resourceAttributes"] == {
            "namespace": "team",
            "verb": "*",
            "group": "*",
            "resource": "*",
        }

    async def test_each_secret_by_its_name_also_of_who_may_do_everything(self) -> None:
        """An authorizer beside RBAC may deny that one."""
        kube = Reviewer("*")
        assert await check(kube, asked(asking(READS, secrets=with_secret()["spec"]["secrets"]))) is None
        assert kube.questions == ["get secrets llm", "* *"]

    async def test_one_question_about_one_permission(self) -> None:
        kube = Reviewer("list pods")
        rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}
        assert await check(kube, asked(asking(rule))) is None
        assert kube.questions == ["list pods"]

    async def test_each_atom_of_who_may_do_some_things(self) -> None:
        kube = Reviewer(*READS_ATOMS)
        assert await check(kube, asked(asking(READS))) is None
        assert len(kube.reviews) == 1 + len(READS_ATOMS)
        log = {"namespace": "team", "verb": "get", "resource": "pods", "subresource": "log"}
        assert log in [one["resourceAttributes"] for one in kube.reviews]
        assert all(one["user"] == "dev" and one["extra"] == {"scopes": ["x"]} for one in kube.reviews)
        assert all(one["uid"] == "7" and one["groups"] == ["developers"] for one in kube.reviews)

    async def test_names_one_by_one_only_where_the_whole_resource_is_not_held(self) -> None:
        kube = Reviewer("get configmaps")
        assert await check(kube, asked(asking(NAMED))) is None
        assert kube.questions == ["* *", "get configmaps"]
        kube = Reviewer(*(f"get configmaps {name}" for name in "abc"))
        assert await check(kube, asked(asking(NAMED))) is None
        assert sorted(kube.questions[2:]) == [f"get configmaps {name}" for name in "abc"]

    @pytest.mark.parametrize(
        ("old", "new", "gained"),
        [
            ([READS], [READS], {}),
            ([READS], [], {}),
            ([], [NAMED], {"get configmaps": {"a", "b", "c"}}),
            ([NAMED], [NAMED | {"resourceNames": ["c", "d"]}], {"get configmaps": {"d"}}),
            ([NAMED], [NAMED | {"resourceNames": []}], {"get configmaps": None}),
            ([NAMED | {"resourceNames": []}], [NAMED], {}),
            ([NAMED], [NAMED, READS | {"apiGroups": [""], "resources": ["pods/log"]}], {"get pods/log": None}),
        ],
    )
    def test_only_what_is_new(self, old: list[Any], new: list[Any], gained: dict[str, Any]) -> None:
        found = newly_permitted(asked(asking(*new, replicas=2), asking(*old)))
        assert {str(atom): None if names is None else set(names) for atom, names in of_team(found).items()} == gained

    def test_all_of_a_spec_that_is_changed_while_undecided(self) -> None:
        condition = {"type": "Accepted", "status": "False", "reason": "HandOverUndecided", "observedGeneration": 1}
        old = asking(READS) | {"status": {"conditions": [condition]}}
        assert {str(atom) for atom in of_team(newly_permitted(asked(asking(READS, replicas=2), old)))} == READS_ATOMS
        assert not newly_permitted(asked(asking(READS), old)), "nothing is changed"

    @pytest.mark.parametrize(
        ("old", "new", "again"),
        [
            (None, "ada", True),
            ("ada", "bob", True),
            ("ada", "ada", False),
            ("ada", None, False),
            (None, None, False),
            ("ada", 7, False),
        ],
    )
    @pytest.mark.parametrize("replicas", [1, 2])
    def test_all_of_it_when_somebody_else_is_recorded(self, old: Any, new: Any, again: bool, replicas: int) -> None:
        """He stands for the agent from then on, also where he changes nothing but that."""

        def by(who: Any, **spec: Any) -> dict[str, Any]:
            body = asking(READS, **spec)
            return body | {"metadata": body["metadata"] | {"annotations": {"ringfence.dev/requested-by": who}}}

        request = asked(by(new, replicas=replicas), by(old))
        assert {str(atom) for atom in of_team(newly_permitted(request))} == (READS_ATOMS if again else set())
        assert newly_permitted(request, by_delegate=True) == {}, "the delegate is the same"

    @pytest.mark.parametrize(("changed", "again"), CHANGES)
    def test_a_permission_again_when_what_uses_it_changes(self, changed: dict[str, Any], again: bool) -> None:
        found = newly_permitted(asked(asking(READS, **changed), asking(READS)))
        assert {str(atom) for atom in of_team(found)} == (READS_ATOMS if again else set())

    async def test_another_program_without_permissions_is_nobodys_business(self) -> None:
        kube = Reviewer()
        assert await check(kube, asked(agent({"image": IMAGE, "args": ["x"]}), agent({"image": IMAGE}))) is None
        assert kube.requests == []

    async def test_who_lacks_what_the_program_had_is_refused_its_change(self) -> None:
        verdict = await check(Reviewer(), asked(asking(READS, args=["x"]), asking(READS)))
        assert verdict is not None
        assert "or change what an agent with it runs" in verdict.violations[0].message

    @pytest.mark.parametrize("old", [None, "x", {"permissions": "x"}, {"permissions": {"rules": [{}]}}])
    def test_what_cannot_be_read_was_no_permission(self, old: Any) -> None:
        assert newly_permitted(asked(asking(READS), agent() | {"spec": old}))

    @pytest.mark.parametrize(
        ("changed", "again"),
        [*CHANGES, ({"key": "other"}, True), ({"path": "/var/run/ringfence/other"}, True)],
    )
    def test_a_secret_again_when_what_gets_it_changes(self, changed: dict[str, Any], again: bool) -> None:
        found = newly_named(asked(with_secret(**changed), with_secret()))
        assert found == ({"llm": "spec.secrets[0].source.existing.secretName"} if again else {})


class TestWhatIsRefused:
    async def test_who_may_not_do_it_himself_with_a_custom_resource(self) -> None:
        widgets = {"apiGroups": ["example.com"], "resources": ["widgets"], "verbs": ["get"]}
        verdict = await refused(Reviewer("get pods"), asked(asking(widgets)))
        assert "get widgets.example.com" in verdict.message
        assert await check(Reviewer("get widgets.example.com"), asked(asking(widgets))) is None

    async def test_each_rule_with_what_is_lacking(self) -> None:
        verdict = await refused(Reviewer(*READS_ATOMS - {"list pods"}, "get configmaps b"), asked(asking(READS, NAMED)))
        assert [(one.path, one.rule) for one in verdict.violations] == [
            ("spec.permissions.rules[0]", RuleName.PERMISSION_NOT_HELD),
            ("spec.permissions.rules[1]", RuleName.PERMISSION_NOT_HELD),
        ]
        first, second = (one.message for one in verdict.violations)
        assert "you may not do this yourself in this namespace" in first
        assert ": list pods; leave it out" in first
        assert ': get configmaps "a", "c"; leave it out' in second

    async def test_a_secret_whose_agent_runs_something_else(self) -> None:
        verdict = await refused(Reviewer(), asked(with_secret(command=["sh"]), with_secret()))
        assert [one.rule for one in verdict.violations] == [RuleName.SECRET_UNREADABLE]
        assert "or change what an agent with it runs" in verdict.message

    async def test_permissions_and_secrets_in_one_answer(self) -> None:
        verdict = await refused(Reviewer(), asked(asking(READS, secrets=with_secret()["spec"]["secrets"])))
        assert {one.rule for one in verdict.violations} == {RuleName.SECRET_UNREADABLE, RuleName.PERMISSION_NOT_HELD}

    @pytest.mark.parametrize(
        "failure", [ApiError(500, "InternalError", "no"), ApiError(422, "Invalid", "no"), Unreachable("x")]
    )
    async def test_without_an_answer(self, failure: BaseException) -> None:
        kube = Reviewer("*")
        kube.refuse(failure)
        verdict = await refused(kube, asked(asking(READS)))
        assert (verdict.code, "try again" in verdict.message) == (503, True)

    async def test_when_a_later_answer_fails(self) -> None:
        kube = Reviewer(*READS_ATOMS)
        kube.after.append(lambda _: kube.refuse(Unreachable("reset")) if len(kube.reviews) == 3 else None)
        assert (await refused(kube, asked(asking(READS)))).code == 503
        assert len(kube.reviews) < len(READS_ATOMS), "nobody goes on asking"

    async def test_when_an_answer_is_late(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(requester, "SECONDS", 0.01)
        kube = Reviewer("*")
        kube.gate.clear()
        assert (await refused(kube, asked(asking(READS)))).code == 503

    @pytest.mark.parametrize("status", [None, {}, {"allowed": "true"}, {"allowed": False, "evaluationError": "x"}])
    async def test_what_is_no_yes(self, status: Any) -> None:
        kube = Reviewer()
        kube.cluster.answers["/apis/authorization.k8s.io/v1/subjectaccessreviews"] = lambda _: {"status": status}
        assert (await refused(kube, asked(asking(READS)))).code == 403


RESOURCES = ("configmaps", "endpoints", "events", "persistentvolumeclaims", "pods")


def many(most: int) -> dict[str, Any]:
    """So many permissions, each on one object."""
    names = [f"object-{number}" for number in range(most // len(RESOURCES))]
    rule = {"apiGroups": [""], "resources": [*RESOURCES], "verbs": ["get"]}
    return asking(*(rule | {"resourceNames": names[at : at + 64]} for at in range(0, len(names), 64)))


class TestMany:
    async def test_ten_thousand_are_one_question_or_a_few_or_none(self) -> None:
        request = asked(many(10_000))
        kube = Reviewer("*")
        assert await check(kube, request) is None
        assert len(kube.reviews) == 1
        kube = Reviewer(*(f"get {resource}" for resource in RESOURCES))
        assert await check(kube, request) is None
        assert len(kube.reviews) == 6
        kube = Reviewer("get configmaps object-1")
        verdict = await refused(kube, request)
        assert "10000 permissions on single objects" in verdict.message
        assert "256 are the most" in verdict.message
        assert len(kube.reviews) == 6

    async def test_as_many_as_are_asked_about_at_all(self) -> None:
        kube = Reviewer(*(f"get {resource} object-{number}" for number in range(51) for resource in RESOURCES))
        assert await check(kube, asked(many(255))) is None
        assert len(kube.reviews) == 6 + 255

    @pytest.mark.parametrize(("reviews", "most"), [(1, access.OF_ONE), (3, access.AT_A_TIME)])
    async def test_not_all_at_once(self, reviews: int, most: int) -> None:
        kube = Reviewer()

        def hold(request: Any) -> None:
            """From the first question about a name on, nobody gets an answer."""
            if request.body["spec"]["resourceAttributes"].get("name"):
                kube.gate.clear()

        kube.before.append(hold)
        asks = Requester(kube)
        running = asyncio.gather(*(asks.check(asked(many(250), username=f"{n}")) for n in range(reviews)))
        for _ in range(1000):
            await asyncio.sleep(0)
        assert len(kube.requests) - len(kube.reviews) == most
        kube.before.clear()
        kube.gate.set()
        assert all(await running)

    def test_the_most_that_a_spec_can_ask_for_is_known(self) -> None:
        """The figures of the module's first lines."""
        nameable = [atom for atom in CEILING if atom.verb not in NAMELESS_VERBS]
        assert (len(CEILING), len(nameable), 32 * 64) == (73, 32, 2048)
        assert access.__doc__ is not None
        assert "73 atoms, 32 of them with up to 2048 names" in access.__doc__
        assert sum(len(verbs) for known in CATALOGUE.values() for verbs in known.values()) == len(CEILING)


async def _settle() -> None:
    for _ in range(1000):
        await asyncio.sleep(0)


class TestTogether:
    """Reviews that ask the same at the same time."""

    async def test_they_are_as_few_questions_as_one_review(self) -> None:
        kube = Reviewer(*READS_ATOMS)
        asks = Requester(kube)
        kube.gate.clear()
        running = asyncio.gather(*(asks.check(asked(asking(READS))) for _ in range(50)))
        await _settle()
        kube.gate.set()
        assert await running == [None] * 50
        assert len(kube.reviews) == 1 + len(READS_ATOMS)

    async def test_one_that_gives_up_takes_nobodys_answer_away(self) -> None:
        kube = Reviewer("*")
        asks = Requester(kube)
        kube.gate.clear()
        first, second = (asyncio.create_task(asks.check(asked(asking(READS)))) for _ in range(2))
        await _settle()
        first.cancel()
        await _settle()
        kube.gate.set()
        assert await second is None
        assert first.cancelled()

    async def test_nobody_goes_on_asking_for_those_that_gave_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(requester, "SECONDS", 0.01)
        kube = Reviewer("*")
        asks = Requester(kube)
        kube.gate.clear()
        verdicts = await asyncio.gather(*(asks.check(asked(asking(READS))) for _ in range(3)))
        assert [verdict.code for verdict in verdicts if verdict] == [503] * 3
        kube.gate.set()
        await _settle()
        assert kube.reviews == []
        assert await asks.check(asked(asking(READS))) is None

    async def test_a_no_that_another_asked_for_is_asked_again(self) -> None:
        """It may be older than the permission that the second review's requester was given in between."""
        kube = Reviewer()
        asks = Requester(kube)
        pods = asking({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]})
        answered = asyncio.Event()

        def permit(_: Any) -> None:
            kube.may.add("get pods")
            answered.set()

        kube.after.append(permit)
        first = asyncio.create_task(asks.check(asked(pods)))
        second = asyncio.create_task(asks.check(asked(pods)))
        await answered.wait()
        assert (await first) is not None
        assert await second is None


class TestMemory:
    async def test_what_was_answered_is_not_asked_again_for_some_seconds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = [100.0]
        monkeypatch.setattr(access, "monotonic", lambda: now[0])
        kube = Reviewer(*READS_ATOMS)
        asks = Requester(kube)
        for _ in range(3):
            assert await asks.check(asked(asking(READS))) is None
        assert len(kube.reviews) == 1 + len(READS_ATOMS)
        kube.may.clear()
        now[0] += access.KEPT_SECONDS + 0.1
        assert await asks.check(asked(asking(READS))) is not None

    @pytest.mark.parametrize(
        "other", [{"username": "x"}, {"uid": "8"}, {"groups": ["x"]}, {"extra": {"scopes": ["y"]}}]
    )
    async def test_of_another_requester_nothing_is_known(self, other: dict[str, Any]) -> None:
        kube = Reviewer("*", of="developers")
        asks = Requester(kube)
        assert await asks.check(asked(asking(READS))) is None
        await asks.check(asked(asking(READS), **other))
        assert len(kube.reviews) > 1

    async def test_nor_in_another_namespace(self) -> None:
        kube = Reviewer("*")
        asks = Requester(kube)
        await asks.check(asked(asking(READS)))
        with pytest.raises(AssertionError):  # the fake knows the namespace "team" alone
            await asks.check(read(encoded(review(asking(READS), userInfo=ASKER, namespace="other"))))

    async def test_a_no_is_asked_again_at_once(self) -> None:
        kube = Reviewer()
        asks = Requester(kube)
        assert await asks.check(asked(asking(READS))) is not None
        kube.may |= READS_ATOMS
        assert await asks.check(asked(asking(READS))) is None
        assert kube.questions.count("* *") == 1, "but for the one that decides nothing"

    def test_what_is_old_is_thrown_away_with_the_next_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = [100.0]
        monkeypatch.setattr(access, "monotonic", lambda: now[0])
        answers = access.Answers()
        for number in range(3):
            answers.put((b"", "team", access.Question(access.EVERYTHING.atom, str(number))), True)
        now[0] += access.KEPT_SECONDS
        answers.put((b"", "team", access.EVERYTHING), False)
        assert len(answers) == 1
        assert answers.get((b"", "team", access.EVERYTHING)) is False

    def test_it_is_bounded(self) -> None:
        answers = access.Answers()
        for number in range(access.MOST_KEPT + 10):
            answers.put((b"", "team", access.Question(access.EVERYTHING.atom, str(number))), True)
        assert len(answers) == access.MOST_KEPT
        assert answers.get((b"", "team", access.Question(access.EVERYTHING.atom, str(access.MOST_KEPT + 9)))) is True
        assert answers.get((b"", "team", access.Question(access.EVERYTHING.atom, "0"))) is None
