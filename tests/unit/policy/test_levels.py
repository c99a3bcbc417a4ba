"""The levels: nested, free of what no agent may ever get, and equal to the ceiling that the chart writes."""

import re

import pytest

from ringfence.policy import forbidden, levels
from ringfence.policy.atoms import Atom, PermissionSet
from ringfence.policy.grants import GRANTS


def test_each_level_holds_the_one_before_and_more() -> None:
    for lower, higher in zip(levels.LEVELS, levels.LEVELS[1:], strict=False):
        assert levels.ATOMS[lower] < levels.ATOMS[higher]
        assert levels.above(higher, lower)
        assert not levels.above(lower, higher)
    assert levels.ATOMS["Critical"] == levels.CEILING


def test_each_grant_says_what_it_is_for_and_what_misuse_could_come_to() -> None:
    said = {(one.level, one.group, one.resource) for one in GRANTS}
    assert len(said) == len(GRANTS), "one entry for what a level adds on one resource"
    atoms = [Atom(one.group, one.resource, verb) for one in GRANTS for verb in one.verbs]
    assert sorted(atoms) == sorted(levels.CEILING), "each once, at one level"
    assert all(one.use and one.risk and "|" not in one.use + one.risk for one in GRANTS)


def test_read_only_only_reads() -> None:
    assert {atom.verb for atom in levels.ATOMS["ReadOnly"]} == {"get", "list", "watch"}


def test_no_level_holds_a_wildcard_or_an_unknown_verb() -> None:
    for atom in levels.CEILING:
        assert re.fullmatch(r"[a-z0-9.]*", atom.group)
        assert re.fullmatch(r"[a-z]+(/[a-z]+)?", atom.resource)
        assert atom.verb in levels.VERB_ORDER


def test_no_level_holds_what_is_forbidden() -> None:
    for atom in levels.CEILING:
        assert forbidden.of_verb(atom.verb) is None
        assert forbidden.of_group(atom.group) is None
        assert forbidden.of_resource(atom.resource) is None
        assert forbidden.base(atom.resource) not in forbidden.SECRETS


WORKLOADS = ["pods", "deployments", "replicasets", "statefulsets", "daemonsets", "jobs", "cronjobs"]
WORKLOADS += ["replicationcontrollers", "podtemplates"]
READ_AT_MOST = ["services", "endpoints", "endpointslices", "ingresses", "networkpolicies", "resourcequotas"]
NEVER = ["secrets", "nodes", "namespaces", "persistentvolumes", "serviceaccounts", "bindings"]
NEVER_SUBRESOURCES = ["exec", "attach", "portforward", "proxy", "ephemeralcontainers", "eviction", "resize", "token"]
NEVER_GROUPS = ["rbac.authorization.k8s.io", "admissionregistration.k8s.io", "certificates.k8s.io", "ringfence.dev"]


def test_the_forbidden_ones_by_name() -> None:
    """Written out again on purpose: a slip in the tables of the code shows here."""
    for group, resource, verb in levels.CEILING:
        stem, _, sub = resource.partition("/")
        assert stem not in NEVER
        assert sub not in NEVER_SUBRESOURCES
        assert group not in NEVER_GROUPS
        if verb in {"create", "update", "patch"}:
            assert stem not in WORKLOADS or sub == "scale"
            assert stem not in READ_AT_MOST
        if verb in {"delete", "deletecollection"}:
            assert stem not in READ_AT_MOST


def test_the_writes_are_these() -> None:
    """Any new right to write is a decision, not an accident."""
    writes = {str(atom) for atom in levels.CEILING if atom.verb not in {"get", "list", "watch"}}
    assert writes == {
        "create configmaps",
        "update configmaps",
        "patch configmaps",
        "delete configmaps",
        "deletecollection configmaps",
        "create events",
        "create events.events.k8s.io",
        "create leases.coordination.k8s.io",
        "update leases.coordination.k8s.io",
        "patch leases.coordination.k8s.io",
        "delete leases.coordination.k8s.io",
        "delete pods",
        "delete persistentvolumeclaims",
        "delete jobs.batch",
        "update deployments/scale.apps",
        "patch deployments/scale.apps",
        "update statefulsets/scale.apps",
        "patch statefulsets/scale.apps",
    }


def test_ceiling_rules_are_exactly_the_ceiling() -> None:
    rules = levels.ceiling_rules()
    assert "*" not in str(rules)
    product = {
        Atom(group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert product == levels.CEILING
    assert all(set(rule) == {"apiGroups", "resources", "verbs"} for rule in rules)


def test_ceiling_rules_are_compact_and_the_same_each_time() -> None:
    rules = levels.ceiling_rules()
    assert rules == levels.ceiling_rules() == levels.role_rules(sorted(levels.CEILING, reverse=True))
    shapes = [(tuple(rule["apiGroups"]), tuple(rule["verbs"])) for rule in rules]
    assert len(shapes) == len(set(shapes)), "rules of one group with the same verbs are one rule"


@pytest.mark.parametrize(("held", "asked", "allowed"), [(None, None, True), (None, "a", True), ("a", "a", True)])
def test_a_set_of_permissions_allows(held: str | None, asked: str | None, *, allowed: bool) -> None:
    atom = Atom("", "pods", "get")
    held_set = PermissionSet({atom: None if held is None else frozenset({held})})
    assert held_set.allows(atom, None if asked is None else frozenset({asked})) is allowed
    assert not held_set.allows(Atom("", "pods", "list"))
    if held is not None:
        assert not held_set.allows(atom)
        assert not held_set.allows(atom, frozenset({held, "other"}))
