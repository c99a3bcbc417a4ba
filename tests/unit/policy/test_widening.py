"""What widens a fence: which policies select an agent's pods, and what is said of it."""

from typing import Any

import pytest

from ringfence.policy.selectors import selects
from ringfence.policy.widening import NAMED, Opening, Way, Widening, openings_for, sentence
from ringfence.resources import openings

POD = {"ringfence.dev/agent": "a", "tier": "x"}


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ({}, True),
        ({"matchLabels": {"tier": "x"}}, True),
        ({"matchLabels": {"tier": "x", "more": "y"}}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["x", "y"]}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["x"]}]}, False),
        ({"matchExpressions": [{"key": "none", "operator": "NotIn", "values": ["x"]}]}, True),
        ({"matchLabels": {"tier": "x"}, "matchExpressions": [{"key": "more", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "OfLater"}]}, True),
    ],
)
def test_selectors_as_they_are_stored(selector: dict[str, Any], selected: bool) -> None:
    assert selects(selector, POD) is selected


def test_a_policy_widens_where_it_selects_a_pod_and_its_namespace() -> None:
    own, cluster = Opening("NetworkPolicy x", {}), Opening("AdminNetworkPolicy y", {}, {"matchLabels": {"team": "a"}})
    other = Opening("NetworkPolicy z", {"matchLabels": {"tier": "y"}})
    assert openings_for([own, cluster, other], [POD], {}) == [Widening(Way.POLICIES, "NetworkPolicy x")]
    assert len(openings_for([own, cluster], [POD], {"team": "a"})) == 2
    assert openings_for([own], [], {}) == []


def test_the_sentence_says_the_worst_first_and_counts_the_rest() -> None:
    many = [Widening(Way.BINDINGS, f"RoleBinding {n}") for n in range(NAMED + 2)]
    told = sentence([Widening(Way.PODS, "Pod p"), *many])
    assert told.startswith("Pod p: run without")
    assert "and 2 more: give" in told


def test_who_is_bound() -> None:
    subjects = [
        {"kind": "ServiceAccount", "name": "ringfence-a"},
        {"kind": "ServiceAccount", "name": "ringfence-a", "namespace": "other"},
        {"kind": "ServiceAccount", "name": "default", "namespace": "team"},
        {"kind": "User", "name": "system:serviceaccount:team:ringfence-b"},
        {"kind": "User", "name": "eve"},
        {"kind": "Group", "name": "system:serviceaccounts:team"},
    ]
    found = ["other/ringfence-a", "team/", "team/ringfence-a", "team/ringfence-b"]
    assert openings.accounts(subjects, "team") == found


@pytest.mark.parametrize("group", ["system:serviceaccounts", "system:authenticated"])
def test_a_rolebinding_of_everybody_binds_the_agents_of_its_namespace(group: str) -> None:
    subjects = [{"kind": "Group", "name": group}]
    assert openings.accounts(subjects, "team") == ["team/"]
    assert openings.accounts(subjects, None) == [], "every cluster has ClusterRoleBindings of everybody"
    assert openings.accounts([{"kind": "User", "name": group}], "team") == []


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({"tier": "Admin", "subject": {"namespaces": {}}, "egress": [{"action": "Accept"}]}, ({}, {})),
        ({"tier": "Baseline", "subject": {"namespaces": {}}, "egress": [{"action": "Accept"}]}, None),
        ({"subject": {"namespaces": {}}, "egress": [{"action": "Deny"}], "ingress": [{"action": "Pass"}]}, None),
        (
            {"subject": {"pods": {"namespaceSelector": {"matchLabels": {"a": "b"}}, "podSelector": {}}},
             "ingress": [{"action": "Deny"}, {"action": "Allow"}]},
            ({"matchLabels": {"a": "b"}}, {}),
        ),
    ],
)  # fmt: skip
def test_what_goes_before_network_policies(spec: dict[str, Any], found: tuple[Any, Any] | None) -> None:
    shown = openings.cluster_policy({"metadata": {}, "spec": spec})
    assert (shown and (shown["namespaces"], shown["podSelector"])) == found
