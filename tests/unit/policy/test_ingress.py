"""Callers: which namespaces an agent may let in."""

from typing import Any

import pytest

from ringfence.policy.reading import read_policy
from unit.policy.make import NAMESPACE, judge, names, places

REFUSED = {("IngressAbovePolicy", "spec.network.ingress[0].from.namespace")}


def calls(namespace: str | None, *policies: dict[str, Any]) -> Any:
    """What is decided about an agent that lets pods of `namespace` in; None: it names none."""
    peer = {"podLabels": {"app": "console"}} | ({} if namespace is None else {"namespace": namespace})
    spec = {"ports": [{"name": "panel", "port": 8080}], "network": {"ingress": [{"from": peer, "port": "panel"}]}}
    return judge(spec, *policies)


CALLABLE = {"egress": {"serviceNamespaces": ["tools"]}}
CALLERS = {"ingress": {"namespaces": ["ops"]}}
NOBODY: dict[str, Any] = {"ingress": {"namespaces": []}}


@pytest.mark.parametrize(
    ("namespace", "policies", "allowed"),
    [
        (None, [NOBODY], True),
        (NAMESPACE, [NOBODY], True),
        ("tools", [], False),
        ("tools", [{}], False),
        ("tools", [CALLABLE], True),
        ("ops", [CALLABLE], False),
        ("tools", [CALLABLE | NOBODY], False),
        ("tools", [CALLABLE | CALLERS], False),
        ("ops", [CALLABLE | CALLERS], True),
        ("ops", [CALLERS, {}], False),
        ("ops", [CALLERS, CALLERS], True),
        ("kube-system", [{}], False),
        ("*", [CALLERS], False),
    ],
)
def test_who_may_be_let_in(namespace: str | None, policies: list[dict[str, Any]], *, allowed: bool) -> None:
    assert (calls(namespace, *policies) == []) is allowed


def test_without_a_policy_the_own_namespace_alone() -> None:
    (violation,) = calls("tools")
    assert {(violation.rule.value, violation.path)} == REFUSED
    assert violation.message == (
        'policy "restricted (built-in)" lets no pods of namespace "tools" connect to agents: name callers in the '
        "agent's own namespace, or have it added to the policy's spec.ingress.namespaces"
    )


def test_each_policy_that_does_not_allow_it_is_named() -> None:
    assert [violation.message[:11] for violation in calls("ops", {}, CALLERS, NOBODY)] == ['policy "p0"', 'policy "p2"']


def test_a_malformed_rule_hides_no_caller() -> None:
    broken = {"ingress": [{"from": {"namespace": "tools"}, "port": 3}, {"from": {"namespace": "T"}}, 7]}
    found = judge({"network": broken})
    assert {place for place in places(found) if place[0] != "InvalidField"} == REFUSED
    assert len(names(found)) == 2


def test_a_policy_that_cannot_be_read_lets_nobody_in() -> None:
    policy, errors = read_policy("p", {"egress": {"serviceNamespaces": ["tools"]}, "surprise": 1})
    assert errors
    assert policy.caller_namespaces == frozenset()
