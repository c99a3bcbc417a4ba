"""The table of validators: what is in it is reviewed and recorded, what is not is refused."""

from types import MappingProxyType

import pytest

from ringfence.admission import review as review_module
from ringfence.admission.answer import deny
from ringfence.admission.request import Request, read
from ringfence.admission.review import asks_about_requester, judge
from ringfence.admission.validators import VALIDATORS, Validator
from ringfence.api import AgentDeployment, AgentPolicy
from unit.admission.make import agent, encoded, policy, review, world

KIND = "agentaccessrequests"


def asked(plural: str) -> Request:
    return read(encoded(review(agent(), plural=plural)))


def test_the_kinds_of_the_api_are_there() -> None:
    assert {one.kind for one in VALIDATORS.values()} == {AgentDeployment.kind, AgentPolicy.kind}
    assert all(resource == validator.resource for resource, validator in VALIDATORS.items())


def test_a_new_kind_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "reviews" in judge(asked(KIND), world()).message
    added = Validator(kind="AgentAccessRequest", plural=KIND, judge=lambda *_: deny("seen"))
    monkeypatch.setattr(review_module, "VALIDATORS", MappingProxyType({**VALIDATORS, added.resource: added}))
    assert judge(asked(KIND), world()).message == "seen"


def test_only_specs_of_agents_name_what_the_requester_must_be_allowed() -> None:
    assert asks_about_requester(asked("agentdeployments"))
    assert not asks_about_requester(read(encoded(review(policy({}), plural="agentpolicies"))))
    assert not asks_about_requester(read(encoded(review(agent(), agent(), subResource="status"))))
    assert not asks_about_requester(read(encoded(review(None, agent(), operation="DELETE"))))
