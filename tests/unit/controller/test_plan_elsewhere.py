"""What an agent has outside of its namespace: given by consent, taken away with it, left by agents that are gone."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from ringfence.api import AgentDeploymentSpec, AgentPolicySpec, parse
from ringfence.api.status import ConditionType, Reason
from ringfence.controller.agent.execute import Outcome
from ringfence.controller.agent.observed import Observed
from ringfence.controller.agent.plan import Mode, Plan, plan
from ringfence.controller.agent.report import After, find
from ringfence.policy.consent import read_consent
from ringfence.policy.model import Facts, NamedPolicy
from ringfence.resources import Ref
from ringfence.resources.stored import STOPPED, StoredChild
from unit.controller.make import (
    BINDING,
    DEPLOYMENT,
    KEY,
    NOW,
    OPEN,
    UID,
    all_children,
    body,
    edited,
    observed,
    remembered,
    told,
)

GET = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"], "namespaces": ["shop"]}
NOTE = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"], "namespaces": ["shop"]}
SPEC = {"permissions": {"level": "LimitedWrite", "rules": [GET]}}
NODES = {"permissions": {"level": "Admin", "clusterReads": ["nodes"]}}
LETS = AgentPolicySpec.model_validate(
    {"permissions": {"maxLevel": "Admin", "namespaces": ["shop"], "clusterReads": ["nodes"]}}
)
POLICY = NamedPolicy("lets", LETS)
STRICT = NamedPolicy("lets", LETS.model_copy(update={"existing": "Suspend"}))
ROLE_THERE, BINDING_THERE = (
    Ref("Role", "shop", "ringfence-a.of.team"),
    Ref("RoleBinding", "shop", "ringfence-a.of.team"),
)
REMOVED = ["remove Role/.of.team", "remove RoleBinding/.of.team"]


def consenting(consents: Mapping[str, str]) -> Facts:
    return replace(OPEN, consents={name: read_consent(one) for name, one in consents.items()}, own_namespace="own")


def seen(spec: Any = None, *, consent: str | None = "team=LimitedWrite", **more: Any) -> Observed:
    facts = consenting({} if consent is None else {"shop": consent})
    given: dict[str, Any] = {"facts": facts, "policies": [POLICY]} | more
    return observed(SPEC if spec is None else spec, **given)


def there(spec: Any = None, level: str = "ReadOnly", **more: Any) -> list[StoredChild]:
    """All children, those in the other namespace too."""

    parsed = parse(AgentDeploymentSpec, body(SPEC if spec is None else spec)["spec"]).value
    assert parsed is not None
    rules = [one for one in parsed.permissions.rules if one.namespaces]
    return all_children(SPEC if spec is None else spec, elsewhere={"shop": (level, rules)}, **more)


def children(planned: Plan) -> list[str]:
    """What is done about Roles and RoleBindings."""
    return [one for one in told(planned) if "Role" in one]


def test_it_is_written_where_the_namespace_consents() -> None:
    planned = plan(seen())
    assert (planned.mode, planned.violations) == (Mode.APPLY, ())
    assert children(planned) == ["absent Role/.of.team", "absent RoleBinding/.of.team"]
    assert {ROLE_THERE, BINDING_THERE} <= set(planned.children)


@pytest.mark.parametrize("consent", [None, "", "team=nonsense", "other=Critical", "team/b=Critical"])
def test_nothing_is_where_it_does_not(consent: str | None) -> None:
    planned = plan(seen(consent=consent))
    assert planned.mode is Mode.HOLD
    assert [one.rule.value for one in planned.violations] == ["NamespaceConsentMissing"]
    assert children(planned) == []


def test_as_it_should_be_nothing_is_done() -> None:
    assert told(plan(seen(accepted=1, children=there()))) == []


def test_withdrawn_it_is_taken_away_and_the_rest_stays() -> None:
    planned = plan(seen(accepted=1, children=there(), consent=None))
    assert (planned.mode, told(planned)) == (Mode.APPLY, REMOVED)
    assert [one.rule.value for one in planned.violations] == ["NamespaceConsentMissing"]
    conditions = {one.type: one for one in find(seen(accepted=1), planned, Outcome(), After())}
    assert conditions[ConditionType.RIGHTS_APPLIED].reason is Reason.CONSENT_MISSING
    assert "shop" in conditions[ConditionType.RIGHTS_APPLIED].message


def test_withdrawn_it_is_taken_away_while_a_newer_spec_is_not_accepted() -> None:
    newer = body(SPEC | {"image": "x"}, generation=2, status={"acceptedGeneration": 1})

    def done(level: str = "ReadOnly", consent: str | None = "team=LimitedWrite") -> tuple[Mode, list[str]]:
        stored = there(level=level)
        known = {"children": stored, "ownership": remembered(stored)}
        planned = plan(seen(agent_body=newer, consent=consent, **known))
        return planned.mode, children(planned)

    assert done() == (Mode.HOLD, [])
    assert done(consent=None) == (Mode.HOLD, REMOVED)
    assert done(level="Admin") == (Mode.HOLD, REMOVED), "it covers less than that"


def test_lowered_it_leaves_what_it_covers() -> None:
    spec = {"permissions": {"level": "LimitedWrite", "rules": [GET, NOTE]}}
    planned = plan(seen(spec, accepted=1, children=there(spec, level="LimitedWrite"), consent="team=ReadOnly"))
    assert children(planned) == ["wrong Role/.of.team known keep", "wrong RoleBinding/.of.team known keep"]
    conditions = {one.type: one for one in find(seen(spec, accepted=1), planned, Outcome(), After())}
    assert conditions[ConditionType.RIGHTS_APPLIED].reason is Reason.CONSENT_MISSING


def test_it_is_never_written_in_a_closed_namespace() -> None:
    spec = {"permissions": {"rules": [GET | {"namespaces": ["kube-system", "own"]}]}}
    facts = consenting({"kube-system": "team=Critical", "own": "team=Critical"})
    planned = plan(seen(spec, accepted=1, facts=facts))
    assert children(planned) == []


def test_a_stop_that_withholds_takes_the_binding_there_too() -> None:
    planned = plan(seen(accepted=1, children=there(), consent=None, policies=[STRICT]))
    assert {*told(planned)[:3]} > {*REMOVED}
    other = plan(seen(SPEC | {"image": "x"}, accepted=1, children=there(), policies=[STRICT]))
    assert "remove RoleBinding/.of.team" in told(other)
    assert "remove Role/.of.team" not in told(other)


def test_what_an_agent_that_is_gone_left_is_removed() -> None:
    left = [child for child in there() if child.elsewhere]
    gone = Observed(key=KEY, agent=None, now=NOW, left=left, reads=frozenset({"nodes"}))
    removed = ["remove Role/.of.team left in shop", "remove RoleBinding/.of.team left in shop"]
    assert (plan(gone).mode, told(plan(gone))) == (Mode.FORGET, [*removed, "reads nothing"])
    going = body(SPEC, status={"acceptedGeneration": 1}, deletionTimestamp="x", finalizers=["x/y"])
    assert told(plan(seen(agent_body=going, left=left)))[:2] == removed
    orphaning = body(SPEC, status={"acceptedGeneration": 1}, deletionTimestamp="x", finalizers=["orphan"])
    assert told(plan(seen(agent_body=orphaning, left=left))) == removed
    earlier = plan(seen(accepted=1, children=there(), left=left))
    assert told(earlier)[:2] == removed, "of an earlier agent of its name"


def test_whose_it_is_its_labels_say() -> None:
    role = next(child for child in there() if child.ref == ROLE_THERE)
    assert (role.elsewhere, role.agent_uid, role.agent_namespace, role.agent_label) == (True, UID, "team", "a")
    assert role.level == "ReadOnly"
    assert role.belongs_to_earlier("a", "another", "team")
    assert not role.belongs_to_earlier("a", "another", "other")
    own = next(
        child for child in all_children({"permissions": {"rules": [GET | {"namespaces": []}]}}) if child.ref == BINDING
    )
    assert (own.elsewhere, own.agent_uid, own.agent_namespace) == (False, UID, "team")


@pytest.mark.parametrize(
    ("listed", "accepted", "actions"),
    [
        (set(), None, ["reads nodes"]),
        (set(), 1, ["reads nodes known"]),
        ({"nodes"}, 1, []),
        ({"nodes", "namespaces"}, 1, ["reads nodes known"]),
    ],
)
def test_cluster_reads_are_exactly_those_of_the_spec(
    listed: set[str], accepted: int | None, actions: list[str]
) -> None:
    planned = plan(seen(NODES, accepted=accepted, reads=frozenset(listed), children=all_children(NODES)))
    assert [one for one in told(planned) if one.startswith("reads")] == actions


def test_cluster_reads_of_one_that_is_not_accepted() -> None:
    def done(**more: Any) -> list[str]:
        found = plan(seen(NODES | {"image": "x"}, reads=frozenset({"nodes"}), **more))
        return [one for one in told(found) if one.startswith("reads")]

    assert done() == ["reads nothing"], "nobody accepted it ever"
    newer = body(NODES | {"image": "x"}, generation=2, status={"acceptedGeneration": 1})
    assert done(agent_body=newer, children=all_children(NODES)) == []
    assert done(agent_body=newer, children=all_children(NODES), policies=[STRICT]) == ["reads nothing"]


def test_cluster_reads_that_were_withheld_are_no_edit() -> None:
    children = edited(all_children(NODES), DEPLOYMENT, mark=STOPPED)
    assert "reads nodes" in told(plan(seen(NODES, accepted=1, children=children)))
