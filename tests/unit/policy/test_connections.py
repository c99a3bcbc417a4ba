"""Who may get into agents, by all policies that bind their namespace."""

import pytest

from ringfence.api import AgentPolicySpec, parse
from ringfence.policy.builtin import RESTRICTED
from ringfence.policy.connections import connecting
from ringfence.policy.model import NamedPolicy
from ringfence.policy.reading import read_policy
from unit.policy.make import policy


def naming(*groups: str) -> NamedPolicy:
    return policy({"connections": {"groups": list(groups)}})


@pytest.mark.parametrize(
    ("bound", "found"),
    [
        ([RESTRICTED], ()),
        ([naming()], ()),
        ([naming("b", "a")], ("a", "b")),
        ([naming("a", "b"), naming("b", "c")], ("b",)),
        ([naming("a"), naming("b")], ()),
        ([naming("a"), RESTRICTED], ()),
        ([naming("a"), read_policy("newer", {"connections": {"groups": ["a"]}, "unheard": 1})[0]], ()),
    ],
)
def test_a_group_that_all_of_them_name(bound: list[NamedPolicy], found: tuple[str, ...]) -> None:
    assert connecting(bound) == found


@pytest.mark.parametrize(
    "group",
    [
        "",
        "a\nb",
        "a\tb",
        "system:authenticated",
        "system:unauthenticated",
        "system:serviceaccounts",
        "system:serviceaccounts:team",
        "x" * 254,
    ],
)
def test_no_group_that_has_everybody_or_agents_in_it_or_that_is_more_than_a_line(group: str) -> None:
    assert parse(AgentPolicySpec, {"connections": {"groups": [group]}}).errors


@pytest.mark.parametrize(
    "group", ["on-call", "oidc:Platform Team", "CN=sre,OU=x", "system:masters", "kubeadm:cluster-admins"]
)
def test_any_other_is_a_name(group: str) -> None:
    assert not parse(AgentPolicySpec, {"connections": {"groups": [group]}}).errors
