"""Whoever may not read a Secret does not read it through an agent."""

from typing import Any

import pytest

from ringfence.admission import requester
from ringfence.admission.request import Request, read
from ringfence.admission.requester import Requester, newly_named
from ringfence.kube import ApiError, Unreachable
from unit.admission.make import IMAGE, agent, encoded, review
from unit.fakes.kube import FakeKube

ASKER = {"username": "dev", "uid": "7", "groups": ["developers", "system:authenticated"], "extra": {"scopes": ["x"]}}


def naming(*secrets: str) -> dict[str, Any]:
    keys = [
        {
            "name": f"k{index}",
            "source": {"existing": {"secretName": secret, "key": "k"}},
            "delivery": {"env": {"name": f"K{index}"}},
        }
        for index, secret in enumerate(secrets)
    ]
    return agent({"image": IMAGE, "secrets": keys})


def asked(new: Any, old: Any = None) -> Request:
    return read(encoded(review(new, old, userInfo=ASKER)))


class Reviewer(FakeKube):
    """Answers SubjectAccessReviews. `mine`: the Secrets that the requester may get."""

    def __init__(self, *mine: str, failure: BaseException | None = None, silent: bool = False) -> None:
        super().__init__()
        self.mine, self.reviews = mine, list[dict[str, Any]]()
        self.cluster.answers["/apis/authorization.k8s.io/v1/subjectaccessreviews"] = self._review
        if failure:
            self.refuse(failure)
        if silent:
            self.gate.clear()

    def _review(self, body: dict[str, Any]) -> dict[str, Any]:
        self.reviews.append(body["spec"])
        return {"status": {"allowed": body["spec"]["resourceAttributes"].get("name") in self.mine}}


async def check(kube: Reviewer, request: Request) -> Any:
    return await Requester(kube).check(request)


async def test_who_may_not_get_a_secret_may_not_name_it() -> None:
    kube = Reviewer("mine")
    verdict = await check(kube, asked(naming("mine", "theirs")))
    assert not verdict.allowed
    assert "theirs" in verdict.message
    assert "spec.secrets[1].source.existing.secretName" in verdict.message
    assert "mine" not in verdict.message.replace("theirs", "")


async def test_who_may_get_it_may() -> None:
    kube = Reviewer("mine")
    assert await check(kube, asked(naming("mine"))) is None
    (spec,) = kube.reviews
    place = {"namespace": "team", "verb": "get", "resource": "secrets", "name": "mine"}
    assert spec["resourceAttributes"] == place
    assert {key: spec[key] for key in ("user", "uid", "groups", "extra")} == {
        "user": "dev",
        "uid": "7",
        "groups": ASKER["groups"],
        "extra": {"scopes": ["x"]},
    }


async def test_only_what_is_newly_named_is_asked_about() -> None:
    kube = Reviewer()
    assert await check(kube, asked(naming("theirs"), naming("theirs"))) is None
    assert kube.reviews == []
    assert not (await check(kube, asked(naming("theirs", "more"), naming("theirs")))).allowed
    assert [spec["resourceAttributes"]["name"] for spec in kube.reviews] == ["more"]


@pytest.mark.parametrize("marked", [1, 7])
async def test_while_a_hand_over_is_undecided_all_are_asked_about(marked: int) -> None:
    conditions = [
        {"type": "Ready", "status": "False", "reason": "HandOverUndecided", "observedGeneration": 7},
        {"type": "Accepted", "status": "False", "reason": "HandOverUndecided", "observedGeneration": marked},
    ]
    old = naming("theirs") | {"status": {"conditions": conditions}}
    old["metadata"] = old["metadata"] | {"generation": 7}
    changed = naming("theirs")
    changed["spec"] = changed["spec"] | {"replicas": 2}
    assert not (await check(Reviewer(), asked(changed, old))).allowed
    assert await check(Reviewer("theirs"), asked(changed, old)) is None
    labelled = naming("theirs")
    labelled["metadata"] = labelled["metadata"] | {"labels": {"a": "b"}}
    assert await check(Reviewer(), asked(labelled, old)) is None, "it stays undecided: no new generation"
    refused = old | {"status": {"conditions": [conditions[1] | {"reason": "Refused"}]}}
    assert await check(Reviewer(), asked(changed, refused)) is None


@pytest.mark.parametrize("status", ["x", [], {"conditions": "x"}, {"conditions": [None, "x", {}]}])
async def test_a_status_that_cannot_be_read_says_nothing(status: Any) -> None:
    assert newly_named(asked(naming("theirs", "more"), naming("theirs") | {"status": status})).keys() == {"more"}


async def test_agents_without_existing_secrets_cost_no_request() -> None:
    kube = Reviewer(failure=Unreachable("down"))
    assert await check(kube, asked(agent())) is None


@pytest.mark.parametrize("failure", [ApiError(500, "InternalError", "no"), Unreachable("reset")])
async def test_without_an_answer_it_is_refused(failure: BaseException) -> None:
    verdict = await check(Reviewer("mine", failure=failure), asked(naming("mine")))
    assert not verdict.allowed
    assert "try again" in verdict.message


async def test_an_answer_that_is_late_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requester, "SECONDS", 0.01)
    assert not (await check(Reviewer("mine", silent=True), asked(naming("mine")))).allowed


@pytest.mark.parametrize(
    "spec",
    [
        None,
        "x",
        {"secrets": None},
        {"secrets": "x"},
        {"secrets": [None, "x", {}, {"source": "x"}, {"source": {"existing": None}}]},
        {"secrets": [{"source": {"existing": {"secretName": 7}}}]},
    ],
)
def test_what_cannot_be_read_names_nothing(spec: Any) -> None:
    assert newly_named(asked(agent() | {"spec": spec})) == {}
