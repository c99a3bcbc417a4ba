"""Whoever may not do a thing himself does not have an agent do it."""

from collections.abc import Mapping
from typing import Any

import pytest

from ringfence.admission import requester
from ringfence.admission.requester import newly_named, newly_permitted
from ringfence.kube import ApiError, Unreachable
from ringfence.policy.atoms import Atom, Names, PermissionSet
from ringfence.policy.model import RuleName
from unit.admission.asking import READS, READS_ATOMS, Reviewer, asked, asking, check, refused, with_secret
from unit.admission.make import IMAGE, agent

NAMED = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["a", "b", "c"], "verbs": ["get"]}


def test_custom_resources_are_asked_about_too() -> None:
    widgets = {"apiGroups": ["example.com"], "resources": ["widgets"], "verbs": ["get"]}
    permitted = newly_permitted(asked(asking(widgets, READS)))
    assert {str(atom) for atom in permitted["team"].atoms} == {"get widgets.example.com", *READS_ATOMS}


def of_team(found: Mapping[str, PermissionSet]) -> Mapping[Atom, Names]:
    """Of what is newly permitted, that of the agent's own namespace: nothing else is."""
    assert set(found) <= {"team"}
    return found.get("team", PermissionSet()).atoms


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
